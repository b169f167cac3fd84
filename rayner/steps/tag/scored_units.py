"""Units whose predictions are kept: read them with a unit, write them, and fuse them again without the models."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from typing import Any

from rayner.corpus.corrections.applying import CorrectedEntities
from rayner.corpus.corrections.precedence import CorrectionIndex
from rayner.corpus.kept_scores import (
    ScoresRecord,
    read_scores,
    read_scores_record,
    remove_scores,
    write_scores_and_record,
)
from rayner.corpus.scripts.conversion import ScriptConverter
from rayner.corpus.tables import EntityRow
from rayner.corpus.unit_records import InputDigests
from rayner.errors import DataError
from rayner.fusion.calibration import Calibration
from rayner.fusion.fusion_rule import FusionRule
from rayner.runs.error_messages import RERUN_HINT, format_error
from rayner.runs.job_log import start_logging
from rayner.runs.progress import log
from rayner.runs.storage import StoragePath
from rayner.steps.tag.corrected_units import correct_entities_of_unit
from rayner.steps.tag.llm_gate import Gate, apply_gate
from rayner.steps.tag.plan import read_unit_plan
from rayner.steps.tag.stages import PredictedUnit, UnitSegments
from rayner.steps.tag.units import fuse_and_write_unit, make_text_reader, read_unit_by_name


@dataclass(frozen=True)
class UnitFiles:
    """Reads the units of a tagged corpus with the predictions that were kept, and writes what is made of them.

    out: the folder of the tagged corpus.
    plan_parts: the SHA-256 of each file of the plan, by name.
    inputs: what the units are made from.
    keep_scores: whether predictions are kept.
    converter: makes the copy of the texts that the models read; None if they read the texts as they are.
    corrections: what a person corrected in the corpus.
    """

    out: StoragePath
    plan_parts: Mapping[str, str]
    rule: FusionRule
    calibration: Calibration
    inputs: InputDigests
    keep_scores: bool
    converter: ScriptConverter | None = None
    corrections: CorrectionIndex = field(default_factory=CorrectionIndex)

    def read(self, name: str) -> UnitSegments:
        """Read a unit, with its predictions if they were kept and made from the same inputs.

        Raises DataError, JobError and RuntimeError as `read_unit`. Kept predictions that are damaged are not used.
        """
        unit = read_unit_by_name(name, self.out, self.plan_parts, self.converter)
        try:
            record = read_scores_record(self.out, name)
            if record is None or record.inputs != self.inputs.scores:
                return unit
            predicted = read_scores(self.out, record, [*unit.segments, *unit.seam_segments])
        except DataError as error:
            log.warning("tag: %s: the unit is predicted again", error)
            return unit
        n_segments = len(unit.segments)
        return replace(
            unit,
            segments=predicted[:n_segments],
            seams=unit.seams and replace(unit.seams, segments=predicted[n_segments:], scores_sha256=record.sha256),
            scores_sha256=record.sha256,
            slm_halvings=record.slm_halvings,
            llm_halvings=record.llm_halvings,
        )

    def keep_new_predictions(self, unit: UnitSegments) -> UnitSegments:
        """Keep the predictions of a unit if they are new; return the unit with the digest of their file."""
        if unit.scores_sha256:
            return unit
        record = ScoresRecord(unit.name, self.inputs.scores, "", unit.slm_halvings, unit.llm_halvings)
        written = write_scores_and_record(self.out, record, unit.segments, unit.seam_segments)
        return replace(unit, scores_sha256=written.sha256)

    def write(self, unit: UnitSegments) -> PredictedUnit:
        """Keep the predictions of a unit if they are new, then fuse them and write the tables."""
        if self.keep_scores:
            unit = self.keep_new_predictions(unit)
        elif not unit.scores_sha256:
            remove_scores(self.out, unit.name)  # they lack what the LLM was asked now
        return fuse_and_write_unit(
            unit, self.out, self.rule, self.calibration, self.inputs, partial(self._correct, unit.name)
        )

    def _correct(self, name: str, rows: Sequence[EntityRow]) -> CorrectedEntities:
        if not self.corrections:
            return CorrectedEntities(rows)
        unit = read_unit_plan(name, self.out, self.plan_parts)
        return correct_entities_of_unit(
            rows, unit.slices, make_text_reader(unit, self.out, self.plan_parts), self.corrections
        )


@dataclass(frozen=True)
class FusedUnit:
    """What the driver learns about a unit whose predictions were to be fused.

    written: None if the unit has no usable predictions, or if the LLM must be asked about some of its segments.
    """

    name: str
    written: PredictedUnit | None


class ScoredUnitFuser:
    """A worker that fuses the kept predictions of units. It needs no model."""

    def __init__(self, files: UnitFiles, gate: Gate) -> None:
        start_logging()
        self.files, self.gate = files, gate

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        """Fuse the unit that `row["unit"]` names; return the fields of a `FusedUnit`, or an error message."""
        name = row["unit"]
        try:
            written = self._fuse(name)
        except Exception as error:
            log.exception("%s failed", name)
            return {"unit": name, "written": None, "failure": f"{name}: {format_error(error)}; {RERUN_HINT}"}
        return {"unit": name, "written": written and asdict(written), "failure": None}

    def _fuse(self, name: str) -> PredictedUnit | None:
        unit = self.files.read(name)
        if not unit.scores_sha256:
            return None
        gated, asked = self._apply_gate(unit)
        if unit.seams is not None:
            seams, asked_seams = self._apply_gate(unit.seams)
            gated, asked = replace(gated, seams=seams), [*asked, *asked_seams]
        return None if asked else self.files.write(gated)

    def _apply_gate(self, unit: UnitSegments) -> tuple[UnitSegments, Sequence[int]]:
        segments, asked = apply_gate(unit.segments, self.gate)
        return replace(unit, segments=segments), asked
