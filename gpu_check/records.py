"""The records of a GPU check, and the JSON file that they become."""

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

FORMAT = 1  # version of the JSON file
PASSED, FAILED, SKIPPED = "passed", "failed", "skipped"

FigureValue = float | int | str


class SkipCheckError(Exception):
    """A check cannot run on this machine. The message is the reason."""


@dataclass
class Findings:
    """What a check measures and finds wrong while it runs.

    Attributes:
        figures: The measurements by name. Each name ends with its unit, if it has one.
        problems: What is not as it must be. A check without problems passes.

    """

    figures: dict[str, FigureValue] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    def note(self, name: str, value: FigureValue) -> None:
        """Keep a measurement. A number is rounded to six significant digits."""
        self.figures[name] = float(f"{value:.6g}") if isinstance(value, float) else value

    def require(self, condition: bool, problem: str) -> None:
        """Note the problem if the condition does not hold."""
        if not condition:
            self.problems.append(problem)

    def require_loss_falls(self, losses: Sequence[float], largest_share: float, unit: str, label: str = "") -> None:
        """Require that all losses are finite, and the last one is below a share of the first.

        unit: what each loss is of, `step` or `epoch`. label: stands before the problem.
        """
        self.require(
            all(map(math.isfinite, losses)) and losses[-1] < largest_share * losses[0],
            f"{label}expected the loss to fall below {largest_share} of the first {unit}'s, found "
            f"{losses[0]:.3f} to {losses[-1]:.3f}",
        )


@dataclass(frozen=True)
class CheckResult:
    """The outcome of one check.

    Attributes:
        name: The name of the check.
        status: `passed`, `failed` or `skipped`.
        seconds: How long it took, with the start of its process.
        reason: Why it failed or was skipped; empty if it passed.
        figures: The measurements by name.

    """

    name: str
    status: str
    seconds: float
    reason: str
    figures: dict[str, FigureValue]


@dataclass(frozen=True)
class Machine:
    """The machine that the checks run on.

    Attributes:
        device: `cuda` or `cpu`.
        device_name: The name of the GPU, or of the processor's architecture.
        gpu_bytes: The memory of the GPU; 0 without one.
        cpus: The number of CPUs.
        packages: The version of each package that the checks can use; None if it is missing.

    """

    device: str
    device_name: str
    gpu_bytes: int
    cpus: int
    packages: dict[str, str | None]


@dataclass(frozen=True)
class NotRun:
    """Something that this run of the checks does not show, and why."""

    what: str
    reason: str


@dataclass(frozen=True)
class Report:
    """Everything that a run of the checks found."""

    rayner: str
    started: str
    size: str
    budget_seconds: float
    seconds: float
    machine: Machine
    checks: Sequence[CheckResult]

    @property
    def not_run(self) -> list[NotRun]:
        """What this run does not show: the checks that were skipped, a GPU if none was used, and the full shapes."""
        gaps = [NotRun(check.name, check.reason) for check in self.checks if check.status == SKIPPED]
        if self.machine.device != "cuda":
            gaps.append(NotRun("anything on a GPU", f"the checks ran on device {self.machine.device}"))
        if self.size != "full":
            gaps.append(NotRun("the shapes of the real models", f"--size {self.size} makes much smaller models"))
        return gaps

    @property
    def failed(self) -> bool:
        """Whether a check failed."""
        return any(check.status == FAILED for check in self.checks)


def write_report(report: Report, path: Path) -> None:
    """Write the report as JSON. The file is replaced at once, so a reader never sees half of it."""
    tree = {"format": FORMAT, **asdict(report), "not_run": [asdict(gap) for gap in report.not_run]}
    temporary = path.with_name(f"{path.name}.part")
    temporary.write_text(json.dumps(tree, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    temporary.replace(path)
