"""Code of the user's own, by `module:name`: found, or refused in one line."""

import hashlib
import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from rayner.cli import main
from rayner.config.loading import load_config
from rayner.config.model_settings import LlmConfig
from rayner.config.plugins import is_plugin_name, load_plugin, name_with_fingerprint
from rayner.config.setting_checks import check_setting_values_and_combinations
from rayner.config.settings import Config
from rayner.config.step_settings import step_settings
from rayner.errors import ConfigError

IMPORTED = "expected a module that can be imported, found"


@pytest.mark.parametrize("name", ["a:b", "my_reader:doccano", "a.b.c:D", "書.甲:讀", "_a1:_b2"])
def test_names_of_code_are_told_from_names_of_rayner(name):
    assert is_plugin_name(name)


@pytest.mark.parametrize(
    "name", ["", "crf", ":", "a:", ":b", "a:b:c", "a b:c", "1a:b", "a..b:c", ".a:b", "a:b.c", "a/b:c"]
)
def test_other_spellings_name_no_code(name):
    assert not is_plugin_name(name)


def test_a_module_is_found_in_the_working_folder(own_module):
    own_module("own_a", "def work(data): return 'mine'")
    assert load_plugin("layout", "own_a:work", Callable, "a function")(b"") == "mine"


def test_the_working_folder_comes_last(own_module):
    own_module("json", "def loads(text): return 'hijacked'")
    own_module("colorsys", "raise SystemExit('hijacked')")  # of the standard library, and not imported by then
    sys.modules.pop("colorsys", None)
    assert load_plugin("layout", "json:loads", Callable, "a function")("1") == 1
    assert "hijacked" not in str(load_plugin("layout", "colorsys:hls_to_rgb", Callable, "a function"))


@pytest.mark.parametrize(
    ("text", "name", "said"),
    [
        ("", "own_none:work", f"{IMPORTED} 'own_none': ModuleNotFoundError: No module named"),
        ("", "own_b.inner:work", f"{IMPORTED} 'own_b.inner': ModuleNotFoundError: "),
        ("def work(:", "own_b:work", f"{IMPORTED} 'own_b': SyntaxError: "),
        ("raise RuntimeError('a\\nb')", "own_b:work", f"{IMPORTED} 'own_b': RuntimeError: a b"),
        ("raise SystemExit(7)", "own_b:work", f"{IMPORTED} 'own_b': SystemExit: 7"),
        ("def works(): ...", "own_b:work",
         "expected a name in the module own_b, found none called 'work'; did you mean works?"),
        ("", "own_b:work", "expected a name in the module own_b, found none called 'work'"),
        ("work = 3", "own_b:work", "expected a function, found own_b:work of type int"),
    ],
)  # fmt: skip
def test_what_cannot_be_had_is_said_in_one_line(own_module, text, name, said):
    own_module("own_b", text)
    with pytest.raises(ConfigError, match=f"^layout: {re.escape(said)}") as caught:
        load_plugin("layout", name, Callable, "a function")
    assert "\n" not in str(caught.value)


def test_a_version_changes_with_the_file_and_not_with_its_place(own_module):
    own_module("own_c", "def work(): ...")
    digest = hashlib.sha256(b"def work(): ...").hexdigest()
    assert name_with_fingerprint("layout", "own_c:work") == f"own_c:work {digest}"
    own_module("own_c", "def work(): return 2")
    assert name_with_fingerprint("layout", "own_c:work") != f"own_c:work {digest}"
    assert name_with_fingerprint("layout", "evahan") == "evahan"
    assert name_with_fingerprint("layout", "sys:exit") == "sys:exit"  # has no file


def test_work_depends_on_what_is_from_outside_alone(own_module):
    own_module("own_c", "def work(): ...")
    assert step_settings(load_config(None, ["fusion.rules=spans"]), "tune_fusion")["fusion.rules"] == ["spans"]
    config = load_config(None, ["fusion.rules=spans,own_c:work"])
    expected = ["spans", name_with_fingerprint("fusion.rules", "own_c:work")]
    assert step_settings(config, "tune_fusion")["fusion.rules"] == expected


@pytest.mark.parametrize("key", ["layout=own_d:x", "slm.family=own_d:x", "fusion.rules=regions,own_d:x"])
def test_settings_take_names_without_running_anything(own_module, key):
    own_module("own_d", "raise SystemExit('was run')")
    assert load_config(None, [key, "index.encoder=ngrams"])
    assert "own_d" not in sys.modules


def test_other_settings_take_no_code():
    with pytest.raises(ConfigError, match=r"^llm.engine: expected one of transformers, vllm, found 'a:b'$"):
        check_setting_values_and_combinations(Config(llm=LlmConfig(engine="a:b")))
    with pytest.raises(ConfigError, match=r"^layout: expected one of auto, evahan, .* or module:name, found 'a:'$"):
        check_setting_values_and_combinations(Config(layout="a:"))


def test_a_tagger_of_ones_own_has_no_vectors():
    with pytest.raises(
        ConfigError, match=r"^index.encoder: expected `ngrams` .* where slm.family is a:b, which has none"
    ):
        load_config(None, ["slm.family=a:b"])


@pytest.mark.parametrize(
    "arguments", [["export", "t", "out", "--to", "own_none:X"], ["eval", "a", "b", "--layout", "own_none:x"]]
)
def test_a_command_ends_with_2_where_there_is_no_such_module(own_module, arguments, capsys):
    option = arguments[-2].lstrip("-")
    assert main(arguments) == 2
    assert re.match(
        rf"error: (--)?{option}: expected a module that can be imported, found 'own_none'", capsys.readouterr().err
    )


def test_an_export_wants_a_format(own_module, capsys):
    own_module("own_e", "from rayner.corpus.exports import ExportFormat\nFORMAT = ExportFormat")
    assert main(["export", "t", "out", "--to", "own_e:FORMAT"]) == 2
    said = "error: --to: expected an ExportFormat of rayner.corpus.exports, found own_e:FORMAT of type type\n"
    assert capsys.readouterr().err == said
    assert not Path("out").exists()
