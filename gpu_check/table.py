"""The results as lines to read."""

from gpu_check.records import CheckResult, FigureValue, Report

_NAME_WIDTH = 24


def format_result(result: CheckResult) -> str:
    """Format one result: a line, then the reason and the figures, indented."""
    lines = [f"{result.name:<{_NAME_WIDTH}} {result.status:<8} {result.seconds:6.1f} s"]
    if result.reason:
        lines.append(f"    {result.reason}")
    lines += [f"    {name} {_format_value(value)}" for name, value in result.figures.items()]
    return "\n".join(lines)


def format_summary(report: Report) -> str:
    """Format the machine, the counts, and what did not run."""
    machine = report.machine
    counts = [
        f"{sum(c.status == status for c in report.checks)} {status}" for status in ("passed", "failed", "skipped")
    ]
    packages = ", ".join(f"{name} {version or 'missing'}" for name, version in machine.packages.items())
    lines = [
        f"{machine.device_name} ({machine.device}), size {report.size}: {packages}",
        f"{', '.join(counts)} in {report.seconds:.0f} s of {report.budget_seconds:.0f} s",
    ]
    return "\n".join([*lines, *(f"not run: {gap.what}: {gap.reason}" for gap in report.not_run)])


def _format_value(value: FigureValue) -> str:
    return value if isinstance(value, str) else f"{value:,.6g}" if isinstance(value, float) else f"{value:,}"
