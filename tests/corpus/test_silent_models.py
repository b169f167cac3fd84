"""A model that finds no entity in a long text is named; a short text, and counts that are not known, are let pass."""

from dataclasses import replace

import pytest

from rayner.corpus.silent_models import MIN_CHARACTERS, EntityCounts, SilentModel
from rayner.rendering.warnings import translate_silent_models
from tests.corpus.test_run_record import COUNTS

FULL = EntityCounts(characters=5000, slm_entities=3, llm_characters=2000, llm_entities=2, entities=4)


@pytest.mark.parametrize(
    ("changes", "silent"),
    [
        ({}, []),
        ({"slm_entities": 0}, [SilentModel("slm", 5000)]),
        ({"llm_entities": 0}, [SilentModel("llm", 2000)]),
        ({"entities": 0}, [SilentModel("fused", 5000)]),
        (
            {"slm_entities": 0, "llm_entities": 0, "entities": 0},
            [SilentModel("slm", 5000), SilentModel("llm", 2000), SilentModel("fused", 5000)],
        ),
        ({"llm_entities": 0, "llm_characters": MIN_CHARACTERS - 1}, []),
        ({"llm_entities": 0, "llm_characters": MIN_CHARACTERS}, [SilentModel("llm", MIN_CHARACTERS)]),
        ({"slm_entities": 0, "entities": 0, "characters": MIN_CHARACTERS - 1}, []),
        ({"slm_entities": None, "entities": None}, []),
    ],
)
def test_silent_models_are_named(changes, silent):
    assert replace(FULL, **changes).find_silent_models() == silent


def test_a_corpus_that_an_older_rayner_tagged_gives_no_false_warning():
    assert COUNTS.slm_entities is None
    assert replace(COUNTS, characters=9999, entities=9).find_silent_models() == []
    assert replace(COUNTS, characters=9999, entities=0).find_silent_models() == [SilentModel("fused", 9999)]


def test_a_warning_says_who_found_nothing_and_where():
    line = SilentModel("slm", 27925).describe("the corpus")
    assert line.startswith("the small model found no entity in 27,925 characters of the corpus: ")
    (text,) = translate_silent_models("corpus", [SilentModel("llm", 27925)])
    assert text.en.startswith("The LLM found no entity in 27,925 characters of the corpus: ")
    assert text.zh.startswith("大模型在语料的 27,925 个字中没有找到任何实体")
