"""Sentences drawn at random from a tagged corpus, and what their corrections say of the corpus."""

import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rayner.corpus.review import estimate_file
from rayner.corpus.review.candidates import iter_candidates_by_document
from rayner.corpus.review.corrections import Corrections, read_corrections
from rayner.corpus.review.estimate import estimate_corpus
from rayner.corpus.review.estimate_file import (
    ESTIMATE_FILE,
    read_estimate,
    read_tagged_spans_by_place,
    write_estimate,
)
from rayner.corpus.review.estimate_table import format_estimate
from rayner.corpus.review.provenance import (
    PROVENANCE_FILE,
    Provenance,
    Review,
    ReviewSentence,
    make_review_sentence,
    read_provenance,
)
from rayner.corpus.review.random_sample import draw_positions, draw_random_sample
from rayner.corpus.review.selection import pick_sentences
from rayner.corpus.review.task_files import SENTENCES_FILE, write_review_folder
from rayner.errors import ConfigError, DamagedFileError, DataError
from rayner.rendering.estimate_sentences import describe_estimate
from rayner.text.segmentation import split_sentences
from rayner.text.spans import Span
from tests.corpus.tagged_corpora import document, entity, write_unit
from tests.strategies import at_most


@given(st.lists(st.integers(0, 60), max_size=12), st.integers(1, 300), st.integers())
def test_positions_are_distinct_and_each_document_gives_its_share(sizes, n, seed):
    found = draw_positions(sizes, n, random.Random(seed))
    assert len(found) == len(sizes)
    assert sum(map(len, found)) == min(n, sum(sizes))
    for positions, size in zip(found, sizes, strict=True):
        assert positions == sorted(set(positions))
        assert all(0 <= position < size for position in positions)
        assert abs(len(positions) - size * min(n, sum(sizes)) / max(1, sum(sizes))) < 1 + 1e-9


def test_each_sentence_has_the_same_chance():
    rounds = 4000
    drawn = Counter(
        (document, position)
        for seed in range(rounds)
        for document, positions in enumerate(draw_positions([4, 1, 0, 5], 3, random.Random(seed)))
        for position in positions
    )
    assert len(drawn) == 10
    assert all(count == pytest.approx(0.3 * rounds, rel=0.1) for count in drawn.values())


SIZES = {"史/0": ("楚", 30), "史/1": ("齊", 60), "漢/0": ("燕", 9), "漢/1": ("趙", 1)}
TEXTS = {doc_id: "".join(f"{name}{k}王曰善。" for k in range(n)) for doc_id, (name, n) in SIZES.items()}


@pytest.fixture
def tagged(tmp_path):
    """100 sentences in two books; the name at the start of each is tagged, of every third as another type."""
    rows, entities = [], []
    for doc_id, text in TEXTS.items():
        for k, (start, end) in enumerate(split_sentences(text)):
            rows.append({"doc_id": doc_id, "start": start, "end": end, "gated": True, "passes": 0, "error": None})
            entities.append(entity(doc_id, start, text[start], "NS" if k % 3 else "NG"))
    write_unit(tmp_path / "t", "u.parquet", [document(*item) for item in TEXTS.items()], entities, rows)
    return tmp_path / "t"


@pytest.mark.parametrize("n", [10, 40, 100, 1000])
def test_each_document_gives_its_share_and_the_same_seed_the_same_sample(tagged, n):
    sample = draw_random_sample(tagged, n, seed=3)
    assert sample.population == 100
    assert sample.types == ("NG", "NS")
    assert len(sample.candidates) == len({(c.doc_id, c.start) for c in sample.candidates}) == min(n, 100)
    counts = Counter(candidate.doc_id for candidate in sample.candidates)
    for doc_id, (_, size) in SIZES.items():
        assert abs(counts[doc_id] - size * min(n, 100) / 100) < 1
    assert draw_random_sample(tagged, n, seed=3) == sample
    in_order = sorted(sample.candidates, key=lambda c: (c.doc_id, c.start))
    assert n == 1 or sample.candidates != in_order  # whoever stops early has read a random sample too


def test_a_second_sample_has_other_sentences_of_the_same_corpus(tagged):
    first = draw_random_sample(tagged, 30)
    places = {(c.doc_id, c.start, c.end) for c in first.candidates}
    second = draw_random_sample(tagged, 90, places)
    assert second.population == 100
    assert len(second.candidates) == 70
    assert not places & {(c.doc_id, c.start, c.end) for c in second.candidates}


def test_progress_covers_both_readings(tagged):
    told = []
    draw_random_sample(tagged, 5, on_progress=lambda done, total: told.append((done, total)))
    assert told == [(i, 8) for i in range(1, 9)]


