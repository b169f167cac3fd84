import pytest
from hypothesis import given
from hypothesis import strategies as st

from rayner.llm.prompts import (
    PartSpelling,
    PromptPart,
    build_example_parts_nearest_last,
    build_hinted_query_parts,
    build_instruction,
    build_instruction_parts,
    build_query_parts,
    build_tagged_parts,
    choose_examples_covering_types,
)
from rayner.text.hints import HintEntity, crop_hint
from rayner.text.labelled_text import LabelledSentence
from rayner.text.spans import Span
from tests.strategies import hints, tagged_texts

examples = st.builds(lambda drawn: LabelledSentence(*drawn), tagged_texts(max_size=12))


def text_of(parts):
    return "".join(part.content for part in parts if part.spelling is PartSpelling.COPIED)


def test_instruction_names_each_type_with_its_gloss_if_it_has_one():
    task = build_instruction({"NR": "人名", "NS": "", "T": "時間"})
    assert "NR（人名）、NS、T（時間）" in task
    assert "（）" not in task


@given(examples)
def test_the_copied_parts_of_a_tagged_sentence_are_its_text(example):
    parts = build_tagged_parts(example)
    assert text_of(parts) == example.text
    assert all(part.spelling is not PartSpelling.PROSE for part in parts)


@given(examples)
def test_the_tags_of_a_tagged_sentence_stand_around_its_entities(example):
    found, at, start = [], 0, None
    for part in build_tagged_parts(example):
        if part.spelling is PartSpelling.COPIED:
            at += len(part.content)
        elif part.spelling is PartSpelling.OPEN_TAG:
            assert start is None
            start = at, part.content
        else:
            found.append(Span(start[0], at, part.content))
            assert part.content == start[1]
            start = None
    assert start is None
    assert tuple(found) == example.spans


def test_overlapping_spans_are_refused():
    with pytest.raises(ValueError, match="overlaps"):
        build_tagged_parts(LabelledSentence("楚王", (Span(0, 2, "NR"), Span(0, 1, "NG"))))


@given(st.lists(examples, max_size=4), st.text(max_size=5))
def test_the_copied_parts_of_a_prompt_are_the_examples_from_the_least_similar_on_then_the_sentence(near, text):
    parts = [*build_instruction_parts("task"), *build_example_parts_nearest_last(near), *build_query_parts(text)]
    assert text_of(parts) == "".join(e.text for e in reversed(near)) + text


def test_a_prompt_is_task_examples_and_sentence_set_apart_by_prose():
    near = [LabelledSentence("近", (Span(0, 1, "NR"),)), LabelledSentence("遠", ())]
    assert [*build_instruction_parts("標注"), *build_example_parts_nearest_last(near), *build_query_parts("<楚>")] == [
        PromptPart(PartSpelling.PROSE, "標注\n"),
        PromptPart(PartSpelling.COPIED, "遠"),
        PromptPart(PartSpelling.PROSE, "\n"),
        PromptPart(PartSpelling.COPIED, ""),
        PromptPart(PartSpelling.OPEN_TAG, "NR"),
        PromptPart(PartSpelling.COPIED, "近"),
        PromptPart(PartSpelling.CLOSE_TAG, "NR"),
        PromptPart(PartSpelling.COPIED, ""),
        PromptPart(PartSpelling.PROSE, "\n"),
        PromptPart(PartSpelling.PROSE, "句："),
        PromptPart(PartSpelling.COPIED, "<楚>"),
        PromptPart(PartSpelling.PROSE, "\n答："),
    ]


def test_a_prompt_without_a_task_begins_with_the_sentence():
    assert [*build_instruction_parts(""), *build_example_parts_nearest_last([]), *build_query_parts("楚")][
        0
    ] == PromptPart(PartSpelling.PROSE, "句：")


@given(tagged_texts(12).flatmap(lambda drawn: st.tuples(st.just(drawn[0]), hints(drawn[1]))), st.booleans())
def test_a_hint_shows_the_sentence_with_the_tags_of_the_small_model_and_changes_nothing_else(drawn, with_confidence):
    text, hint = drawn
    parts = build_hinted_query_parts(text, hint, with_confidence=with_confidence)
    assert text_of(parts) == text
    prose = [part for part in parts if part.spelling is PartSpelling.PROSE]
    tagged = [part for part in parts if part not in prose]
    assert tagged == build_tagged_parts(LabelledSentence(text, tuple(entity.span for entity in hint)))
    assert len(prose) == 2 + sum(entity.confidence < 0.95 for entity in hint) * with_confidence
    assert (parts[0].content, parts[-1]) == ("初標：", build_query_parts(text)[-1])


