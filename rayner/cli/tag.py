"""`rayner tag`: tag a corpus with a trained run as a job, or texts in this process."""

import argparse
import json
import os
import re
from typing import Any

from rayner.cli.help_examples import parser_kwargs_with_examples
from rayner.errors import ConfigError
from rayner.text.messages import shorten_repr

STANDARD_INPUT = "-"
_SETTING = re.compile(r"[a-z_]+(\.\w+)*=")
_NOT_SETTINGS = {"run": "RUN", "corpus": "CORPUS", "corpus.path": "CORPUS", "out": "--out"}  # given as arguments


def add_parser(commands: Any) -> None:  # noqa: ANN401 - argparse gives its subparsers no public type
    """Add the parser of `rayner tag`."""
    parser = commands.add_parser(
        "tag",
        description="Tag with a trained run and its settings. With --out, tag a corpus as a job, which can be resumed. "
        "Without it, tag texts in this process and print them: in colours on a terminal, else as JSON lines.",
        usage="%(prog)s RUN [--text TEXT | FILE ... | FOLDER | -] [--out DIR] [options] [KEY=VALUE ...]",
        **parser_kwargs_with_examples(
            "tag runs/mine --text 楚使怒去，歸告懷王。",
            "tag runs/mine chapter.txt > tagged.jsonl",
            "tag runs/mine my_corpus --out runs/mine/tagged",
        ),
    )
    parser.add_argument("run", metavar="RUN", help="the run folder")
    parser.add_argument(
        "overrides", metavar="CORPUS", nargs="*",
        help="files, or a folder of .txt files; -: the standard input, each line a text; then KEY=VALUE settings",
    )  # fmt: skip
    parser.add_argument("--text", action="append", metavar="TEXT", help="a text to tag; may be repeated")
    parser.add_argument("--out", metavar="DIR", help="folder of the tagged corpus: tag CORPUS as a job")
    parser.add_argument("--json", action="store_true", help="print JSON lines on a terminal too")
    parser.add_argument("--no-llm", action="store_true", help="leave the LLM out: the LLM-free control decides")
    parser.add_argument("--dry-run", action="store_true", help="with --out: check the job, then stop")
    parser.add_argument("--fresh", action="store_true", help="with --out: start over in a new folder beside it")
    parser.add_argument(
        "--retry-set-aside", action="store_true", help="with --out: try segments again that failed and were set aside"
    )
    parser.set_defaults(call=run)


def run(args: argparse.Namespace) -> None:
    """Tag as a job with `--out`, else in this process."""
    paths, overrides = _split_words(args.overrides)
    if args.no_llm:
        overrides.append("fusion.llm=never")
    if args.out is not None:
        _run_job(args, paths, overrides)
        return
    for option in ("dry_run", "fresh", "retry_set_aside"):
        if getattr(args, option):
            name = option.replace("_", "-")
            raise ConfigError(f"--{name}: expected --out beside it, because only a job can do this, found none")
    given = [*(["--text"] if args.text else []), *paths]
    if not given or (len(given) > 1 and (args.text or STANDARD_INPUT in paths)):
        found = " and ".join(given[:2]) or "none"
        raise ConfigError(f"expected one of --text TEXT, files, a folder or - (the standard input), found {found}")
    _require_run(args.run, paths)
    _require_no_text_as_path(paths)
    from rayner.cli.tag_texts import tag_and_print

    tag_and_print(args.run, paths, args.text or [], overrides, as_json=args.json)


def _run_job(args: argparse.Namespace, paths: list[str], overrides: list[str]) -> None:
    options = [f"--{name}" for name in ("text", "json") if getattr(args, name)]
    if options or len(paths) != 1 or STANDARD_INPUT in paths:
        found = " and ".join([*options, *paths][:2]) or "none"
        raise ConfigError(f"--out: expected a file or folder to tag as a job, found {found}: name one, or omit --out")
    _require_run(args.run, paths)
    from rayner.cli.jobs.definitions import TAG_CORPUS
    from rayner.cli.jobs.running import check_and_run_job
    from rayner.runs.run_folder import SETTINGS_FILE, Run
    from rayner.runs.storage import storage_path

    folders = {"run": args.run, "corpus": paths[0], "out": args.out}
    args.config = str(Run(storage_path(args.run)).local_path(SETTINGS_FILE))
    args.overrides = [*overrides, *(f"{key}={json.dumps(path, ensure_ascii=False)}" for key, path in folders.items())]
    check_and_run_job(args, TAG_CORPUS)


def _require_no_text_as_path(paths: list[str]) -> None:
    """Raise ConfigError if a path is no file but looks like a text: one in Chinese characters, without a suffix."""
    for path in paths:
        if re.fullmatch(r"[^/\\.:]*[\u3400-\u9fff][^/\\.:]*", path) and not os.path.exists(path):
            raise ConfigError(
                f"{path}: expected a file or a folder, found nothing of that name; a text follows --text: "
                f"rayner tag RUN --text {path}"
            )


def _split_words(words: list[str]) -> tuple[list[str], list[str]]:
    """Return the paths and the settings among the words after RUN."""
    overrides = [word for word in words if _SETTING.match(word)]
    for override in overrides:
        key = override.partition("=")[0]
        if key in _NOT_SETTINGS:
            raise ConfigError(f"argument {shorten_repr(override)}: expected {_NOT_SETTINGS[key]} in place of {key}=")
    return [word for word in words if word not in overrides], overrides


def _require_run(run: str, paths: list[str]) -> None:
    """Raise ConfigError unless RUN is a trained run. The message says so if RUN and CORPUS are swapped."""
    from rayner.runs.run_folder import Run
    from rayner.runs.storage import storage_path
    from rayner.tagging.trained_run import is_run_folder, require_trained_run

    folder = storage_path(run)
    for path in () if is_run_folder(folder) else paths:
        if is_run_folder(storage_path(path)):
            raise ConfigError(
                f"RUN: expected a run folder, found {run}, but CORPUS, {path}, is one: write rayner tag {path} {run}"
            )
    require_trained_run(Run(folder))
