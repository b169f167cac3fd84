"""A trained run without an LLM, made in a second without Ray: a CRF, and a rule by regions with a calibration."""

from pathlib import Path

from rayner.config.loading import load_config
from rayner.config.model_settings import CrfConfig
from rayner.config.writing import format_as_yaml
from rayner.corpus.labelled_files import read_labelled_file
from rayner.corpus.labelled_sentences import split_labelled_text, write_labelled_sentences
from rayner.fusion.calibration import Calibration
from rayner.fusion.region_rule import RegionRule
from rayner.runs.json_files import write_checked_json
from rayner.runs.run_folder import SETTINGS_FILE, Run
from rayner.runs.step_manifest import StepManifest
from rayner.steps.fusion_rules import write_tuned_fusion
from rayner.taggers.crf import train_crf
from rayner.text.tags import bmes_labels
from tests.report.records import make_fusion_without_llm

ROOT = Path(__file__).parents[2]
SETTINGS = ["llm.model=none", "slm.family=crf", "device=cpu", "tag.max_segment_chars=200"]
STEPS = ("data", "train_slm", "score", "tune_fusion")


def write_small_run(folder: Path, n_sentences: int = 200) -> Path:
    """Write a run that was trained on the first sentences of the sample, and return its folder."""
    labelled = read_labelled_file(ROOT / "sample" / "labelled.txt")
    sentences = split_labelled_text(labelled.text, labelled.spans)[:n_sentences]
    types = sorted({span.type for sentence in sentences for span in sentence.spans})
    train_crf(sentences, bmes_labels(types), CrfConfig(max_iterations=30), folder / "models" / "slm")
    (folder / "data").mkdir()
    write_labelled_sentences(folder / "data" / "train.jsonl", sentences)
    for step in STEPS:
        write_checked_json(folder / "steps" / f"{step}.json", StepManifest({}, {"types": types}).to_json())
    calibration = Calibration(with_llm=(0.5, -1.0, 0.5, 0.2, 0.3, 0.4), slm_alone=(1.0, -2.0))
    write_tuned_fusion(Run(folder), make_fusion_without_llm(RegionRule(0.05), calibration=calibration))
    (folder / SETTINGS_FILE).write_text(format_as_yaml(load_config(None, [*SETTINGS, f"run={folder}"])), "utf-8")
    return folder
