"""Every setting has a meaning, a range where it needs one, and a part in the digest."""

import copy
import dataclasses
import json
from pathlib import Path

import pytest

from rayner.config.conditions import characters_are_clustered, has_llm
from rayner.config.declare import iter_settings
from rayner.config.loading import load_config
from rayner.config.setting_checks import check_setting_values_and_combinations
from rayner.config.settings import Config, config_to_dict, get_setting, json_digest
from rayner.errors import ConfigError

ROOT = Path(__file__).parents[1]
SETTINGS = {info.key: info for info in iter_settings(Config)}
KEYS = list(SETTINGS)
CHOICES = {key: info.declaration.choices for key, info in SETTINGS.items() if info.declaration.choices}


def leaves(tree, prefix=""):
    """Dotted keys of a resolved configuration, found without `iter_settings`; a setting that is a dict is one."""
    for key, value in tree.items():
        if isinstance(value, dict) and prefix + key not in ("llm.type_glosses", "datasets"):
            yield from leaves(value, f"{prefix}{key}.")
        else:
            yield prefix + key


def with_value(key, value, config=None):
    """The configuration with another value under a dotted key."""
    config = config or Config()
    name, _, rest = key.partition(".")
    rest = rest or getattr(getattr(config, name), "PLAIN_VALUE", "")
    if rest:
        value = with_value(rest, value, getattr(config, name))
    return dataclasses.replace(config, **{name: value})


