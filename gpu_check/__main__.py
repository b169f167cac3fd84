"""The command line: `python -m gpu_check --out FILE`."""

import argparse
import os
import sys
from importlib.util import find_spec
from pathlib import Path

from gpu_check.checks import CHECKS
from gpu_check.machine import describe_machine
from gpu_check.runner import run_checks
from gpu_check.shapes import SIZES
from gpu_check.table import format_result, format_summary


def main(arguments: list[str] | None = None) -> int:
    """Run the checks; return 0 if none failed, 1 if one failed, 2 if they cannot start."""
    options = build_parser().parse_args(arguments)
    missing = [package for package in ("torch", "transformers") if find_spec(package) is None]
    if missing:
        print(f"gpu_check: expected torch and transformers, missing: {', '.join(missing)}", file=sys.stderr)
        return 2
    # Nothing may be downloaded, and a machine without a network must not wait for one.
    os.environ.update(HF_HUB_OFFLINE="1", TRANSFORMERS_OFFLINE="1", TRANSFORMERS_VERBOSITY="error")
    try:
        machine = describe_machine(options.device)
    except ValueError as error:
        print(f"gpu_check: {error}", file=sys.stderr)
        return 2
    size_name = options.size or ("full" if machine.device == "cuda" else "small")
    if machine.device == "cpu":
        import gpu_check.made_models  # noqa: F401 - once here, and not again in each forked process
    checks = [check for check in CHECKS if not options.only or check.name in options.only]
    options.out.parent.mkdir(parents=True, exist_ok=True)
    report = run_checks(
        checks, machine, size_name, options.budget, options.out, lambda result: print(format_result(result), flush=True)
    )
    print(format_summary(report))
    print(f"written: {options.out}")
    return 1 if report.failed else 0


def build_parser() -> argparse.ArgumentParser:
    """Build the parser of the arguments."""
    parser = argparse.ArgumentParser(prog="python -m gpu_check", description="Check rayner's code on one NVIDIA GPU.")
    parser.add_argument("--out", type=Path, default=Path("gpu-check.json"), help="the JSON file to write")
    parser.add_argument(
        "--device", choices=("auto", "cuda", "cpu"), default="auto", help="auto: CUDA if there is a GPU"
    )
    parser.add_argument("--size", choices=tuple(SIZES), help="default: full on a GPU, small on a CPU")
    parser.add_argument("--budget", type=float, default=480.0, help="seconds for all checks together")
    names = [check.name for check in CHECKS]
    parser.add_argument("--only", nargs="+", choices=names, metavar="CHECK", help=f"run only: {', '.join(names)}")
    return parser


if __name__ == "__main__":
    sys.exit(main())
