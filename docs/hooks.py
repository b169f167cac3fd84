"""Add to the site a reference made from the code, and the files of the repository that pages link to.

MkDocs calls the functions that begin with `on_` (`hooks` in mkdocs.yml). A page links to a file of the repository by
its path beside `docs`. On the site this file is a page, or a download, under the same name.
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
from typing import Any, is_typeddict

from rayner.cli import build_parser
from rayner.cli.jobs.arguments import build_script_parser
from rayner.cli.jobs.definitions import TAG_CORPUS
from rayner.config.declare import iter_settings
from rayner.config.settings import Config

ROOT = Path(__file__).parents[1]
JOBS = (
    "pipeline",
    "train_slm",
    "build_index",
    "train_llm",
    "score",
    "tune_fusion",
    "tag_corpus",
    "pretrain",
    "reproduce",
    "bench",
)
# The reference has every module of these rooms, and these modules of the other rooms.
WHOLE_ROOMS = ("text", "fusion", "evaluation")
MODULES = (
    "rayner.tagging.loading",
    "rayner.tagging.tagger",
    "rayner.tagging.documents",
    "rayner.corpus.labelled_files",
    "rayner.corpus.text_files",
    "rayner.corpus.parquet_files",
    "rayner.corpus.tables",
    "rayner.corpus.exports",
    "rayner.corpus.labelled_sentences",
    "rayner.taggers.custom_tagger",
    "rayner.evaluation.evaluate",
    "rayner.config.loading",
    "rayner.errors",
)
_MODULE_PREFIX = re.compile(r"\b(?:[a-z_]+\.)+(?=[A-Za-z])")
_ARRAY_TYPE = re.compile(r"ndarray\[tuple\[Any, \.\.\.\], dtype\[(\w+)\]\]")
_PARENT_FOLDER = re.compile(r"(?<=\]\()\.\./(?=[^)])")  # in links that leave docs


def on_files(files: Any, config: Any) -> Any:  # noqa: ANN401 - MkDocs is not needed to import this file
    """Add the reference and the files that pages link to."""
    from mkdocs.structure.files import File

    for name, text in build_reference().items():
        files.append(File.generated(config, f"reference/{name}.md", content=text))
    for name in sorted({"CONTRIBUTING.md", "CHANGELOG.md", *linked_files()}):
        files.append(File.generated(config, name, abs_src_path=str(ROOT / name)))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:  # noqa: ANN401 - see on_files
    """Change the links of a page to those of the site."""
    if page.file.src_uri in ("CONTRIBUTING.md", "CHANGELOG.md"):
        return re.sub(r"(?<=\]\()docs/", "", markdown)
    return markdown if page.file.src_uri.startswith("reference/") else _PARENT_FOLDER.sub("", markdown)


def linked_files() -> set[str]:
    """Return the files of the repository outside docs that pages link to."""
    pages = (path.read_text(encoding="utf-8") for path in (ROOT / "docs").glob("*.md"))
    return {name for page in pages for name in re.findall(r"\]\(\.\./([^)#]+)", page)}


def build_reference() -> dict[str, str]:
    """Return the pages made from the code, by name."""
    return {
        "settings": _settings_page(),
        "commands": _commands_page(),
        "jobs": _jobs_page(),
        "python": _python_page(),
    }


def _settings_page() -> str:
    blocks = [
        "# Settings",
        "Every job takes all settings: `--config FILE.yaml`, then `key=value`. This page is made from "
        "`rayner/config/settings.py`; `--help` of a job prints the same.",
    ]
    section = None
    for info in iter_settings(Config):
        key, default = info.key, info.default
        section_of_key = key.partition(".")[0] if "." in key else ""
        if section_of_key != section:
            section = section_of_key
            blocks += [f"## {section or 'general'}\n\n| key | default | meaning |\n|---|---|---|"]
        shown = " ".join(f"{k}: {v}" for k, v in default.items()) if isinstance(default, dict) else repr(default)
        blocks[-1] += f"\n| `{key}` | {f'`{shown}`' if shown else 'none'} | {_cell(info.help_text)} |"
    return "\n\n".join(blocks) + "\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _commands_page() -> str:
    blocks = [
        "# The `rayner` command",
        "This page is made from `--help`. The [exit codes](../troubleshooting.md#exit-codes) are those of jobs.",
    ]
    for name, parser in _all_parsers("rayner", build_parser()):
        blocks += [f"## {name}", _fenced(_at_100_columns(parser.format_help))]
    return "\n\n".join(blocks) + "\n"


def _all_parsers(name: str, parser: argparse.ArgumentParser) -> Iterator[tuple[str, argparse.ArgumentParser]]:
    yield name, parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for subcommand, subparser in action.choices.items():
                yield from _all_parsers(f"{name} {subcommand}", subparser)


def _at_100_columns(format_help: Callable[[], str]) -> str:
    """Call a function as on a terminal of 100 columns without colours."""
    environment = dict(os.environ)
    os.environ.update(COLUMNS="100", NO_COLOR="1")
    try:
        return format_help()
    finally:
        os.environ.clear()
        os.environ.update(environment)


def _jobs_page() -> str:
    blocks = [
        "# Jobs",
        "`python jobs/NAME.py [--config CONFIG] [--dry-run] [--fresh] [KEY=VALUE ...]`, after `ray job submit ... --` "
        "on a [cluster](../cluster.md). They are the same as the [commands](commands.md). What each takes is in "
        "[Settings](settings.md); what it writes, in [Formats](../formats.md).",
        _fenced(_at_100_columns(_job_help)),
        "| job | what it does |\n|---|---|",
    ]
    for name in JOBS:
        docstring = (ROOT / "jobs" / f"{name}.py").read_text(encoding="utf-8").split('"""')[1]
        blocks[-1] += f"\n| `jobs/{name}.py` | {_cell(docstring)} |"
    return "\n\n".join(blocks) + "\n"


