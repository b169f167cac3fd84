"""A configuration file and arguments become typed settings, or one line that says what is wrong."""

from pathlib import Path

import pytest
import yaml

from rayner.config.declare import iter_settings
from rayner.config.loading import load_config
from rayner.config.renamed import REMOVED, RENAMED, RENAMED_VALUES
from rayner.config.settings import Config
from rayner.errors import ConfigError

CONF = sorted((Path(__file__).parents[1] / "jobs" / "conf").glob("*.yaml"))


def written(tmp_path, text):
    path = tmp_path / "settings.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def refused(path, *overrides):
    """The message, which must be one line."""
    with pytest.raises(ConfigError) as caught:
        load_config(path, overrides)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_without_file_and_arguments_all_is_default():
    assert load_config(None) == Config()


@pytest.mark.parametrize("path", CONF, ids=lambda path: path.name)
def test_every_bundled_file_loads(path):
    assert load_config(path) != Config()


def test_there_are_bundled_files():
    assert "demo.yaml" in [path.name for path in CONF]


def flat_settings(tree, prefix=""):
    """The settings by dotted key."""
    if not isinstance(tree, dict):
        return {prefix: tree}
    return {key: value for name, part in tree.items() for key, value in flat_settings(part, f"{prefix}.{name}").items()}


def test_the_small_configuration_of_the_paper_gives_a_reason_for_every_difference():
    """Lines without a comment are those of paper.yaml. Left out are settings of encoders and GPUs."""
    folder = CONF[0].parent
    small_text = (folder / "paper-small.yaml").read_text(encoding="utf-8")
    without_reasons = "\n".join(line for line in small_text.splitlines() if "#" not in line or line.startswith("#"))
    paper, small, same = (
        flat_settings(yaml.safe_load(text))
        for text in ((folder / "paper.yaml").read_text(encoding="utf-8"), small_text, without_reasons)
    )
    assert {key: paper.get(key) for key in same} == same
    left_out = {key for key in paper if key not in small}
    assert left_out == {
        ".slm.model", ".slm.epochs", ".slm.batch_size", ".slm.lr", ".slm.max_chars", ".slm.overlap",
        ".slm.workers.count", ".slm.workers.cpus", ".slm.workers.gpus", ".llm.workers.gpus",
        ".score.slm.batch_size", ".score.llm.batch_size", ".score.llm.batch_tokens",
    }  # fmt: skip


@pytest.mark.parametrize("text", ["", "# nothing\n", "---\n"])
def test_an_empty_file_is_all_defaults(tmp_path, text):
    assert load_config(written(tmp_path, text)) == Config()


def test_arguments_go_before_the_file_and_the_file_before_the_defaults(tmp_path):
    path = written(tmp_path, "slm:\n  epochs: 3\n  lr: 0.5\nseed: 7\n")
    config = load_config(path, ["slm.epochs=4", "slm.scratch.hidden=8", "seed=8", "seed=9"])
    assert (config.slm.epochs, config.slm.lr, config.slm.scratch.hidden, config.seed) == (4, 0.5, 8, 9)
    assert config.slm.batch_size == Config().slm.batch_size


@pytest.mark.parametrize(
    ("override", "key", "suggestion"),
    [
        ("sed=1", "sed", "seed"),
        ("slm.epoch=1", "slm.epoch", "slm.epochs"),
        ("llm.lora.alpa=1", "llm.lora.alpa", "llm.lora.alpha"),
        ("slmm.epochs=1", "slmm", "slm"),
    ],
)
def test_an_unknown_key_is_refused_with_the_nearest_known_one(tmp_path, override, key, suggestion):
    message = refused(None, override)
    assert f"unknown key {key}; did you mean {suggestion}?" in message


@pytest.mark.parametrize("override", ["qqq=1", "slm.qqq=1", "=1", "slm.=1", ".slm=1"])
def test_an_unknown_key_like_no_other_is_refused_without_a_suggestion(override):
    message = refused(None, override)
    assert "unknown key" in message
    assert "did you mean" not in message


