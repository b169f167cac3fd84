"""Parse YAML of users. Only plain values are read: no aliases, tags or merge keys."""

import re
from collections.abc import Hashable, Iterator
from pathlib import Path
from typing import Any

import yaml

from rayner.text.credentials import hide_credentials
from rayner.text.messages import escape_control_characters

MAX_YAML_BYTES = 256 * 1024
MAX_YAML_DEPTH = 20
_MAX_PROBLEM_CHARS = 200
_TAG = "tag:yaml.org,2002:"
_PLAIN_TAGS = {f"{_TAG}{name}" for name in ("str", "int", "float", "bool", "null", "map", "seq")}


class _PlainLoader(yaml.SafeLoader):
    """A loader of plain values.

    A number that is no short decimal integer stays text, with all its digits. Settings convert it to the type they
    need. So `run=1.10`, `run=007` and `run=2025-01-01` name the folders that they seem to name.
    """

    yaml_implicit_resolvers: dict[str, list[Any]] = {}  # noqa: RUF012 - PyYAML's own class attribute
    _depth = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:  # noqa: ANN401 - as in PyYAML
        event: yaml.Event = self.peek_event()  # type: ignore[no-untyped-call]  # PyYAML is partly typed
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise _make_error("an anchor or alias (& or *); write the value itself", event.start_mark)
        tag = getattr(event, "tag", None)
        if tag not in (None, "!", *_PLAIN_TAGS):
            raise _make_error(f"the tag {tag}; write a plain value", event.start_mark)
        if self._depth >= MAX_YAML_DEPTH:
            raise _make_error(f"more than {MAX_YAML_DEPTH} levels", event.start_mark)
        self._depth += 1
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        names = set()
        for key_node, _ in node.value if isinstance(node, yaml.MappingNode) else ():
            if key_node.tag == f"{_TAG}merge":
                raise _make_error("a merge key (<<); write the keys themselves", key_node.start_mark)
            name = (key_node.tag, key_node.value) if isinstance(key_node, yaml.ScalarNode) else None
            if name in names:
                raise _make_error(f"the key {key_node.value} twice", key_node.start_mark)
            names.add(name)
        return super().construct_mapping(node, deep)


_PlainLoader.add_implicit_resolver(f"{_TAG}int", re.compile(r"[-+]?(?:0|[1-9][0-9]{0,17})$"), [*"-+0123456789"])
_PlainLoader.add_implicit_resolver(f"{_TAG}merge", re.compile(r"<<$"), ["<"])
_PlainLoader.add_implicit_resolver(f"{_TAG}null", re.compile(r"(?:~|null|Null|NULL|)$"), ["~", "n", "N", ""])
_PlainLoader.add_implicit_resolver(
    f"{_TAG}bool",
    re.compile(r"(?:yes|Yes|YES|no|No|NO|true|True|TRUE|false|False|FALSE|on|On|ON|off|Off|OFF)$"),
    [*"yYnNtTfFoO"],
)


def parse_yaml(text: str) -> Any:  # noqa: ANN401 - whatever the YAML holds
    """Parse a YAML text of plain values.

    Raises ValueError if the text is not YAML, has aliases, tags, merge keys or a key twice, or is nested too deep. The
    message says what was found and where, in one short line.
    """
    return _parse_yaml_with_lines(text)[0]


def _parse_yaml_with_lines(text: str) -> tuple[Any, dict[str, int]]:
    try:
        loader = _PlainLoader(text)
        try:
            node = loader.get_single_node()
            if node is None:
                return None, {}
            return loader.construct_document(node), dict(_list_key_lines(node))
        finally:
            loader.dispose()
    except Exception as error:  # PyYAML raises other errors too: an empty `!!int` raises IndexError
        raise ValueError(_describe_error(error)) from error


def _list_key_lines(node: yaml.Node, prefix: str = "") -> Iterator[tuple[str, int]]:
    """Yield the dotted keys of a mapping and of the mappings in it, with the number of the line of each."""
    for key_node, value_node in node.value if isinstance(node, yaml.MappingNode) else ():
        key = f"{prefix}{key_node.value}"
        yield key, key_node.start_mark.line + 1
        yield from _list_key_lines(value_node, f"{key}.")


def read_yaml_file(path: str | Path) -> Any:  # noqa: ANN401 - whatever the YAML holds
    """Read a YAML file of plain values. Raises OSError, and ValueError as `parse_yaml`."""
    return read_yaml_file_with_lines(path)[0]


def read_yaml_file_with_lines(path: str | Path) -> tuple[Any, dict[str, int]]:
    """Read a YAML file as `read_yaml_file`, and also return the line of each dotted key, sections included."""
    if "://" in str(path):
        raise ValueError("a URL; give a file on this machine")
    with Path(path).open("rb") as stream:
        data = stream.read(MAX_YAML_BYTES + 1)
    if len(data) > MAX_YAML_BYTES:
        raise ValueError(f"more than {MAX_YAML_BYTES // 1024} KiB")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        if data.startswith((b"\xff\xfe", b"\xfe\xff")):
            raise ValueError("UTF-16; save it as UTF-8") from None
        line = data.count(b"\n", 0, error.start) + 1
        raise ValueError(f"line {line}: byte 0x{data[error.start]:02x}, which is not UTF-8") from None
    return _parse_yaml_with_lines(text)


def _make_error(problem: str, mark: Any) -> yaml.MarkedYAMLError:  # noqa: ANN401 - PyYAML has two types of marks
    return yaml.MarkedYAMLError(problem=problem, problem_mark=mark)


def _describe_error(error: Exception) -> str:
    """Return one short line. It does not quote the text around the place, which may hold a secret."""
    place, problem = "", f"{error}" or type(error).__name__
    if isinstance(error, yaml.MarkedYAMLError):
        mark = error.problem_mark or error.context_mark
        place = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        problem = ", ".join(filter(None, (error.context, error.problem)))
    short = problem if len(problem) <= _MAX_PROBLEM_CHARS else f"{problem[:_MAX_PROBLEM_CHARS]}..."
    return place + escape_control_characters(hide_credentials(" ".join(short.split())))
