"""Small models of the user's own keep the small model's contract, or are refused in one line."""

import json

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rayner.config.plugins import load_plugin
from rayner.errors import ConfigError, NotFiniteError
from rayner.taggers.custom_tagger import DESCRIPTION_FILE, CustomTagger, CustomTaggerFamily
from rayner.text.labelled_text import LabelledSentence
from rayner.text.spans import Span
from rayner.text.tags import bmes_labels
from tests.strategies import at_most, texts
from tests.taggers.test_encoder import proper

LABELS = bmes_labels(["NR", "NS"])
TAGGER = """
    import numpy as np
    from rayner.taggers.custom_tagger import CustomTagger

    def train(examples, labels, folder, seed):
        (folder / "names").write_text("".join(e.text[s.start] for e in examples for s in e.spans) + str(seed))

    def load(folder, labels):
        names = (folder / "names").read_text()

        def tag(text):
            rows = np.zeros((len(text), len(labels)))
            rows[np.arange(len(text)), [labels.index("S-NR") if char in names else 0 for char in text]] = 1
            with np.errstate(divide="ignore"):
                return np.log(rows)  # minus infinity is a logarithm, too

        return lambda texts: [tag(text) for text in texts]

    NAMES = CustomTagger(train, load)
    def always(answer):
        return CustomTagger(train, lambda folder, labels: lambda texts: answer(texts, len(labels)))
    FEWER = always(lambda texts, n: [])
    NARROW = always(lambda texts, n: [np.zeros((len(t), n - 1)) for t in texts])
    RAW = always(lambda texts, n: [np.zeros((len(t), n)) for t in texts])
    NAN = always(lambda texts, n: [np.full((len(t), n), np.nan) for t in texts])
    HUGE = always(lambda texts, n: [np.full((len(t), n), 1e300) for t in texts])
"""


def family_of(name):
    """The adapter around one of the taggers of the user's module."""
    functions = load_plugin("slm.family", name, CustomTagger, "a CustomTagger")
    return CustomTaggerFamily(name, functions)


@pytest.fixture
def trained(own_module, tmp_path):
    own_module("own_tagger", TAGGER)
    examples = [
        LabelledSentence("楚王怒", (Span(0, 1, "NR"),)),
        LabelledSentence("", ()),
        LabelledSentence("秦使", (Span(0, 1, "NR"),)),
    ]
    folder = tmp_path / "slm"
    folder.mkdir()
    family_of("own_tagger:NAMES").train(examples, LABELS, folder, 7)
    return folder


@settings(at_most(30), suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(batch=st.lists(texts(30), max_size=4))
def test_every_text_gets_legal_spans_and_an_entropy_a_character(trained, batch):
    answers = family_of("own_tagger:NAMES").load(trained).predict(batch)
    assert len(answers) == len(batch)
    for text, answer in zip(batch, answers, strict=True):
        assert proper(answer, text, LABELS)
        assert answer.spans == tuple(Span(i, i + 1, "NR") for i, char in enumerate(text) if char in "楚秦7")
        assert np.isfinite(answer.log_probs).all()
        assert np.isfinite(answer.entropy).all()


def test_it_knows_what_it_was_trained_on(trained):
    family = family_of("own_tagger:NAMES")
    assert family.load(trained).labels == LABELS
    assert family.load_known_characters(trained) == set("楚王怒秦使")


@pytest.mark.parametrize(
    ("name", "error", "said"),
    [
        ("FEWER", ConfigError, r"2 answers, one a text, found 0"),
        ("NARROW", ConfigError, r"log-probabilities of shape \(2, 9\), found \(2, 8\)"),
        ("RAW", ConfigError, "log-probabilities whose exponentials add up to 1, found 9"),
        ("NAN", NotFiniteError, "log-probabilities whose exponentials add up to 1, found nan"),
        ("HUGE", NotFiniteError, "log-probabilities whose exponentials add up to 1, found inf"),
    ],
)
def test_an_answer_that_is_no_distribution_is_refused(trained, name, error, said):
    tagger = family_of(f"own_tagger:{name}").load(trained)
    with pytest.raises(error, match=f"^slm.family: expected of own_tagger:{name} {said}$"):
        tagger.predict(["楚王", "", "怒"])


def test_what_is_no_tagger_and_a_folder_without_one_are_refused(trained, tmp_path):
    with pytest.raises(
        ConfigError, match=r"^slm.family: expected a CustomTagger, found own_tagger:load of type function"
    ):
        family_of("own_tagger:load")
    with pytest.raises(ConfigError, match="expected a trained tagger, found: "):
        family_of("own_tagger:NAMES").load_known_characters(tmp_path)


def test_a_description_of_another_format_version_is_one_clear_error(trained):
    path = trained / DESCRIPTION_FILE
    path.write_text(json.dumps({**json.loads(path.read_text()), "format_version": 2}))
    with pytest.raises(ConfigError, match=r"expected format_version 1, found version 2 .*, or train the model again"):
        family_of("own_tagger:NAMES").load(trained)
    path.write_text(json.dumps({"labels": [], "characters": ""}))
    with pytest.raises(ConfigError, match="expected format_version 1, found a file without one"):
        family_of("own_tagger:NAMES").load(trained)