def test_an_unknown_key_of_a_file_is_refused_naming_the_file(tmp_path):
    path = written(tmp_path, "gate: {exacts: true}\n")
    assert refused(path) == f"{path}:1: unknown key gate.exacts; did you mean gate.exact?"
    assert "unknown key 5" in refused(written(tmp_path, "5: 6\n"))


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("slm.epochs=three", "int"),
        ("slm.epochs=3.5", "int"),
        ("slm.epochs=true", "int"),
        ("slm.epochs=", "int"),
        ("slm.lr=fast", "float"),
        ("slm.lr=yes", "float"),
        ("slm.lr=[1]", "float"),
        ("gate.exact=1", "bool"),
        ("gate.exact=maybe", "bool"),
        ("run=[a]", "str"),
        ("run=no", "str"),
        ("slm.model=null", "str"),
        ("corpus=true", "str"),
        ("train=5", "list[str]"),
        ("train=[a, 5]", "list[str]"),
        ("train={a: b}", "list[str]"),
        ("llm.type_glosses=NR", "dict[str, str]"),
        ("slm=3", "section"),
        ("slm=null", "section"),
    ],
)
def test_a_value_of_the_wrong_type_is_refused_naming_key_and_type(override, expected):
    message = refused(None, override)
    key = override.partition("=")[0]
    assert f"{key}: expected " in message
    assert expected in message
    assert "found " in message


def test_lists_come_from_commas_and_from_yaml_alike(tmp_path):
    assert load_config(None, ["train=a.txt,b c.txt"]).train == ["a.txt", "b c.txt"]
    assert load_config(None, ["train=a.txt"]).train == ["a.txt"]
    assert load_config(None, ["train=[a.txt, b.txt]"]).train == ["a.txt", "b.txt"]
    assert load_config(written(tmp_path, "train: [a.txt, b.txt]\n")).train == ["a.txt", "b.txt"]
    assert load_config(None, ["fusion.entropy_reduction=max,mean"]).fusion.entropy_reduction == ["max", "mean"]


@pytest.mark.parametrize(("text", "value"), [("1e-3", 1e-3), ("2.e-5", 2e-5), ("1E2", 100.0), ("3", 3.0), ("0.5", 0.5)])
def test_numbers_are_read_in_every_spelling(tmp_path, text, value):
    for config in (load_config(None, [f"slm.lr={text}"]), load_config(written(tmp_path, f"slm: {{lr: {text}}}\n"))):
        assert config.slm.lr == value
        assert isinstance(config.slm.lr, float)


def test_a_number_names_a_folder():
    assert load_config(None, ["run=2025"]).run == "2025"
    assert load_config(None, ["run=0"]).run == "0"


def test_null_is_a_value_where_one_may_be_missing():
    assert load_config(None, ["llm.instruction=null"]).llm.instruction is None
    assert load_config(None, ["llm.instruction=''"]).llm.instruction == ""
    assert load_config(None, ["corpus=a.txt", "corpus="]).corpus.path is None


def test_glosses_of_types_are_replaced_as_a_whole_and_may_be_empty():
    assert load_config(None, ["llm.type_glosses={NR: 人, NS: }"]).llm.type_glosses == {"NR": "人", "NS": ""}


@pytest.mark.parametrize("text", ["corpus: a\n", "corpus: {path: a}\n"])
def test_a_path_may_stand_in_place_of_the_settings_of_the_corpus(tmp_path, text):
    path = written(tmp_path, text)
    assert load_config(path).corpus.path == "a"
    assert load_config(path, ["corpus=b"]) == load_config(path, ["corpus.path=b"]) == load_config(None, ["corpus=b"])
    assert load_config(path, ["corpus.encoding=big5"]) == load_config(None, ["corpus.encoding=big5", "corpus=a"])
    assert "expected one of utf-8, " in refused(path, "corpus.encoding=latin1")


def test_a_value_may_hold_an_equals_sign():
    assert load_config(None, ["corpus=a=b.txt"]).corpus.path == "a=b.txt"


@pytest.mark.parametrize(
    "text",
    ["slm: [", "slm:\n\tepochs: 3\n", "a: *b\n", b"run: \xff\n", b"\x00", "[" * 3000],
)
def test_a_file_that_is_not_yaml_is_refused_naming_it(tmp_path, text):
    path = written(tmp_path, text)
    assert refused(path).startswith(f"{path}: expected a YAML file, found: ")


def test_broken_yaml_is_refused_naming_the_line(tmp_path):
    assert "line 2" in refused(written(tmp_path, "slm:\n\tepochs: 3\n"))