@at_most(25)
@given(st.data())
def test_the_estimate_compares_what_was_tagged_with_what_came_back(tmp_path_factory, data):
    """The sample goes out as a char-tab-tag file, is corrected there, and comes back."""
    folder = tmp_path_factory.mktemp("sample")
    rows, entities, truth = [], [], {}
    for doc_id, text in TEXTS.items():
        for start, end in split_sentences(text):
            rows.append({"doc_id": doc_id, "start": start, "end": end, "gated": True, "passes": 0, "error": None})
            entities.append(entity(doc_id, start, text[start]))
            truth[text[start:end]] = data.draw(st.sampled_from([(Span(0, 1, "NR"),), (), (Span(0, 2, "NR"),)]))
    write_unit(folder / "t", "u.parquet", [document(*item) for item in TEXTS.items()], entities, rows)
    sample = draw_random_sample(folder / "t", data.draw(st.integers(10, 100)))
    write_review_folder(sample, folder / "out", "evahan")
    marked = {c.text: truth[c.text] for c in sample.candidates}
    back = "\n\n".join("\n".join(f"{char}\t{tag}" for char, tag in zip(text, tags_of(text, spans), strict=True))
                       for text, spans in marked.items())  # fmt: skip
    (folder / "out" / SENTENCES_FILE).write_text(back + "\n", encoding="utf-8")
    provenance = read_provenance([folder / "out" / PROVENANCE_FILE])
    tagged_spans = read_tagged_spans_by_place(folder / "t", provenance.reviews[0].sentences)
    corrections = read_corrections([folder / "out" / SENTENCES_FILE], provenance, {"NR"})
    found = estimate_corpus(provenance, corrections, tagged_spans)
    right = sum(spans == (Span(0, 1, "NR"),) for spans in marked.values())
    n_gold = sum(map(len, marked.values()))
    assert (found.population, found.drawn, found.reviewed, found.in_order) == (100, len(marked), len(marked), True)
    assert found.all.precision.share == pytest.approx(right / len(marked))
    assert found.all.recall is None or found.all.recall.share == pytest.approx(right / n_gold)
    assert sum(found.sentences_per_book.values()) == len(marked)
    assert sum(score.gold for score in found.per_book.values()) == n_gold
    assert found.per_type["NR"] == found.all
    assert str(n_gold) in format_estimate(found, 5)


def tags_of(text, spans):
    tags = ["O"] * len(text)
    for span in spans:
        tags[span.start : span.end] = ["S-NR"] if span.end - span.start == 1 else ["B-NR", "E-NR"]
    return tags


def sentences(n, start=0):
    return tuple(ReviewSentence("d", i, i + 1, "", f"{i}", (Span(0, 1, "NR"),)) for i in range(start, start + n))


def provenance_of(*reviews):
    return Provenance(("NR",), {row.text: row for review in reviews for row in review.sentences}, reviews)


def estimate_by(reviews, reviewed):
    """What is said if the corpus is tagged as the sample shows, and the reviewed sentences are left as they were."""
    corrections = Corrections({row.text: row.predicted for row in reviewed})
    tagged_spans = {row.place: row.predicted for review in reviews for row in review.sentences}
    return estimate_corpus(provenance_of(*reviews), corrections, tagged_spans)


def test_what_was_left_out_at_the_end_is_fine_and_what_was_passed_over_is_warned_of():
    first, second = Review(sentences(10), 99), Review(sentences(10, 10), 99)
    found = estimate_by([first, second], [*first.sentences[:6], *second.sentences[:3]])
    assert (found.drawn, found.reviewed, found.in_order) == (20, 9, True)
    assert "warning" not in format_estimate(found, 5)
    found = estimate_by([first, second], [*first.sentences[:3], *first.sentences[4:]])
    assert not found.in_order
    assert "warning: sentences were passed over" in format_estimate(found, 5)


def test_equal_texts_at_two_places_count_twice():
    rows = (*sentences(4), ReviewSentence("e", 0, 1, "", "0", ()))
    found = estimate_by([Review(rows, 50)], rows[:4])
    assert (found.reviewed, found.all.gold, found.all.predicted) == (5, 5, 4)


@pytest.mark.parametrize(
    ("reviews", "reviewed", "said"),
    [
        ([Review(sentences(3), None)], sentences(3), "sentences that `rayner review pick` chose"),
        ([Review(sentences(3), 9), Review(sentences(3, 3), 8)], sentences(3), "samples of 8 and 9"),
        ([Review(sentences(3), 9)], (), "expected corrected sentences of the sample"),
    ],
)
def test_what_is_no_random_sample_is_refused(reviews, reviewed, said):
    with pytest.raises(ConfigError, match=said):
        estimate_by(reviews, reviewed)


def test_a_population_smaller_than_the_sample_is_refused(tagged, tmp_path):
    write_review_folder(draw_random_sample(tagged, 10), tmp_path / "out", "evahan")
    path = tmp_path / "out" / PROVENANCE_FILE
    path.write_text(path.read_text(encoding="utf-8").replace('"population": 100', '"population": 9'), encoding="utf-8")
    with pytest.raises(DataError, match=r"expected the provenance\.json of a review"):
        read_provenance([path])


