"""A run small enough for a test: few sentences, tiny models, a corpus with every kind of dirt; and reading it back."""

import dataclasses
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from rayner.config.corpus_settings import CorpusConfig
from rayner.config.model_settings import (
    EncoderScratchConfig,
    IndexConfig,
    LlmConfig,
    LoraConfig,
    ScratchConfig,
    SlmConfig,
    WorkersConfig,
)
from rayner.config.settings import Config, FusionConfig, ScoreConfig, SplitConfig
from rayner.corpus.labelled_files import read_labelled_file
from rayner.corpus.labelled_sentences import split_labelled_text
from rayner.modeling.scratch import write_scratch_decoder
from rayner.runs.run_folder import Run
from rayner.text.labelled_text import LabelledSentence
from rayner.text.spans import Span
from tests.report.synthetic import labelled_lines

ROOT = Path(__file__).parents[2]
SAMPLE = ROOT / "sample"
PLAIN_TEXT = "北渚王入石渚。使者歸告。"
ODD_TEXT = "\ufeff懷\ue1e0王入<NR>秦</NR>&amp;。\u2028𠮷\U000f0000見\x85之？\t「善！」\r\n"
SHAPE = EncoderScratchConfig(hidden=32, layers=2, heads=2, intermediate=64, min_count=1)
LLM_SHAPE = ScratchConfig(hidden=32, layers=2, heads=2, intermediate=64, min_count=1)
ONE, TWO = WorkersConfig(), WorkersConfig(count=2)
TAGGED_FOLDERS = ("documents", "entities", "segments", "scores", "units", "plan", "evahan")
LESS = [  # beside laptop.yaml: a small LLM that is always asked, and little training
    "slm.crf.unlabelled=null", "index.encoder=ngrams", "llm.model=scratch", "llm.examples=none", "llm.instruction=''",
    "llm.lr=2.e-4", "llm.batch_size=16", "llm.lora={r: 16, alpha: 32}", "fusion.llm=always",
    "llm.full_epochs=1", "llm.max_steps_per_epoch=2", "llm.epochs=0", "llm.workers.count=1", "score.actors=1",
    "llm.scratch={hidden: 32, layers: 2, heads: 2, intermediate: 64}", "slm.crf.max_iterations=40",
    "fusion.weight_steps=101", "fusion.entropy_reduction=mean", "fusion.llm_reduction=product",
    "fusion.llm_confidence=slots",
    "fusion.max_concurrent_trials=1", "split={dev: 0.2, test: 0.2}", "fusion.rules=[regions,spans,documents]",
]  # fmt: skip


def labelled_sentences() -> list[LabelledSentence]:
    """The first sentences of the sample, ten of them twice, and two with odd characters."""
    sample = read_labelled_file(SAMPLE / "labelled.txt")
    first = split_labelled_text(sample.text, sample.spans)[:240]
    odd = [
        LabelledSentence("懷\ue1e0王<入>秦。", (Span(0, 3, "NR"), Span(6, 7, "NG"))),
        LabelledSentence("𠮷&\u2028見之。", (Span(0, 1, "NR"),)),
    ]
    return [*first, *first[:10], *odd]


def corpus_files() -> dict[str, bytes]:
    """What lies in the corpus folder."""
    books = [path.read_text(encoding="utf-8") for path in sorted((SAMPLE / "corpus").rglob("*.txt"))]
    plain = books[0].replace("\n", "")
    endless = "".join(char for char in books[1] if char not in "。？！\n\r")[:750]
    return {
        "空.txt": b"",
        "白.txt": "\n\u3000\n \t\n".encode(),
        "書/一.txt": plain[:900].encode(),
        "書/二.txt": books[2][:300].replace("\n", "\r\n").encode(),
        "書/長.txt": f"{endless}\n{plain[900:960]}".encode(),
        "雜.txt": f"{ODD_TEXT}{plain[960:1020]}".encode(),
        "壞.txt": "懷王\n入秦".encode() + b"\xff\xfe",
        "不讀.md": b"no text",
    }


def readable_texts() -> dict[str, str]:
    """doc_id and text of all that can be read in the corpus."""
    return {
        name.removesuffix(".txt"): content.decode()
        for name, content in corpus_files().items()
        if name.endswith(".txt") and name != "壞.txt"
    }


