"""The pages of the documentation, split into the parts that tests check: commands, code, tables, links."""

import re
import shlex
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
NAMES = [path.relative_to(ROOT).as_posix() for path in PAGES]
HISTORY = ("docs/log.md",)  # a history: its settings and commands need not exist today


class Block(NamedTuple):
    """A fenced block: its language and its text."""

    language: str
    text: str


def text_of(name: str) -> str:
    """Return the text of a page."""
    return (ROOT / name).read_text(encoding="utf-8")


def blocks(name: str) -> list[Block]:
    """Return the fenced blocks of a page, in order."""
    return [Block(*found) for found in re.findall(r"^```(\w*)\n(.*?)^```", text_of(name), re.MULTILINE | re.DOTALL)]


def commands(name: str) -> list[list[str]]:
    """Return the words of each command in the `sh` blocks of a page, in order, without comments."""
    lines = [line for block in blocks(name) if block.language == "sh" for line in _joined(block.text)]
    return [words for line in lines if (words := shlex.split(line, comments=True))]


def _joined(text: str) -> list[str]:
    return text.replace("\\\n", " ").splitlines()


def prose(name: str) -> str:
    """Return a page without its fenced blocks."""
    return re.sub(r"^```.*?^```", "", text_of(name), flags=re.MULTILINE | re.DOTALL)


def inline_code(name: str) -> list[str]:
    """Return the texts between backticks in a page, in order."""
    return re.findall(r"`([^`\n]+)`", prose(name))


def links(name: str) -> list[str]:
    """Return the targets of the links and pictures of a page."""
    return re.findall(r"\]\(([^)\s]+)\)", prose(name))


def anchors(name: str) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", prose(name), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def table_after(name: str, before: str) -> list[list[str]]:
    """Return the cells of the first table after a line, without the two rows of its head."""
    lines = iter(text_of(name).split(f"\n{before}\n", 1)[1].splitlines())
    rows = []
    for line in lines:
        if line.startswith("|"):
            rows.append([cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]])
        elif rows:
            break
    return rows[2:]


def first_column_names(name: str, before: str) -> set[str]:
    """Return the texts between backticks in the first column of that table."""
    return {key for row in table_after(name, before) for key in re.findall(r"`([^`]+)`", row[0])}
