"""A change of a setting invalidates exactly the steps that are declared to depend on it."""

import dataclasses

import pytest

from rayner.config.declare import STEPS, StepIf, iter_settings
from rayner.config.loading import load_config
from rayner.config.setting_checks import check_setting_values_and_combinations
from rayner.config.settings import Config, get_setting
from rayner.config.step_settings import step_reads_setting, step_settings

SETTINGS = {info.key: info for info in iter_settings(Config)}
BASES = {
    "defaults": [],
    "pretrained encoder": ["slm.model=an/encoder", "index.encoder=another/encoder"],
    "crf": ["slm.family=crf", "index.encoder=ngrams", "llm.examples=none"],
    "crf with clusters": ["slm.family=crf", "slm.crf.unlabelled=a.txt", "index.encoder=ngrams", "llm.examples=fixed"],
    "pretrained llm": ["llm.model=a/decoder", "llm.instruction=標注：", "prompt.group=4"],
    "untrained llm": ["llm.model=a/decoder", "llm.epochs=0"],
    "no llm": ["llm.model=none", "slm.family=crf", "split.folds=3"],
    "hints": ["llm.hint=tags", "llm.model=a/decoder"],
    "llm from scratch": ["llm.full_epochs=2", "llm.epochs=0", "split.folds=3"],
}


def with_value(config, key, value):
    name, _, rest = key.partition(".")
    rest = rest or getattr(getattr(config, name), "PLAIN_VALUE", "")
    return dataclasses.replace(config, **{name: with_value(getattr(config, name), rest, value) if rest else value})


def other_values(info, value):
    """Some other values of the same type that are allowed by themselves."""
    declared = info.declaration
    if declared.choices:
        others = [choice for choice in declared.choices if choice != value and [choice] != value]
        return [[choice] for choice in others] if isinstance(value, list) else others
    if isinstance(value, bool):
        return [not value]
    if isinstance(value, int):
        return [value * 2 + 2, *([0] if declared.at_least == 0 and value else [])]
    if isinstance(value, float):
        return [value / 2 if value else 0.25]
    if isinstance(value, list):
        return [[*value, type(value[0])(1024)] if value else ["b.txt"]]
    if isinstance(value, dict):
        return [{**value, "X": "b"}]
    return ["b.txt", *([None] if value and info.default is None else [])]


def steps_with_other_settings(before, after):
    return {step for step in STEPS if step_settings(before, step) != step_settings(after, step)}


def test_every_setting_is_declared_for_some_steps_or_explicitly_for_none():
    assert [key for key, info in SETTINGS.items() if info.steps is None] == []
    named = {each.step if isinstance(each, StepIf) else each for info in SETTINGS.values() for each in info.steps}
    assert named == set(STEPS)


@pytest.mark.parametrize("base", BASES)
def test_a_change_of_a_setting_changes_the_inputs_of_exactly_the_steps_declared_for_it(base):
    before = load_config(None, BASES[base])
    inputs = {step: step_settings(before, step) for step in STEPS}
    n_changes = 0
    for key, info in SETTINGS.items():
        if info.declaration.by_content:
            continue
        for value in other_values(info, get_setting(before, key)):
            after = with_value(before, key, value)
            declared = {
                step
                for step in STEPS
                if step_reads_setting(before, step, info) or step_reads_setting(after, step, info)
            }
            changed = {step for step in STEPS if step_settings(after, step) != inputs[step]}
            assert changed == declared, (key, value)
            n_changes += 1
    assert n_changes > len(SETTINGS) - 5


@pytest.mark.parametrize("key", [key for key, info in SETTINGS.items() if info.declaration.by_content])
def test_the_place_of_a_text_is_no_input_where_its_content_is(key):
    base = [*BASES["crf"], "slm.crf.unlabelled=a.txt", "pretrain.exclude=a.txt"]
    before, after = load_config(None, base), load_config(None, [*base, f"{key}=b.txt"])
    assert steps_with_other_settings(before, after) == set()


def invalidated(*overrides, base=()):
    after = load_config(None, [*base, *overrides])
    check_setting_values_and_combinations(after)
    return steps_with_other_settings(load_config(None, base), after)


def test_which_softmax_is_read_retrains_nothing():
    assert invalidated("llm.softmax_over=all") == {"score", "tag_corpus", "tune_fusion"}


def test_scores_of_candidates_are_an_input_only_where_they_are_asked_for():
    """So predictions of before stay valid where they are not."""
    assert invalidated("score.llm.candidates=true") == {"score", "tag_corpus"}
    assert not any("score.llm.candidates" in step_settings(Config(), step) for step in STEPS)


def test_the_number_of_examples_retrains_the_llm_only_where_prompts_show_examples_and_never_rebuilds_the_index():
    assert invalidated("index.k=3") == {"train_llm", "score", "tag_corpus"}
    assert invalidated("index.k=3", base=["llm.examples=none"]) == set()
    assert invalidated("index.k=3", base=["llm.model=a/decoder", "llm.epochs=0"]) == {"score", "tag_corpus"}


def test_another_hint_retrains_the_llm_and_leaves_what_the_small_models_of_the_folds_predicted():
    assert invalidated("llm.hint=tags") == {"train_llm", "score", "tag_corpus"}
    assert invalidated("llm.hint=confidence", base=["llm.hint=tags"]) == {"train_llm", "score", "tag_corpus"}
    assert invalidated("llm.hint_folds=3", base=["llm.hint=tags"]) == {"cross_fit_slm"}  # and what depends on it
    assert invalidated("slm.max_chars=300", base=["llm.hint=tags"]) >= {"train_slm", "cross_fit_slm"}


def test_settings_of_what_is_not_used_invalidate_nothing():
    assert invalidated("slm.lr=1", "slm.scratch.hidden=8", base=BASES["crf"]) == set()
    assert invalidated("slm.crf.c1=1") == set()
    assert invalidated("slm.scratch.hidden=8", base=["slm.model=an/encoder"]) == set()
    assert invalidated("llm.lora.r=8", "llm.lr=1", base=["llm.epochs=0", "llm.full_epochs=1"]) == set()
    assert invalidated("llm.type_glosses={NR: 人}", base=["llm.instruction=標注："]) == set()


def test_without_an_llm_its_settings_its_gate_and_its_index_change_no_prediction():
    base = ["llm.model=none"]
    settings = ["llm.dtype=bfloat16", "llm.chat=false", "llm.softmax_over=all", "llm.examples=fixed", "prompt.group=4",
                "index.k=3", "score.llm.batch_size=2", "score.llm.batch_tokens=9", "gate.share=0.5"]  # fmt: skip
    assert invalidated(*settings, base=base) <= {"train_llm"}
    assert invalidated("score.slm.batch_size=2", base=base) == {"score", "tag_corpus"}


def test_a_run_without_an_llm_is_told_apart_from_one_with():
    assert invalidated("llm.model=none") >= {"score", "tune_fusion", "tag_corpus"}


def test_whether_tagging_asks_the_llm_is_recorded_by_what_follows_from_the_setting():
    assert invalidated("fusion.llm=always") == set()


def test_code_of_the_user_comes_with_its_fingerprint(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "own_reader_of_settings.py").write_text("READER = 1", encoding="utf-8")
    config = load_config(None, ["layout=own_reader_of_settings:READER"])
    before = step_settings(config, "data")["layout"]
    (tmp_path / "own_reader_of_settings.py").write_text("READER = 2", encoding="utf-8")
    assert before.startswith("own_reader_of_settings:READER ")
    assert step_settings(config, "data")["layout"] != before