def write_inputs(folder: Path) -> Config:
    """The labelled file and the corpus; returns the configuration of a run over them."""
    examples = labelled_sentences()
    blocks = [labelled_lines(e.text, e.spans) for e in examples]
    (folder / "labelled.txt").write_text("\n".join(blocks), encoding="utf-8", newline="")
    for name, content in corpus_files().items():
        path = folder / "corpus" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return Config(
        run=str(folder / "run"),
        train=[str(folder / "labelled.txt")],
        corpus=CorpusConfig(str(folder / "corpus")),
        device="cpu",
        slm=SlmConfig(scratch=SHAPE, epochs=6, batch_size=16, lr=1e-2, workers=TWO),
        index=IndexConfig(k=1),
        llm=LlmConfig(
            scratch=LLM_SHAPE, instruction="", full_epochs=2, full_lr=5e-3, epochs=1, lr=1e-3,
            batch_size=16, lora=LoraConfig(r=4, alpha=8), workers=TWO,
        ),
        split=SplitConfig(by="sentence"),  # the sentences are drawn from all of the sample: few follow on each other
        score=ScoreConfig(unit_chars=400),
        fusion=FusionConfig(weight_steps=101, llm="always", max_concurrent_trials=1),  # each is a process
    )  # fmt: skip


def write_llm(folder: Path) -> dict[str, Any]:
    """A decoder that has learned nothing, as a checkpoint; the settings by which a job asks it as it came."""
    sentences = labelled_sentences()
    types = sorted({span.type for example in sentences for span in example.spans})
    write_scratch_decoder(folder, [example.text for example in sentences], types, SHAPE, seed=1)
    return {"model": str(folder), "full_epochs": 0, "epochs": 0, "examples": "none"}


def with_settings(config: Config, section: str, **values) -> Config:
    """The configuration with other values in one section."""
    return dataclasses.replace(config, **{section: dataclasses.replace(getattr(config, section), **values)})


def copied(run: Run, folder: Path, *parts: str) -> Run:
    """Parts of a run in a new place."""
    for part in parts:
        source, target = run.path(part), folder / "run" / part
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target)
        else:
            shutil.copy2(source, target)
    return Run(folder / "run")


def rows_of(tagged: Path, table: str) -> list[dict]:
    """All rows of a table in order of the files, each with the file's name."""
    return [
        {**row, "unit": path.stem}
        for path in sorted((tagged / table).glob("*.parquet"))
        for row in pq.ParquetFile(path).read().to_pylist()
    ]


def files_of(tagged: Path) -> dict[str, bytes]:
    """The tables, their records and plan, and the char-tab-tag files, by name."""
    paths = [path for folder in TAGGED_FOLDERS for path in (tagged / folder).rglob("*") if path.is_file()]
    return {path.relative_to(tagged).as_posix(): path.read_bytes() for path in paths}


def stamps(folder: Path, *parts: str) -> dict[str, tuple[int, bytes]]:
    """When each file below was written, and its content."""
    paths = [path for part in parts for path in [folder / part, *(folder / part).rglob("*")]]
    return {str(path): (path.stat().st_mtime_ns, path.read_bytes()) for path in paths if path.is_file()}


def noise(log: str) -> list[str]:
    """Lines of a job's log with control characters (but Ray's tabs, in warnings), bars, or other libraries' remarks."""
    foreign = "Loading|Requesting resources|Reporting training result|Checkpoint successfully"
    return re.findall(rf".*(?:[\x00-\x08\x0b-\x1f\x7f-\x9f]|it/s|█|{foreign}).*", log)


def run_job(folder: Path, *settings: str) -> subprocess.CompletedProcess[str]:
    """Run the main job in a folder outside the clone, by `laptop.yaml` with a small LLM and little training."""
    job = [sys.executable, str(ROOT / "jobs" / "pipeline.py"), "--config", str(ROOT / "jobs" / "conf" / "laptop.yaml")]
    env = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    return subprocess.run(
        [*job, *LESS, *settings], cwd=folder, env=env, capture_output=True, text=True, check=False, timeout=400
    )