def _job_help() -> str:
    parser = build_script_parser(TAG_CORPUS)
    parser.prog, parser.epilog = "jobs/NAME.py", None  # the settings have their own page
    return parser.format_help()


def _python_page() -> str:
    room_modules = [
        f"rayner.{room}.{module.name}"
        for room in WHOLE_ROOMS
        for module in pkgutil.iter_modules(importlib.import_module(f"rayner.{room}").__path__)
    ]
    blocks = [
        "# Python",
        "Functions and classes for your own programs, with their docstrings. `rayner.text`, `rayner.fusion` and "
        "`rayner.evaluation` need numpy alone; neither they nor `rayner.corpus` import torch or Ray.",
    ]
    for name in (*MODULES, *room_modules):
        blocks += _module(importlib.import_module(name))
    return "\n\n".join(blocks) + "\n"


def _module(module: ModuleType) -> list[str]:
    blocks = [f"## {module.__name__}", _fenced(inspect.getdoc(module) or "")]
    public_names = getattr(module, "__all__", [name for name in vars(module) if not name.startswith("_")])
    for name in public_names:
        member = getattr(module, name)
        if (inspect.isfunction(member) or inspect.isclass(member)) and member.__module__.startswith(module.__name__):
            docstring = textwrap.indent(f'"""{inspect.getdoc(member)}"""', "    ")
            code = _fenced(f"{_signature(name, member)}:\n{docstring}", "python")
            blocks += [f"### {module.__name__.rpartition('.')[2]}.{name}", code]
    return blocks


def _signature(name: str, member: Any) -> str:  # noqa: ANN401 - a function or a class
    """Return the signature without the modules of its annotations."""
    arguments = ""
    if is_typeddict(member):
        keys = [f"{key}: {inspect.formatannotation(type_)}" for key, type_ in member.__annotations__.items()]
        arguments = f"({', '.join(keys)})"
    elif not (inspect.isclass(member) and issubclass(member, Exception)):
        arguments = str(inspect.signature(member))
    signature = _ARRAY_TYPE.sub(r"ndarray[\1]", _MODULE_PREFIX.sub("", f"{name}{arguments}"))
    return f"class {signature.removesuffix(' -> None')}" if inspect.isclass(member) else f"def {signature}"


def _fenced(text: str, language: str = "text") -> str:
    return f"```{language}\n{text.rstrip()}\n```"
