"""Run all checks of a job and report all faults at once."""

from collections.abc import Callable, Iterable

from rayner.errors import ConfigError, RaynerError

Check = Callable[[], list[str]]


class SeveralFaultsError(ConfigError):
    """Several checks failed. The message has a line for each. errors: their errors."""

    def __init__(self, errors: list[RaynerError]) -> None:
        self.errors = errors
        super().__init__("\n".join([f"{len(errors)} faults:", *(f"  {error}" for error in errors)]))


def run_checks(checks: Iterable[Check]) -> list[str]:
    """Run every check and return the lines of all of them.

    Raises the error of the check that failed, or SeveralFaultsError if several failed. A fault that several checks find
    counts once.
    """
    lines: list[str] = []
    errors: list[RaynerError] = []
    for check in checks:
        try:
            lines += check()
        except SeveralFaultsError as error:
            errors += error.errors
        except RaynerError as error:
            errors.append(error)
    errors = list({str(error): error for error in errors}.values())
    if len(errors) > 1:
        raise SeveralFaultsError(errors)
    if errors:
        raise errors[0]
    return lines
