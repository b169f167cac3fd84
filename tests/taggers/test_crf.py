"""The CRF keeps the small model's contract: legal spans, an entropy a character, every text whole."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rayner.config.model_settings import CrfConfig, SlmConfig
from rayner.corpus.scripts.conversion import build_script_converter
from rayner.corpus.scripts.tables import load_script_tables
from rayner.errors import ConfigError, DamagedFileError, DataError
from rayner.evaluation.metrics import count_entities, micro_score
from rayner.taggers import crf as crfs
from rayner.taggers.crf_family import CrfFamily
from rayner.text.labelled_text import LabelledSentence
from rayner.text.spans import Span
from rayner.text.tags import legal_transitions
from tests.strategies import at_most, texts
from tests.taggers.test_encoder import proper

CONFIG = CrfConfig(max_iterations=40)


@pytest.fixture(scope="module")
def folder(sentences, labels, tmp_path_factory):
    folder = tmp_path_factory.mktemp("crf")
    crfs.train_crf(sentences[:200], labels, CONFIG, folder)
    return folder


@pytest.fixture(scope="module")
def crf(folder):
    return crfs.load_crf(folder)


@at_most(30)
@given(batch=st.lists(texts(60), max_size=5))
def test_every_text_gets_legal_spans_and_an_entropy_a_character(crf, batch):
    answers = crf.predict(batch)
    assert len(answers) == len(batch)
    assert all(proper(answer, text, crf.labels) for answer, text in zip(answers, batch, strict=True))


@given(text=texts(40))
def test_marginals_are_distributions(crf, text):
    (found,) = crf.iter_log_probs([text])
    assert found.shape == (len(text), len(crf.labels))
    np.testing.assert_allclose(np.exp(found).sum(axis=1), 1, atol=1e-5)


@given(batch=st.lists(texts(30), min_size=2, max_size=4))
def test_a_text_is_scored_alike_alone_and_among_others(crf, batch):
    for text, among in zip(batch, crf.predict(batch), strict=True):
        (alone,) = crf.predict([text])
        assert alone.spans == among.spans
        np.testing.assert_array_equal(alone.entropy, among.entropy)


def test_marginals_are_those_of_all_paths(crf):
    """On a text of three characters every path's probability can be summed: CRFsuite's own, by path."""
    text, known = "楚王怒", crf.field.labels()
    (found,) = crf.iter_log_probs([text])
    crf.field.set(crfs.extract_features(text, {}))
    total = np.zeros((3, len(crf.labels)))
    for a in known:
        for b in known:
            for c in known:
                p = crf.field.probability([a, b, c])
                for i, label in enumerate((a, b, c)):
                    total[i, crf.labels.index(label)] += p
    np.testing.assert_allclose(np.exp(found), total, atol=1e-6)


def test_it_learns_what_it_is_shown_and_finds_some_of_the_rest(crf, sentences, types):
    def f1(examples):
        answers = crf.predict([e.text for e in examples])
        return micro_score(count_entities([e.spans for e in examples], [a.spans for a in answers], types)).f1

    assert f1(sentences[:200]) > 0.95
    assert f1(sentences[200:]) > 0.3


def test_training_is_repeatable_and_tells_its_iterations(folder, sentences, labels, tmp_path):
    iterations = []
    crfs.train_crf(sentences[:200], labels, CONFIG, tmp_path, {}, lambda: iterations.append(1))
    assert 1 < len(iterations) <= CONFIG.max_iterations
    assert (tmp_path / crfs.DESCRIPTION_FILE).read_bytes() == (
        folder / crfs.DESCRIPTION_FILE
    ).read_bytes()  # with the model's digest


def test_a_label_that_training_never_showed_is_never_given(labels, tmp_path):
    wanted = (LabelledSentence("楚王怒去", (Span(0, 2, "NR"),)), LabelledSentence("懷王歸", (Span(0, 2, "NR"),)))
    crfs.train_crf(wanted, labels, CONFIG, tmp_path)
    crf = crfs.load_crf(tmp_path)
    assert crf.labels == labels
    (answer,) = crf.predict(["楚王怒去秦國將軍"])
    assert {span.type for span in answer.spans} <= {"NR"}
    assert legal_transitions(crf.labels).shape[0] == len(labels) + 1


def test_characters_met_in_training_are_known_and_others_not(crf, sentences):
    assert set(sentences[0].text) <= crf.characters
    assert "\U0002ffff" not in crf.characters


def test_nothing_to_train_on_is_an_error(labels, tmp_path):
    with pytest.raises(DataError, match="expected labelled sentences"):
        crfs.train_crf([LabelledSentence("", ())], labels, CONFIG, tmp_path)


@pytest.mark.parametrize("harm", ["absent", "truncated", "exchanged", "described wrongly", "other version"])
def test_a_model_that_is_not_as_training_wrote_it_is_refused(folder, tmp_path, harm):
    about = json.loads((folder / crfs.DESCRIPTION_FILE).read_text())
    model = (folder / crfs.MODEL_FILE).read_bytes()
    if harm != "absent":
        (tmp_path / crfs.MODEL_FILE).write_bytes(model[: len(model) // 2] if harm == "truncated" else model)
    if harm == "exchanged":
        about["sha256"] = "0" * 64
    if harm == "described wrongly":
        about.pop("labels")
    if harm == "other version":
        about["format_version"] = 99
    (tmp_path / crfs.DESCRIPTION_FILE).write_text(json.dumps(about))
    with pytest.raises(DamagedFileError if harm == "described wrongly" else ConfigError, match=str(tmp_path)):
        crfs.load_crf(tmp_path)


def test_clusters_are_seen_kept_and_tell_of_characters_never_met(labels, tmp_path):
    """Two surnames are never met in training, but share a cluster with those that are."""
    known, unknown = "趙錢孫李周吳", "馮陳"
    clusters = {char: [1, 1] for char in known + unknown} | {char: [0, 0] for char in "入出坐立怒笑"}
    wanted = [LabelledSentence(f"{verb}{name}", (Span(1, 2, "NR"),)) for name in known for verb in "入出坐立怒笑"]
    wanted += [LabelledSentence(f"{a}{b}", ()) for a in "入出坐立怒笑" for b in "入出坐立怒笑"]
    found = {}
    for name, own in (("with", clusters), ("without", {})):
        crfs.train_crf(wanted, labels, CONFIG, tmp_path / name, own)
        crf = crfs.load_crf(tmp_path / name)
        assert crf.clusters == own
        found[name] = crf.predict([f"怒{char}" for char in unknown])
    assert all(answer.spans == (Span(1, 2, "NR"),) for answer in found["with"])
    assert all(a.entropy[1] < b.entropy[1] for a, b in zip(found["with"], found["without"], strict=True))


def test_clusters_of_a_corpus_in_another_script_are_those_of_its_copy(sentences, labels, tmp_path):
    table = load_script_tables().simplified
    traditional = "".join(sentence.text for sentence in sentences[:200])
    simplified = "".join(table.get(char, (char,))[0] for char in traditional)
    converter = build_script_converter(sentence.text for sentence in sentences[:200])
    assert converter.target == "traditional"
    clusters = {}
    for name, text, encoding, matches in (
        ("copy", converter.convert(simplified), "utf-8", False),
        ("simplified", simplified, "gb18030", True),
    ):
        (tmp_path / f"{name}.txt").write_bytes(text.encode(encoding))
        config = CrfConfig(max_iterations=1, unlabelled=str(tmp_path / f"{name}.txt"), clusters=[4])
        family = CrfFamily(SlmConfig(crf=config), unlabelled_encoding=encoding, matches_script=matches)
        (tmp_path / name).mkdir()
        family.train(sentences[:200], labels, tmp_path / name, 1)
        clusters[name] = family.load(tmp_path / name).clusters
    assert clusters["simplified"] == clusters["copy"]
    assert simplified != traditional


def test_the_clusters_of_a_trained_crf_are_not_made_again(sentences, labels, tmp_path):
    text = tmp_path / "text.txt"
    text.write_text("".join(sentence.text for sentence in sentences[:200]), encoding="utf-8")
    family = CrfFamily(SlmConfig(crf=CrfConfig(max_iterations=1, unlabelled=str(text), clusters=[4])))
    for name in ("whole", "fold"):
        (tmp_path / name).mkdir()
    family.train(sentences[:200], labels, tmp_path / "whole", 1)
    text.unlink()  # so it cannot be read again
    family.with_clusters_of_trained_tagger(tmp_path / "whole").train(sentences[:100], labels, tmp_path / "fold", 1)
    clusters = family.load(tmp_path / "whole").clusters
    assert clusters
    assert family.load(tmp_path / "fold").clusters == clusters