def changed(value):
    """Some other value of the same kind."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return value + 1
    if isinstance(value, list):
        return [*value, type(value[0])() if value else "x"]
    if isinstance(value, dict):
        return {**value, "X": ""}
    return (value or "") + "x"


def test_entries_are_the_leaves_of_the_resolved_configuration_with_their_defaults():
    # The path of the corpus is the setting `corpus` itself.
    assert [key.removesuffix(".path") for key in leaves(config_to_dict(Config()))] == KEYS
    for key, info in SETTINGS.items():
        assert get_setting(Config(), key) == info.default
        assert info.declaration.description.strip()


def test_defaults_are_in_range():
    check_setting_values_and_combinations(Config())


def test_defaults_are_not_shared_between_configurations():
    one = Config()
    one.llm.type_glosses["X"] = "y"
    one.fusion.entropy_reduction.append("x")
    assert "X" not in Config().llm.type_glosses
    assert "x" not in Config().fusion.entropy_reduction


def test_the_digest_changes_with_any_value():
    digests = {json_digest(config_to_dict(with_value(key, changed(get_setting(Config(), key))))) for key in KEYS}
    assert len(digests) == len(KEYS)
    assert json_digest(config_to_dict(Config())) not in digests


def test_the_digest_is_the_same_for_the_same_values_in_any_order_of_keys():
    tree = config_to_dict(Config())
    backwards = json.loads(json.dumps(tree), object_pairs_hook=lambda pairs: dict(reversed(pairs)))
    assert list(backwards) != list(tree)
    assert json_digest(backwards) == json_digest(tree) == json_digest(copy.deepcopy(tree))


def test_choices_are_settings_whose_default_is_one_of_them():
    for key, allowed in CHOICES.items():
        default = get_setting(Config(), key)
        assert set(default if isinstance(default, list) else [default]) <= set(allowed)


@pytest.mark.parametrize("key", CHOICES)
def test_a_value_outside_the_choices_is_refused_and_the_choices_are_named(key):
    bad = ["odd"] if isinstance(get_setting(Config(), key), list) else "odd"
    with pytest.raises(ConfigError) as caught:
        check_setting_values_and_combinations(with_value(key, bad))
    assert str(caught.value).startswith(f"{key}: ")
    assert all(str(choice) in str(caught.value) for choice in CHOICES[key])


OUT_OF_RANGE = [
    ("slm.epochs", 0),
    ("slm.epochs", -1),
    ("llm.epochs", -1),
    ("llm.full_epochs", -1),
    ("slm.lr", 0.0),
    ("slm.lr", float("nan")),
    ("llm.full_lr", float("inf")),
    ("slm.batch_size", 0),
    ("llm.micro_batch_tokens", 0),
    ("llm.micro_batch_tokens", -8),
    ("slm.workers.count", 0),
    ("llm.workers.count", -1),
    ("llm.workers.cpus", 0),
    ("slm.workers.gpus", -1.0),
    ("slm.workers.max_failures", -1),
    ("score.actors", 0),
    ("score.cpus", 0.0),
    ("score.llm.batch_size", 0),
    ("score.llm.batch_tokens", 0),
    ("llm.vllm.tensor_parallel", 0),
    ("llm.vllm.memory_share", 1.5),
    ("llm.vllm.max_tokens", -1),
    ("score.unit_chars", 0),
    ("slm.max_chars", 0),
    ("slm.overlap", 200),
    ("llm.overlap", -1),
    ("slm.batch_size", 63),  # not shared evenly by two workers, see the test
    ("llm.batch_size", 0),
    ("llm.zero_stage", 0),
    ("slm.scratch.heads", 0),
    ("llm.scratch.hidden", 30),
    ("slm.scratch.dropout", 1.5),
    ("llm.warmup", -0.1),
    ("index.k", -1),
    ("seed", -1),
    ("llm.lora.r", 0),
    ("fusion.weight_steps", 0),
    ("fusion.max_concurrent_trials", 0),
    ("fusion.weight_min", 1.0),
    ("fusion.llm_reduction", []),
    ("tag.max_set_aside", -0.1),
]


@pytest.mark.parametrize(("key", "value"), OUT_OF_RANGE)
def test_a_value_out_of_range_is_refused_naming_key_and_value(key, value):
    config = with_value(key, value)
    if (key, value) == ("slm.batch_size", 63):
        config = with_value("slm.workers.count", 2, config)
    with pytest.raises(ConfigError) as caught:
        check_setting_values_and_combinations(config)
    assert str(caught.value).startswith(f"{key}: expected ")
    assert f"found {value or 'none' if value == [] else value}" in str(caught.value)


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        (
            ["llm.vllm.tensor_parallel=2"],
            r"^command line: llm.vllm.tensor_parallel: expected .*\(score.gpus=0\), found 2$",
        ),
        (["score.gpus=2"], r"^llm.vllm.tensor_parallel: expected .*\(score.gpus=2\), found 1$"),
        (["score.gpus=0.5"], r"^llm.vllm.memory_share: expected .*\(score.gpus=0.5\), found 0.8$"),
    ],
)
def test_settings_of_vllm_that_do_not_fit_the_gpus_of_an_actor_are_refused(settings, problem):
    with pytest.raises(ConfigError, match=problem):
        load_config(None, ["llm.engine=vllm", *settings])
    load_config(None, settings)  # without vLLM they mean nothing


@pytest.mark.parametrize("settings", [[], ["score.gpus=1"], ["score.gpus=2", "llm.vllm.tensor_parallel=2"],
                                      ["score.gpus=0.5", "llm.vllm.memory_share=0.4"]])  # fmt: skip
def test_settings_of_vllm_that_fit_are_taken(settings):
    load_config(None, ["llm.engine=vllm", *settings])


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        (
            ["llm.engine=vllm"],
            "^command line: llm.engine: expected transformers with score.llm.candidates=true, .* found vllm; or ",
        ),
        (
            ["llm.decoding=free", "llm.softmax_over=all", "llm.loss_over=all"],
            "^command line: llm.decoding: expected automaton with score.llm.candidates=true, .* found free; or ",
        ),
    ],
)
def test_an_llm_that_cannot_score_candidates_is_refused(settings, problem):
    with pytest.raises(ConfigError, match=problem):
        load_config(None, ["score.llm.candidates=true", *settings])
    load_config(None, settings)
    load_config(None, ["score.llm.candidates=true"])


@pytest.mark.parametrize("shares", [(0.0, 0.1), (-0.1, 0.1), (0.1, -0.1), (0.6, 0.4), (1.0, 0.0), (float("nan"), 0.1)])
def test_a_split_that_leaves_no_training_or_no_dev_part_is_refused(shares):
    config = with_value("split.test", shares[1], with_value("split.dev", shares[0]))
    with pytest.raises(ConfigError, match=r"^split"):
        check_setting_values_and_combinations(config)


def test_one_part_may_be_without_test_sentences():
    check_setting_values_and_combinations(with_value("split.test", 0.0))


def test_the_laptop_needs_no_llm_and_clusters_the_corpus_if_there_is_one():
    laptop = ROOT / "jobs" / "conf" / "laptop.yaml"
    config = load_config(laptop, ["corpus=texts/mine"])
    assert (config.llm.model, config.slm.family, config.slm.crf.unlabelled) == ("none", "crf", "texts/mine")
    assert not has_llm(config)
    assert characters_are_clustered(config)
    assert not characters_are_clustered(load_config(laptop))
    assert load_config(laptop, ["corpus=a", "slm.crf.unlabelled=b"]).slm.crf.unlabelled == "b"


def test_without_an_llm_its_settings_need_not_fit_together():
    wrong = ["slm.family=crf", "llm.load_in=nf4", "llm.full_epochs=1",
             "llm.engine=vllm", "llm.vllm.tensor_parallel=4", "llm.decoding=free"]  # fmt: skip
    assert load_config(None, [*wrong, "llm.model=none"])
    with pytest.raises(ConfigError, match=r"^index\.encoder: "):
        load_config(None, wrong)
