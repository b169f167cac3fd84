"""Run the checks one after the other within a time budget, and keep the report up to date."""

import importlib
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path

from gpu_check.checks import Check
from gpu_check.child_process import ChildCall, ChildFailedError, run_in_child
from gpu_check.records import (
    FAILED,
    PASSED,
    SKIPPED,
    CheckResult,
    Findings,
    Machine,
    Report,
    SkipCheckError,
    write_report,
)
from gpu_check.shapes import SIZES
from rayner import __version__


@dataclass(frozen=True)
class ChildAnswer:
    """What the process of a check sends back. skipped: the reason if the check skipped itself, else empty."""

    findings: Findings
    skipped: str = ""


def run_checks(
    checks: Sequence[Check],
    machine: Machine,
    size_name: str,
    budget_seconds: float,
    out: Path,
    show: Callable[[CheckResult], None],
) -> Report:
    """Run the checks and return the report.

    The report is written after each check. So it also exists if this process is killed.

    Args:
        checks: The checks, in order.
        machine: The machine.
        size_name: `small` or `full`.
        budget_seconds: A check starts only if its expected time remains, and is stopped when the budget is spent.
        out: The JSON file.
        show: Is called with each result.

    """
    begun = time.monotonic()
    report = Report(
        rayner=__version__,
        started=datetime.now(UTC).isoformat(timespec="seconds"),
        size=size_name,
        budget_seconds=budget_seconds,
        seconds=0.0,
        machine=machine,
        checks=[CheckResult(check.name, SKIPPED, 0.0, "the script ended before it", {}) for check in checks],
    )
    write_report(report, out)
    for i, check in enumerate(checks):
        remaining = budget_seconds - (time.monotonic() - begun)
        result = _run_check(check, machine, size_name, remaining)
        results = [*report.checks[:i], result, *report.checks[i + 1 :]]
        report = replace(report, checks=results, seconds=round(time.monotonic() - begun, 1))
        write_report(report, out)
        show(result)
    return report


def _run_check(check: Check, machine: Machine, size_name: str, remaining: float) -> CheckResult:
    missing = [package for package in check.packages if find_spec(package) is None]
    if missing:
        return CheckResult(check.name, SKIPPED, 0.0, f"not installed: {', '.join(missing)}", {})
    expected = check.expected_seconds(size_name)
    if remaining < expected:
        reason = f"the time budget has {max(0.0, remaining):.0f} s left, the check needs about {expected} s"
        return CheckResult(check.name, SKIPPED, 0.0, reason, {})
    started = time.monotonic()
    call = ChildCall(run_in_this_process, (check, machine.device, size_name))
    try:
        answer: ChildAnswer = run_in_child(call, remaining, fork=machine.device == "cpu")
    except ChildFailedError as error:
        return CheckResult(check.name, FAILED, round(time.monotonic() - started, 1), str(error), {})
    seconds, findings = round(time.monotonic() - started, 1), answer.findings
    if answer.skipped:
        return CheckResult(check.name, SKIPPED, seconds, answer.skipped, findings.figures)
    status = FAILED if findings.problems else PASSED
    return CheckResult(check.name, status, seconds, "; ".join(findings.problems), findings.figures)


def run_in_this_process(check: Check, device: str, size_name: str) -> ChildAnswer:
    """Run a check in this process. An error becomes a problem of its findings."""
    findings = Findings()
    try:
        import torch

        from gpu_check.check_setup import CheckSetup

        module, _, name = check.function.partition(":")
        function = getattr(importlib.import_module(module), name)
        setup = CheckSetup(torch.device(device), SIZES[size_name])
        function(setup, findings, *([check.shape_name] if check.shape_name else []))
    except SkipCheckError as reason:
        return ChildAnswer(findings, str(reason))
    except Exception as error:
        traceback.print_exc()
        findings.problems.append(f"{type(error).__name__}: {' '.join(str(error).split())[:500]}")
    return ChildAnswer(findings)