@pytest.mark.parametrize(
    ("confidence", "written"),
    [
        (0.0, "0"),
        (0.04, "0"),
        (0.06, "10"),
        (0.849, "80"),
        (0.86, "90"),
        (0.949, "90"),
        (0.951, None),
        (1.0001, None),
    ],
)
def test_a_confidence_below_100_follows_its_entity_in_percent_rounded_to_tens(confidence, written):
    hint = [HintEntity(Span(0, 1, "NG"), confidence), HintEntity(Span(1, 2, "NR"), 0.5)]
    assert build_hinted_query_parts("楚王。", hint, with_confidence=True) == [
        PromptPart(PartSpelling.PROSE, "初標："),
        PromptPart(PartSpelling.COPIED, ""),
        PromptPart(PartSpelling.OPEN_TAG, "NG"),
        PromptPart(PartSpelling.COPIED, "楚"),
        PromptPart(PartSpelling.CLOSE_TAG, "NG"),
        *([PromptPart(PartSpelling.PROSE, f"（{written}%）")] if written else []),
        PromptPart(PartSpelling.COPIED, ""),
        PromptPart(PartSpelling.OPEN_TAG, "NR"),
        PromptPart(PartSpelling.COPIED, "王"),
        PromptPart(PartSpelling.CLOSE_TAG, "NR"),
        PromptPart(PartSpelling.PROSE, "（50%）"),
        PromptPart(PartSpelling.COPIED, "。"),
        PromptPart(PartSpelling.PROSE, "\n答："),
    ]


def test_a_hint_of_a_window_has_the_entities_that_lie_in_it():
    hint = [HintEntity(Span(0, 2, "NG"), 0.5), HintEntity(Span(3, 5, "NR"), 0.6), HintEntity(Span(5, 7, "T"), 0.7)]
    assert crop_hint(hint, 1, 6) == (HintEntity(Span(2, 4, "NR"), 0.6),)
    assert crop_hint(hint, 0, 7) == tuple(hint)


def example_of(text, *kinds):
    return LabelledSentence(text, tuple(Span(i, i + 1, kind) for i, kind in enumerate(kinds)))


def chosen_texts(pool, count):
    return [e.text for e in choose_examples_covering_types(pool, count)]


def test_fixed_examples_are_the_first_that_add_the_most_types():
    pool = [
        example_of("無無"),
        example_of("一一", "NR", "NR"),
        example_of("二二", "NR", "NS"),
        example_of("三三", "NB", "NG"),
        example_of("四四", "NS", "NB"),
    ]
    assert chosen_texts(pool, 5) == ["二二", "三三", "四四", "一一", "無無"]


def test_fixed_examples_that_add_as_many_types_are_the_richest_and_then_the_shortest():
    pool = [
        example_of("長長長長", "NR", "NR"),
        example_of("短短", "NR", "NR"),
        example_of("富富富", "NR", "NR", "NR"),
        example_of("極長極長極長", "NR", "NR", "NR", "NR", "NR"),
        example_of("貧", "NR"),
    ]  # the mean length is 3.2
    assert chosen_texts(pool, 5) == ["富富富", "短短", "貧", "極長極長極長", "長長長長"]


def test_a_long_sentence_is_a_fixed_example_only_for_a_type_that_no_shorter_one_has():
    long = example_of("長" * 20, "NR", "NS", "NB")
    pool = [long, example_of("一一", "NR"), example_of("二二", "NS"), example_of("三三", "NR", "NS")]
    assert chosen_texts(pool, 2) == ["三三", long.text]
    assert chosen_texts([*pool, example_of("四四", "NB")], 2) == ["三三", "四四"]


def test_fixed_examples_show_all_types_again_once_all_are_shown():
    pool = [example_of(f"{i}{i}", "NR", "NR") for i in range(3)] + [example_of(f"{i}{i}", "NS") for i in range(3, 6)]
    pool.append(example_of("罕罕", "NB"))
    kinds = [[span.type for span in e.spans] for e in choose_examples_covering_types(pool, 7)]
    # The only NB is shown once; it does not keep the others from being shown in turn.
    assert kinds == [["NR", "NR"], ["NS"], ["NB"], ["NR", "NR"], ["NS"], ["NR", "NR"], ["NS"]]


@given(st.lists(examples, max_size=8), st.integers(0, 10))
def test_a_sentence_without_an_entity_is_a_fixed_example_only_if_no_other_is_left(pool, count):
    chosen = choose_examples_covering_types(pool, count)
    assert sum(bool(e.spans) for e in chosen) == min(len(chosen), sum(bool(e.spans) for e in pool))


@given(st.lists(examples, max_size=8))
def test_as_many_fixed_examples_as_types_show_them_all(pool):
    kinds = {span.type for e in pool for span in e.spans}
    assert {span.type for e in choose_examples_covering_types(pool, len(kinds)) for span in e.spans} == kinds


@given(st.lists(examples, max_size=8), st.integers(0, 10))
def test_fixed_examples_are_as_many_as_asked_or_as_there_are_each_from_the_pool_once(pool, count):
    chosen = choose_examples_covering_types(iter(pool), count)
    assert len(chosen) == min(count, len(pool))
    left = list(pool)
    for example in chosen:
        left.remove(example)
    assert chosen == choose_examples_covering_types(pool, count)


@given(st.lists(examples, min_size=1, max_size=8))
def test_the_first_fixed_example_has_as_many_types_as_any_that_is_not_longer_than_the_mean(pool):
    def n_types(example):
        return len({span.type for span in example.spans})

    lengths = [len(e.text) for e in pool if e.spans]
    usual = [e for e in pool if e.spans and len(e.text) <= sum(lengths) / len(lengths)]
    first = choose_examples_covering_types(pool, 1)[0]
    assert n_types(first) == max(map(n_types, usual), default=0)


@given(st.lists(examples, max_size=8), st.integers(0, 5))
def test_fewer_fixed_examples_are_the_beginning_of_more(pool, count):
    assert choose_examples_covering_types(pool, count + 1)[:count] == choose_examples_covering_types(pool, count)