@pytest.mark.parametrize(("text", "kind"), [("- a\n", "list"), ("[]\n", "list"), ("word\n", "str"), ("0\n", "int")])
def test_a_file_that_holds_no_keys_is_refused(tmp_path, text, kind):
    path = written(tmp_path, text)
    assert refused(path) == f"{path}: expected keys and values, found {kind}"


def test_a_file_that_is_not_there_is_refused_naming_it(tmp_path):
    assert refused(tmp_path / "none.yaml").startswith(f"{tmp_path / 'none.yaml'}: ")
    assert refused(tmp_path).startswith(f"{tmp_path}: ")


@pytest.mark.parametrize("argument", ["slm.epochs", "--", "demo.yaml"])
def test_an_argument_without_an_equals_sign_is_refused(argument):
    assert refused(None, argument) == f"command line: expected key=value, found {argument!r}"


@pytest.mark.parametrize(
    "value",
    ["[", "{", "'", "*a", "[" * 3000, "!!int ''", "!!bool x", "!!timestamp x", "!!float ''"],
)
def test_an_argument_whose_value_is_not_yaml_is_refused_naming_the_key(value):
    assert refused(None, f"run={value}").startswith("command line: run: ")


@pytest.mark.parametrize("value", ["\udcff", '"\\ud800"'])
def test_what_manifests_cannot_hold_is_refused_naming_the_key(value):
    assert refused(None, f"run={value}").startswith("command line: run: ")


@pytest.mark.parametrize("override", ["run.x=1", "slm.epochs.x=1", "train.x=1"])
def test_a_key_below_a_value_is_refused(tmp_path, override):
    path = written(tmp_path, "run: a\ntrain: [a]\nslm: {epochs: 3}\n")
    assert override.partition("=")[0] in refused(path, override)


def test_ranges_are_checked_upon_loading():
    assert refused(None, "slm.workers.count=0").startswith("command line: slm.workers.count: expected more than 0")


@pytest.mark.parametrize(("old", "new"), [*RENAMED.items()])
def test_an_old_name_is_refused_saying_the_new_one_which_is_a_setting_or_a_section(tmp_path, old, new):
    assert refused(None, f"{old}=x") == f"command line: {old} is now called {new}; write that"
    text = "x"
    for part in reversed(old.split(".")):
        text = f"{{{part}: {text}}}"
    path = written(tmp_path, text)
    assert refused(path) == f"{path}:1: {old} is now called {new}; write that"
    assert any(info.key == new or info.key.startswith(f"{new}.") for info in iter_settings(Config))
    assert not any(info.key == old or info.key.startswith(f"{old}.") for info in iter_settings(Config))


@pytest.mark.parametrize("name", ["silver", "pseudo_labels"])
def test_a_setting_of_a_removed_section_is_refused_saying_why(name):
    assert f"llm.{name} is no setting any more: an LLM from scratch" in refused(None, f"llm.{name}.text=a.txt")


def test_hints_need_two_folds_or_more():
    assert "llm.hint_folds: expected 2 or more, found 1" in refused(None, "llm.hint=tags", "llm.hint_folds=1")


@pytest.mark.parametrize(
    ("key", "old", "new"), [(key, *pair) for key, values in RENAMED_VALUES.items() for pair in values.items()]
)
def test_an_old_value_is_refused_saying_the_new_one_which_is_a_choice(key, old, new):
    assert refused(None, f"{key}={old}") == f"command line: {key}: {old!r} is now called {new!r}; write that"
    load_config(None, [f"{key}={new}"])


@pytest.mark.parametrize("key", REMOVED)
def test_a_setting_that_is_gone_is_refused_saying_why(key):
    assert refused(None, f"{key}=1") == f"command line: {key} is no setting any more: {REMOVED[key]}; leave it out"


def test_lists_of_numbers_are_numbers():
    for text in ("[32, 512]", "32,512", "32, 512", "['32', '512']"):
        assert load_config(None, [f"slm.crf.clusters={text}"]).slm.crf.clusters == [32, 512]
    assert load_config(None, ["slm.crf.clusters=32"]).slm.crf.clusters == [32]
    for text in ("[1.5]", "[true]", "a", "[a, 5]", "-3,4"):
        assert "slm.crf.clusters: expected list[int], found " in refused(None, f"slm.crf.clusters={text}")
    assert refused(None, "slm.crf.clusters=1,64") == "command line: slm.crf.clusters: expected 2 or more, found 1"
