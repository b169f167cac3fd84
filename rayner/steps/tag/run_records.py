"""Make `run.json`, the record of a tagged corpus, from the manifest of the step that tagged it."""

from typing import Any

import rayner
from rayner.config.conditions import has_llm
from rayner.config.settings import Config, config_to_dict, json_digest
from rayner.corpus.corrections.counts import CorrectionCounts
from rayner.corpus.ignored_files import ignored_groups_from_json
from rayner.corpus.plain_text.markup import MarkupFiles
from rayner.corpus.run_record import CorpusCounts, RunRecord
from rayner.corpus.scripts.recognition import ScriptComparison
from rayner.fusion.control import LlmWorth
from rayner.runs.run_folder import Run
from rayner.text.json_records import record_from_json

_MODEL_STEPS = ("train_slm", "build_index", "train_llm")


def make_run_record(config: Config, run: Run, facts: dict[str, Any]) -> RunRecord:
    """Return the record of a tagged corpus. facts: the content of the manifest of `tag_corpus`."""
    settings, counts = config_to_dict(config), CorpusCounts(**facts["counts"])
    markup = record_from_json(MarkupFiles, facts.get("markup", {}))
    scripts = record_from_json(ScriptComparison, facts.get("scripts", {}))
    corrections = record_from_json(CorrectionCounts, facts.get("corrections", {}))
    return RunRecord(
        config=settings,
        config_digest=json_digest(settings),
        version=rayner.__version__,
        inputs=facts["inputs"],
        models={step: run.result_digest(step) for step in _MODEL_STEPS if run.has_step(step)},
        rule=facts["rule"],
        basis=config.llm.softmax_over if has_llm(config) else "none",
        asks_llm=facts["asks_llm"],
        llm=facts["llm"],
        counts=counts,
        unread=facts["unread"],
        ignored=ignored_groups_from_json(facts.get("ignored", {})),
        empty=facts["empty"],
        changed=facts["changed"],
        llm_worth=record_from_json(LlmWorth, facts["llm_worth"]) if facts.get("llm_worth") else None,
        records_sha256=facts["records_sha256"],
        markup=markup,
        scripts=scripts,
        corrections=corrections,
        warnings=[
            *filter(None, [scripts.format_mismatch_warning(), markup.format_warning(), corrections.format_warning()]),
            *(model.describe("the corpus") for model in counts.find_silent_models()),
        ],
        seconds=facts["seconds"],
    )