def test_picked_sentences_are_no_sample(tagged, tmp_path):
    write_review_folder(pick_sentences(tagged, 10), tmp_path / "out", "evahan")
    assert [r.population for r in read_provenance([tmp_path / "out" / PROVENANCE_FILE]).reviews] == [None]
    assert sum(map(len, iter_candidates_by_document(tagged))) == 100


# ---- kept in the tagged corpus


def drawn(tagged, n=30):
    return [make_review_sentence(candidate) for candidate in draw_random_sample(tagged, n).candidates]


def test_the_tags_of_today_are_judged_whatever_they_were_when_the_sample_was_drawn(tagged):
    sample = drawn(tagged)
    assert read_tagged_spans_by_place(tagged, sample) == {row.place: row.predicted for row in sample}
    rows, entities = [], []
    for doc_id, text in TEXTS.items():
        for start, end in split_sentences(text):
            rows.append({"doc_id": doc_id, "start": start, "end": end, "gated": True, "passes": 0, "error": None})
            entities.append(entity(doc_id, end - 3, text[end - 3 : end - 1], "NR"))
    write_unit(tagged, "u.parquet", [document(*item) for item in TEXTS.items()], entities, rows)
    for row in sample:
        n = len(row.text)
        assert read_tagged_spans_by_place(tagged, [row]) == {row.place: (Span(n - 3, n - 1, "NR"),)}


@pytest.mark.parametrize(
    ("place", "said"), [(("史/0", 0, 9), "found another text there"), (("史/9", 0, 5), "found no such document")]
)
def test_a_sample_of_another_corpus_is_refused(tagged, place, said):
    with pytest.raises(ConfigError, match=said):
        read_tagged_spans_by_place(tagged, [ReviewSentence(*place, "", "齊0王曰善。", ())])


def test_an_estimate_is_kept_and_is_damaged_or_of_an_earlier_tagging(tagged, monkeypatch):
    assert read_estimate(tagged) is None
    sample = drawn(tagged)
    estimate = estimate_by([Review(tuple(sample), 100)], sample)
    write_estimate(tagged, estimate)
    assert read_estimate(tagged) == estimate
    digests = iter(["of now", "of then"])
    monkeypatch.setattr(estimate_file, "_read_records_sha256", lambda tagged: next(digests))
    write_estimate(tagged, estimate)
    assert read_estimate(tagged) is None
    path = tagged / ESTIMATE_FILE
    path.write_text(path.read_text(encoding="utf-8").replace("100", "101", 1), encoding="utf-8")
    with pytest.raises(DamagedFileError, match=r"estimate\.json"):
        read_estimate(tagged)


def test_what_an_estimate_says_is_said_in_both_languages():
    first = Review(sentences(10), 99)
    said = describe_estimate(estimate_by([first], first.sentences))
    assert said.en.startswith("A person marked 10 sentences of this corpus, drawn at random. By these, of 100 names ")
    assert "约 100 个正确" in said.zh
    said = describe_estimate(estimate_by([first], first.sentences[1:]))
    assert said.en.endswith("if they are the hard ones, the estimate is too good.")


def test_books_with_few_reviewed_sentences_are_kept_and_not_shown():
    rows = tuple(
        ReviewSentence(f"{'史' if i < 12 else '漢'}/{i}", 0, 1, "", f"{i}", (Span(0, 1, "NR"),)) for i in range(15)
    )
    found = estimate_by([Review(rows, 99)], rows)
    assert found.sentences_per_book == {"史": 12, "漢": 3}
    said = format_estimate(found, 5)
    assert "book 史" in said
    assert "book 漢" not in said
    assert "left out: 1 books with fewer than 10 reviewed sentences" in said


def test_a_place_whose_text_stands_elsewhere_too_is_not_drawn_again(tmp_path):
    text = "楚王曰善。" * 9
    rows = [
        {"doc_id": "d", "start": 5 * i, "end": 5 * i + 5, "gated": True, "passes": 0, "error": None} for i in range(9)
    ]
    write_unit(tmp_path / "t", "u.parquet", [document("d", text)], (), rows)
    write_review_folder(draw_random_sample(tmp_path / "t", 6), tmp_path / "out", "evahan")
    provenance = read_provenance([tmp_path / "out" / PROVENANCE_FILE])
    assert (len(provenance.sentences), len(provenance.by_text)) == (6, 1)
    rest = draw_random_sample(tmp_path / "t", 9, {sentence.place for sentence in provenance.sentences})
    assert len(rest.candidates) == 3


def test_a_sample_without_a_name_says_that_it_has_too_few():
    rows = tuple(ReviewSentence("d", i, i + 1, "", f"{i}", ()) for i in range(5))
    said = format_estimate(estimate_by([Review(rows, 50)], rows), 5)
    assert "The sample has too few names for an estimate" in said
