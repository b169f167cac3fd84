"""How unlike the training text a tagged corpus is."""

import unicodedata
from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rayner.corpus import novelty
from rayner.corpus.novelty import (
    MIN_NAMES,
    UNUSUAL_PER_REASON,
    DocumentNovelty,
    NewChars,
    NewNames,
    TrainingChars,
    choose_unusual_documents,
    compare_with_training,
)
from rayner.corpus.scripts.conversion import build_script_converter
from tests.corpus.tagged_corpora import document, entity, write_unit
from tests.strategies import at_most

NAMES = ["楚", "懷王", "張儀", "𠀀"]


@at_most(20)
@given(st.lists(st.lists(st.sampled_from(NAMES), max_size=9), min_size=1, max_size=3), st.sets(st.sampled_from(NAMES)))
def test_each_entity_counts_in_whatever_file_it_is(tmp_path_factory, units, known):
    tagged = tmp_path_factory.mktemp("t")
    for i, names in enumerate(units):
        text = "。".join(names)
        starts = [sum(len(name) + 1 for name in names[:k]) for k in range(len(names))]
        rows = [entity(f"{i}", start, name) for start, name in zip(starts, names, strict=True)]
        write_unit(tagged, f"unit-{i}.parquet", [document(f"{i}", text)], rows)
    counts = Counter(name for names in units for name in names)
    new = sum(n for name, n in counts.items() if name not in known)
    compared = compare_with_training(tagged, [], known)
    assert compared.names == NewNames(counts.total(), new)
    n_chars = sum(len(name) for name in counts.elements())
    assert (compared.corpus.characters, compared.corpus.new_characters) == (n_chars, n_chars)


def test_names_and_characters_are_compared_in_the_script_in_which_the_models_read_them(tmp_path):
    write_unit(tmp_path, "u.parquet", [document("d", "张仪")], [entity("d", 0, "张仪")])
    training = ["張儀為秦連橫說魏王，儀乃還報秦王。"] * 9
    converter = build_script_converter(training)
    as_it_is = compare_with_training(tmp_path, training, {"張儀"})
    converted = compare_with_training(tmp_path, training, {"張儀"}, converter=converter)
    assert (as_it_is.names, as_it_is.corpus) == (NewNames(1, 1), NewChars(2, 2, 1, 1))
    assert (converted.names, converted.corpus) == (NewNames(1, 0), NewChars(2, 0, 1, 0))
    assert NewNames(0, 0).new_share == NewChars().new_character_share == NewChars().new_bigram_share == 0


TEXTS = st.text(st.sampled_from("王楚𠀀\ue000a，。 \n\ud800"), max_size=30)


@at_most(60)
@given(st.lists(TEXTS, max_size=4), TEXTS, st.integers(1, 7))
def test_characters_and_bigrams_of_letters_count_wherever_a_long_text_is_cut(training, text, chars_at_once):
    def is_letter(char):
        category = unicodedata.category(char)
        return category[0] in "LN" or category == "Co"

    def bigrams(string):
        return [a + b for a, b in pairwise(string) if is_letter(a) and is_letter(b)]

    known_bigrams = {bigram for string in training for bigram in bigrams(string)}
    letters = [char for char in text if is_letter(char)]
    expected = NewChars(
        len(letters),
        sum(char not in "".join(training) for char in letters),
        len(bigrams(text)),
        sum(bigram not in known_bigrams for bigram in bigrams(text)),
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(novelty, "_CHARS_AT_ONCE", chars_at_once)
        assert TrainingChars(training).count_new(text) == expected


def test_held_out_sentences_are_compared_too(tmp_path):
    write_unit(tmp_path, "u.parquet", [document("d", "楚王")])
    compared = compare_with_training(tmp_path, ["楚王"], set(), ["楚人", "王"])
    assert (compared.corpus, compared.held_out) == (NewChars(2, 0, 1, 0), NewChars(3, 1, 1, 1))


def test_scores_are_counted_in_hundredths(tmp_path):
    scored = [{**entity("d", i, "楚"), "score": score} for i, score in enumerate((0.004, 0.25, 1.0, None))]
    write_unit(tmp_path, "u.parquet", [document("d", "楚楚楚楚")], scored)
    compared = compare_with_training(tmp_path, [], set())
    assert [i for i, n in enumerate(compared.score_counts) if n] == [0, 25, 99]
    assert compared.compute_share_below(0.25) == 1 / 3
    write_unit(tmp_path / "none", "u.parquet", [document("d", "楚")], [entity("d", 0, "楚")])
    assert compare_with_training(tmp_path / "none", [], set()).compute_share_below(0.5) is None


DOCUMENTS = st.lists(
    st.builds(
        lambda n_tagged, share, score: (n_tagged, int(share * n_tagged), score),
        st.integers(0, 3 * MIN_NAMES),
        st.floats(0, 1),
        st.none() | st.floats(0, 1),
    ),
    max_size=60,
)


@at_most(100)
@given(DOCUMENTS, st.integers(1, 30))
def test_unusual_documents_are_the_same_if_they_are_chosen_in_turn(counts, step):
    documents = [DocumentNovelty(f"{i:02}", NewNames(n, new), score) for i, (n, new, score) in enumerate(counts)]
    chosen = choose_unusual_documents(documents)
    kept = []
    for i in range(0, len(documents), step):
        kept = choose_unusual_documents([*kept, *documents[i : i + step]])
    assert kept == chosen
    assert len({document.doc_id for document in chosen}) == len(chosen) <= 2 * UNUSUAL_PER_REASON
    assert all(document.names.tagged >= MIN_NAMES for document in chosen)
    shares = [document.names.new_share for document in documents if document.names.tagged >= MIN_NAMES]
    by_names = chosen[:UNUSUAL_PER_REASON]
    assert [document.names.new_share for document in by_names] == sorted(shares, reverse=True)[:UNUSUAL_PER_REASON]
    left = [d.mean_score for d in documents if d.names.tagged >= MIN_NAMES and d not in by_names]
    lowest = sorted(score for score in left if score is not None)[:UNUSUAL_PER_REASON]
    assert [document.mean_score for document in chosen[UNUSUAL_PER_REASON:]] == lowest
