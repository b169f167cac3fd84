"""Tagging of a corpus: units of work stream through both models, the fusion and into the canonical tables."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import ray.data

import rayner
from rayner.cluster.plan import Piece, Plan, digest_of, plan
from rayner.cluster.session import Progress, log
from rayner.cluster.stages import Gate, Row, scored, segments_of, unit_row
from rayner.config import Config, digest, resolved
from rayner.corpus.exporters import export_evahan
from rayner.corpus.readers import read_text
from rayner.corpus.tables import DOCUMENTS, ENTITIES, SEGMENTS, write_table
from rayner.errors import BudgetError, ConfigError, DataError
from rayner.ner import calibration
from rayner.ner.budget import Budget
from rayner.ner.fusion import Decision, fuse
from rayner.ner.rule import Rule
from rayner.ner.scores import NOTHING, Scored
from rayner.ner.segment import sentences
from rayner.run import Run, file_digest, read_json, write_json

_FOREIGN = 0.05  # share of unknown characters from which a model hardly reads the text


def inputs(config: Config, run: Run, corpus: Plan) -> dict[str, Any]:
    """What the tagged corpus depends on."""
    return {
        "corpus": corpus.digest,
        "score": run.digest("score"),  # which holds data, models and index
        "fusion": file_digest(run.path("fusion.json")),
        "prompt": resolved(config.prompt),
        "gate": resolved(config.gate),
        "engine": config.engine,
        "slm_dtype": config.slm.dtype,
        "version": rayner.__version__,
    }


def out_folder(config: Config, run: Run) -> Path:
    """Where the tagged corpus goes."""
    return Path(config.out) if config.out else run.path("tagged")


def tag_corpus(config: Config, run: Run) -> dict[str, Any]:
    """Tag the corpus; the tables, `run.json` and, if asked for, a char-tab-tag file a document.

    Units that lie there already, made from the same inputs, are not made again.
    Raises BudgetError, when all is written, if too many segments were set aside.
    """
    if not config.corpus:
        raise ConfigError("corpus: expected a text file or a folder of .txt files, found none")
    run.facts("tune_fusion")  # raises where there is no rule yet
    corpus = plan(config.corpus, config.score.unit_chars)
    out = out_folder(config, run)
    wanted = inputs(config, run, corpus)

    def work() -> dict[str, Any]:
        _claim(out, wanted)
        unknown = unknown_share(run, corpus)
        if unknown > _FOREIGN:
            log.info(
                "tag: the small model has no token for %.1f%% of the corpus' characters; was it trained on text in the "
                "same script (traditional, simplified)?", 100 * unknown,
            )  # fmt: skip
        fusion = read_json(run.path("fusion.json"))
        rule = Rule(**fusion["rule"])
        _stream(config, run, corpus, out, fusion)
        counts = {**verify(corpus, out), "unknown_share": round(unknown, 4)}
        return {"counts": counts, "unread": corpus.unread, "rule": resolved(rule), "inputs": wanted}

    # The manifest lies with the tagged corpus: one run tags as many corpora as it likes.
    tagged = Run(out)
    facts = tagged.once("tag_corpus", wanted, work)
    if config.tag.evahan:
        tagged.once("evahan", wanted, lambda: asdict(export_evahan(out, out / "evahan")))
    _write_run_json(config, run, out, facts)
    counts = facts["counts"]
    share = counts["set_aside"] / max(1, counts["segments"])
    if share > config.tag.max_set_aside:
        raise BudgetError(
            f"{out}: done, but {counts['set_aside']} of {counts['segments']} segments were set aside "
            f"({share:.2%}; allowed: {config.tag.max_set_aside:.2%}); see the column `error` of segments"
        )
    return facts


def unknown_share(run: Run, corpus: Plan) -> float:
    """Share of the corpus' characters that the small model's tokenizer knows no token for."""
    from rayner.models.spelling import Speller, load_tokenizer

    counts: Counter[str] = Counter()
    for piece in (piece for unit in corpus.units for piece in unit):
        if piece.start == 0:
            counts.update(char for char in read_text(piece.path) if not char.isspace())
    known = Speller(load_tokenizer(run.path("models", "slm"))).knows
    return sum(n for char, n in counts.items() if not known(char)) / max(1, counts.total())


def _claim(out: Path, wanted: dict[str, Any]) -> None:
    """Make the folder, or find in it the work of the same inputs."""
    marker = out / "plan.json"
    if marker.exists():
        before = read_json(marker)
        differ = sorted(key for key in wanted if before.get(key) != wanted[key])
        if differ:
            raise ConfigError(f"{out}: holds a corpus tagged with other {', '.join(differ)}; choose another out=")
    write_json(marker, wanted)


def _stream(config: Config, run: Run, corpus: Plan, out: Path, fusion: dict[str, Any]) -> None:
    """Run what is not done yet through the stages."""
    rows = unit_rows(corpus)
    todo = [row for row in rows if not (out / "segments" / f"{row['unit']}.parquet").exists()]
    ahead = sum(piece["end"] - piece["start"] for row in todo for piece in row["pieces"])
    if len(todo) < len(rows):
        log.info("tag: %d of %d units are there already", len(rows) - len(todo), len(rows))
    if not todo:
        return
    progress = Progress("tag", ahead, "characters")
    light: Any = {"num_cpus": 0.05}  # reading and writing are no work beside the models
    dataset = ray.data.from_items(todo, override_num_blocks=len(todo)).map(read_unit, **light)
    dataset = scored(dataset, config, run, gate_of(config, fusion))
    write = partial(write_unit, out=out.absolute(), rule=Rule(**fusion["rule"]), fitted=fusion["calibration"])
    for row in dataset.map(write, **light).iter_rows():
        progress.add(int(row["characters"]))


def gate_of(config: Config, fusion: dict[str, Any]) -> Gate:
    """The configured gate under the tuned rule."""
    return Gate(Rule(**fusion["rule"]), Budget(**fusion["budget"]), **resolved(config.gate))


def unit_rows(corpus: Plan) -> list[Row]:
    """The units of a corpus as rows, to be read."""
    return [
        {"unit": f"unit-{i:06d}", "pieces": [asdict(piece) for piece in unit]} for i, unit in enumerate(corpus.units)
    ]


def read_unit(row: Row) -> Row:
    """The segments of a unit, and the documents that begin in it. Raises DataError for a text that has changed."""
    segments: list[Scored] = []
    documents: list[dict[str, Any]] = []
    for piece in (Piece(**item) for item in row["pieces"]):
        text = read_text(piece.path)
        if digest_of(text) != piece.sha256:
            raise DataError(f"{piece.path}: changed while the job was running")
        if piece.start == 0:
            documents.append({"doc_id": piece.doc_id, "path": piece.path, "text": text,
                              "sha256": piece.sha256, "n_chars": piece.n_chars})  # fmt: skip
        part = text[piece.start : piece.end]
        for start, end in sentences(part):
            at = piece.start + start
            segments.append(Scored(piece.doc_id, at, piece.start + end, part[start:end], NOTHING))
    table = pa.Table.from_pylist(documents, schema=DOCUMENTS)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table)
    return {**unit_row(row["unit"], segments), "documents": sink.getvalue().to_pybytes()}


def write_unit(row: Row, out: Path, rule: Rule, fitted: dict[str, Sequence[float]]) -> Row:
    """Fuse a unit and write its part of the three tables; the segments last, since they say that it is done."""
    segments = segments_of(row)
    entities, file = [], f"{row['unit']}.parquet"
    for item in segments:
        for decision in fuse(item.slm, item.llm, rule):
            weights = fitted["with_llm" if decision.consulted else "slm_alone"]
            score = calibration.probability(calibration.features(decision), weights)
            entities.append(_entity(item, decision, score))
    rows = [
        {"doc_id": item.doc_id, "start": item.start, "end": item.end, "gated": item.gated,
         "passes": item.llm.passes if item.llm else 0, "error": item.error}
        for item in segments
    ]  # fmt: skip
    write_table(pa.ipc.open_stream(row["documents"]).read_all(), out / "documents" / file)
    write_table(pa.Table.from_pylist(entities, schema=ENTITIES), out / "entities" / file)
    write_table(pa.Table.from_pylist(rows, schema=SEGMENTS), out / "segments" / file)
    return {"unit": row["unit"], "characters": sum(item.end - item.start for item in segments)}


def _entity(item: Scored, decision: Decision, score: float | None) -> dict[str, Any]:
    span = decision.span
    return {
        "doc_id": item.doc_id,
        "start": item.start + span.start,
        "end": item.start + span.end,
        "text": item.text[span.start : span.end],
        "type": span.type,
        "score": score,
        "decided_by": decision.decided_by,
        "slm_type": decision.slm_type,
        "slm_entropy": decision.slm_entropy,
        "llm_type": decision.llm_type,
        "llm_category_prob": decision.llm_category_prob,
        "llm_boundary_prob": decision.llm_boundary_prob,
    }


def verify(corpus: Plan, out: Path) -> dict[str, Any]:
    """Counts of what lies in the tables. Raises RuntimeError unless texts, characters and segments add up.

    Every document must be there once with its digest, and its segments must follow each other from 0 to its end.
    """
    wanted = {piece.doc_id: piece for unit in corpus.units for piece in unit}
    reached: dict[str, int] = {}
    counts = dict.fromkeys(("documents", "characters", "segments", "gated", "set_aside", "passes", "entities"), 0)
    decided: dict[str, int] = {}
    for i in range(len(corpus.units)):
        file = f"unit-{i:06d}.parquet"
        for doc_id, text in _columns(out / "documents" / file, "doc_id", "text"):
            if digest_of(text) != wanted[doc_id].sha256:
                raise RuntimeError(f"{doc_id}: its text in the tables is not the one that was read")
            counts["documents"] += 1
        for doc_id, start, end, gated, passes, error in _columns(
            out / "segments" / file, "doc_id", "start", "end", "gated", "passes", "error"
        ):
            if reached.get(doc_id, 0) != start:
                raise RuntimeError(f"{doc_id}: a gap or an overlap of segments at character {start}")
            reached[doc_id] = end
            counts["segments"] += 1
            counts["characters"] += end - start
            counts["gated"] += gated
            counts["passes"] += passes
            counts["set_aside"] += error is not None
        for (by,) in _columns(out / "entities" / file, "decided_by"):
            counts["entities"] += 1
            decided[by] = decided.get(by, 0) + 1
    short = [doc_id for doc_id, piece in wanted.items() if reached.get(doc_id, 0) != piece.n_chars]
    if short or counts["documents"] != len(wanted) or counts["characters"] != corpus.characters:
        raise RuntimeError(f"counts do not add up: {counts} for {len(wanted)} documents, incomplete: {short[:5]}")
    return {**counts, "decided_by": decided}


def _columns(path: Path, *names: str) -> list[tuple[Any, ...]]:
    table = pq.read_table(path, columns=list(names))
    return list(zip(*(table[name].to_pylist() for name in names), strict=True))


def _write_run_json(config: Config, run: Run, out: Path, facts: dict[str, Any]) -> None:
    settings = resolved(config)
    write_json(
        out / "run.json",
        {
            "config": settings,
            "config_digest": digest(settings),
            "version": rayner.__version__,
            "inputs": facts["inputs"],
            "models": {step: run.facts(step)["digest"] for step in ("train_slm", "build_index", "train_llm")},
            "rule": facts["rule"],
            "basis": config.llm.probability,
            "counts": facts["counts"],
            "unread": facts["unread"],
            "seconds": facts["seconds"],
        },
    )
