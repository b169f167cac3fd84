"""Everything that pages name exists: settings, files, tests, links, messages."""

import ast
import contextlib
import re

import pytest

from rayner.config.declare import iter_settings
from rayner.config.loading import load_config
from rayner.config.renamed import REMOVED, RENAMED
from rayner.config.settings import Config
from rayner.errors import ConfigError
from rayner.fusion import gate
from tests.docs.pages import HISTORY, NAMES, ROOT, anchors, inline_code, links

# Words between backticks that look like a setting, but are none.
NOT_SETTINGS = {
    *("run.json", "fusion.json", "llm.json"),  # files
    *("gate.max_llm_score", "gate.first_closed_slot", "gate.first_stop_slot"),  # functions of rayner.fusion.gate
}

# Words before `=` that are no settings: attributes of TEI, arguments of functions, a placeholder.
OTHER_KEYS = {"type", "ref", "llm", "chars_per_file", "use_safetensors", "key"}


def is_valid(setting):
    """Whether a setting is valid with a CRF as the small model, with an encoder, or as the paper has it."""
    conf = ROOT / "jobs" / "conf"
    for config in (conf / "laptop.yaml", None, conf / "paper.yaml"):
        with contextlib.suppress(ConfigError):
            load_config(config, [setting])
            return True
    return False


def test_every_setting_that_is_named_is_one():
    known = {info.key for info in iter_settings(Config)}
    sections = {key.rpartition(".")[0] for key in known if "." in key}
    roots = {section.partition(".")[0] for section in sections}
    named = [(n, code) for n in NAMES if n not in HISTORY for code in inline_code(n) if code not in NOT_SETTINGS]
    found = 0
    assert {code for name in NAMES for code in inline_code(name)} >= NOT_SETTINGS
    assert all(hasattr(gate, word.removeprefix("gate.")) for word in NOT_SETTINGS if word.startswith("gate."))
    for name, code in named:
        for word in code.split():
            key, equals, value = word.partition("=")
            if not re.fullmatch(r"[a-z]+(\.[a-z0-9_]+)+", key) or key.partition(".")[0] not in roots:
                continue
            found += 1
            assert key in known or key in sections or key.startswith(("llm.type_glosses.", "datasets.")), (name, code)
            if equals and len(value) > 1 and not value.isupper():  # not a letter that stands for a number
                assert is_valid(word), (name, code)
    assert found > 60


def test_every_setting_without_a_section_that_is_named_is_one():
    known = {info.key for info in iter_settings(Config)}
    words = [word for name in NAMES if name not in HISTORY for code in inline_code(name) for word in code.split()]
    keys = {match[1] for word in words if (match := re.match(r"([a-z_]+)=", word))}
    assert keys - known == OTHER_KEYS
    assert len(keys & known) > 5


def test_the_changelog_lists_every_renamed_and_removed_setting():
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    lines = {line for line in text.splitlines() if line.startswith("  | `")}
    for old, new in RENAMED.items():
        assert any(line.startswith(f"  | `{old}`") and f"| `{new}`" in line for line in lines), old
    assert all(any(line.startswith(f"  | `{old}` | removed") for line in lines) for old in REMOVED)


def test_every_file_of_the_repository_that_is_named_is_there():
    roots = ("rayner/", "tests/", "jobs/", "docs/", "sample/", "studies/", "peers/", "gpu_check/")
    rooms = [path.name for path in (ROOT / "rayner").iterdir() if path.is_dir()]
    found = 0
    for name in NAMES:
        for code in inline_code(name):
            path = code.partition("::")[0].removeprefix("python ").split()[0]
            inner = re.match(rf"({'|'.join(rooms)})/\w+\.py$", path)
            if (path.startswith(roots) or inner) and "*" not in path and path.isascii() and path.upper() != path:
                found += 1
                assert (ROOT / ("rayner" if inner else "") / path.replace("NAME", "pipeline")).exists(), (name, code)
    assert found > 60


def test_every_test_that_is_named_is_there():
    found = 0
    for name in NAMES:
        file = ""
        for code in inline_code(name):
            if re.match(r"tests/[\w/]+\.py", code):
                file = (ROOT / code.partition("::")[0]).read_text(encoding="utf-8")
            function = code.rpartition("::")[2]
            if re.fullmatch(r"test_\w+", function):
                found += 1
                assert f"def {function}(" in file, (name, code)
    assert found > 30


@pytest.mark.parametrize("name", NAMES)
def test_targets_of_links_exist(name):
    for link in links(name):
        if re.match(r"https?://", link):
            continue
        path, _, anchor = link.partition("#")
        target = (ROOT / name).parent / path if path else ROOT / name
        assert target.is_file(), link
        if anchor:
            assert anchor in anchors(target.resolve().relative_to(ROOT).as_posix()), link


def test_every_page_is_reached_from_the_first():
    reached = {"docs/index.md"}
    for _ in range(3):
        for name in list(reached):
            here = (ROOT / name).parent
            targets = {(here / link.partition("#")[0]).resolve() for link in links(name) if not link.startswith("http")}
            reached |= {path.relative_to(ROOT).as_posix() for path in targets if path.suffix == ".md"}
    assert {name for name in NAMES if name.startswith("docs/")} <= reached


def test_pictures_load_nothing():
    for path in (ROOT / "docs").glob("*.svg"):
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"<script|<image|<foreignObject|@import|url\((?!#)", text), path.name


# ---- messages


def strings_of(path):
    """The strings of a module except its docstrings, with `…` for each value that is put into them."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    owners = [node for node in ast.walk(tree) if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)]
    docstrings = {id(node.body[0].value) for node in owners if ast.get_docstring(node, clean=False) is not None}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            yield "".join(part.value if isinstance(part, ast.Constant) else "…" for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
            yield node.value


def test_every_message_is_printed_by_some_module():
    texts = inline_code("docs/troubleshooting.md")
    messages = [text for text in texts if " " in text and re.search("…|expected", text)]
    assert len(messages) > 50
    modules = ["\n".join(strings_of(path)) for path in (ROOT / "rayner").rglob("*.py")]
    for message in messages:
        # A message may be put together from several strings of a module: between values, `expected` and `found`.
        pieces = [piece.strip(" ,:;()?%.'") for piece in re.split(r"…|; |: |\bexpected\b|, found\b| in ", message)]
        pieces = [piece for piece in pieces if piece]
        assert pieces, f"{message}: this would fit any message"
        assert any(all(piece in text for piece in pieces) for text in modules), (message, pieces)
