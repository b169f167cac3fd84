"""What the site has beside the pages of this folder: a reference made from the code, and files of the repository.

MkDocs calls the functions that begin with `on_` (`hooks` in mkdocs.yml). A page may link to any file of the repository
as it lies beside `docs`; on the site that file is a page, or a download, under the same name.
"""

import argparse
import importlib
import inspect
import os
import pkgutil
import re
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from rayner.cli import build_parser, jobs
from rayner.config.declare import iter_settings
from rayner.config.settings import Config

ROOT = Path(__file__).parents[1]
JOBS = ("pipeline", "train_slm", "build_index", "train_llm", "score", "tune_fusion", "tag_corpus", "reproduce", "bench")
# Documented: every module of the pure rooms, and these modules of the other rooms.
PURE = ("text", "fusion", "evaluation")
MODULES = (
    "rayner.corpus.labelled_files",
    "rayner.corpus.text_files",
    "rayner.corpus.tables",
    "rayner.corpus.exports",
    "rayner.corpus.labelled_sentences",
    "rayner.taggers.custom_tagger",
    "rayner.evaluation.evaluate",
    "rayner.config.loading",
    "rayner.errors",
)
_MODULE = re.compile(r"\b(?:[a-z_]+\.)+(?=[A-Za-z])")
_ARRAY = re.compile(r"ndarray\[tuple\[Any, \.\.\.\], dtype\[(\w+)\]\]")
_OUTSIDE = re.compile(r"(?<=\]\()\.\./(?=[^)])")  # of a page's links: those that leave docs


def on_files(files: Any, config: Any) -> Any:  # noqa: ANN401 - MkDocs is not needed to import this file
    """Add the reference and what pages link to."""
    from mkdocs.structure.files import File

    for name, text in reference().items():
        files.append(File.generated(config, f"reference/{name}.md", content=text))
    for name in sorted({"CONTRIBUTING.md", "CHANGELOG.md", *linked()}):
        files.append(File.generated(config, name, abs_src_path=str(ROOT / name)))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:  # noqa: ANN401 - see on_files
    """Links as they are on the site."""
    if page.file.src_uri in ("CONTRIBUTING.md", "CHANGELOG.md"):
        return re.sub(r"(?<=\]\()docs/", "", markdown)
    return markdown if page.file.src_uri.startswith("reference/") else _OUTSIDE.sub("", markdown)


def linked() -> set[str]:
    """The files of the repository, outside of docs, that pages link to."""
    pages = (path.read_text(encoding="utf-8") for path in (ROOT / "docs").glob("*.md"))
    return {name for page in pages for name in re.findall(r"\]\(\.\./([^)#]+)", page)}


def reference() -> dict[str, str]:
    """Name to content of the pages that are made from the code."""
    return {"settings": _settings(), "commands": _commands(), "jobs": _jobs(), "python": _python()}


def _settings() -> str:
    out = [
        "# Settings",
        "Every job takes all of them: `--config FILE.yaml`, then `key=value`. Made from "
        "`rayner/config/settings.py`; `--help` of a job prints the same.",
    ]
    section = None
    for info in iter_settings(Config):
        key, default = info.key, info.default
        if (found := key.partition(".")[0] if "." in key else "") != section:
            section = found
            out += [f"## {section or 'general'}\n\n| key | default | meaning |\n|---|---|---|"]
        shown = " ".join(f"{k}: {v}" for k, v in default.items()) if isinstance(default, dict) else repr(default)
        out[-1] += f"\n| `{key}` | {f'`{shown}`' if shown else 'none'} | {_cell(info.help_text)} |"
    return "\n\n".join(out) + "\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _commands() -> str:
    out = [
        "# The `rayner` command",
        "Made from its `--help`. [Exit codes](../troubleshooting.md#exit-codes) are those of jobs.",
    ]
    for name, parser in _parsers("rayner", build_parser()):
        out += [f"## {name}", _fenced(_narrow(parser.format_help))]
    return "\n\n".join(out) + "\n"


def _parsers(name: str, parser: argparse.ArgumentParser) -> Iterator[tuple[str, argparse.ArgumentParser]]:
    yield name, parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for word, inner in action.choices.items():
                yield from _parsers(f"{name} {word}", inner)


def _narrow(work: Callable[[], str]) -> str:
    """What it returns on a terminal of 100 columns without colours."""
    before = dict(os.environ)
    os.environ.update(COLUMNS="100", NO_COLOR="1")
    try:
        return work()
    finally:
        os.environ.clear()
        os.environ.update(before)


def _jobs() -> str:
    out = [
        "# Jobs",
        "`python jobs/NAME.py [--config FILE.yaml] [--dry-run] [--fresh] [KEY=VALUE ...]`, on a laptop, or after "
        "`ray job submit ... --` on a [cluster](../cluster.md). What each takes is in [Settings](settings.md); what it "
        "writes, in [Formats](../formats.md).",
        _fenced(_narrow(_job_help)),
        "| job | what it does |\n|---|---|",
    ]
    for name in JOBS:
        said = (ROOT / "jobs" / f"{name}.py").read_text(encoding="utf-8").split('"""')[1]
        out[-1] += f"\n| `jobs/{name}.py` | {_cell(said)} |"
    return "\n\n".join(out) + "\n"


def _job_help() -> str:
    parser = jobs.build_job_parser("")
    parser.prog, parser.epilog = "jobs/NAME.py", None  # the settings have a page of their own
    return parser.format_help()


def _python() -> str:
    inner = [
        f"rayner.{room}.{module.name}"
        for room in PURE
        for module in pkgutil.iter_modules(importlib.import_module(f"rayner.{room}").__path__)
    ]
    out = [
        "# Python",
        "Functions and classes for your own programs, with their docstrings. `rayner.text`, `rayner.fusion` and "
        "`rayner.evaluation` need numpy alone; neither they nor `rayner.corpus` import torch or Ray.",
    ]
    for name in (*MODULES, *inner):
        out += _module(importlib.import_module(name))
    return "\n\n".join(out) + "\n"


def _module(module: ModuleType) -> list[str]:
    out = [f"## {module.__name__}", _fenced(inspect.getdoc(module) or "")]
    listed = getattr(module, "__all__", [name for name in vars(module) if not name.startswith("_")])
    for name in listed:
        item = getattr(module, name)
        if (inspect.isfunction(item) or inspect.isclass(item)) and item.__module__.startswith(module.__name__):
            said = textwrap.indent(f'"""{inspect.getdoc(item)}"""', "    ")
            shown = _fenced(f"{_signature(name, item)}:\n{said}", "python")
            out += [f"### {module.__name__.rpartition('.')[2]}.{name}", shown]
    return out


def _signature(name: str, item: Any) -> str:  # noqa: ANN401 - a function or a class
    """Without the modules that its annotations come from."""
    takes = "" if inspect.isclass(item) and issubclass(item, Exception) else inspect.signature(item)
    said = _ARRAY.sub(r"ndarray[\1]", _MODULE.sub("", f"{name}{takes}"))
    return f"class {said.removesuffix(' -> None')}" if inspect.isclass(item) else f"def {said}"


def _fenced(text: str, language: str = "text") -> str:
    return f"```{language}\n{text.rstrip()}\n```"
