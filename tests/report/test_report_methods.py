"""The methods paragraph describes the run with its own settings, counts and scores."""

from dataclasses import replace

import pytest

from rayner.config.corpus_settings import CorpusConfig
from rayner.config.model_settings import CrfConfig, LlmConfig, SlmConfig
from rayner.config.settings import Config, SplitConfig
from rayner.corpus.run_record import CorpusCounts
from rayner.fusion.region_rule import RegionRule
from rayner.report.methods import compose_methods_paragraph
from tests.report.records import make_evaluation, make_fusion, make_run_facts

FUSION = make_fusion(RegionRule(0.125))
TAGGED = CorpusCounts(
    documents=2, characters=1234, segments=200, gated=50, set_aside=1, passes=300, entities=77, decided_by={},
    unknown_share=0.0,
)  # fmt: skip


def test_it_describes_the_split_both_models_the_rule_and_the_versions():
    config = Config(seed=7, llm=LlmConfig(model="some/model", epochs=3, examples="similar"))
    paragraph = compose_methods_paragraph(make_run_facts(config), FUSION, None).en
    for part in ("(seed 7)", "1,000 training sentences (10 entities)", "3,000 test sentences", "for 10 epochs",
                 "the language model some/model", "for 3 epochs by LoRA (rank 64", "the 5 most similar training",
                 "lambda = 0.125", "H reduced by mean", "rayner 9.9"):  # fmt: skip
        assert part in paragraph
    assert "corpus" not in paragraph
    assert "F1 on the test" not in paragraph


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"slm": SlmConfig(family="crf", crf=CrfConfig(unlabelled="x"))}, "with 32 and 512 character clusters"),
        ({"slm": SlmConfig(family="crf")}, "conditional random field over characters (L1 0.1"),
        ({"slm": SlmConfig(family="my_tagger:COUNTS")}, "The small model is a custom tagger (my_tagger:COUNTS)."),
        ({"llm": LlmConfig(full_epochs=4, epochs=0)}, "trained from scratch, trained for 4 epochs with all parameters"),
        ({"llm": LlmConfig(epochs=0, examples="none")}, "not fine-tuned. Its prompt contains no examples"),
        ({"llm": LlmConfig(examples="none", hint="tags")}, "contains no examples, and the sentence as the small model"),
        ({"llm": LlmConfig(hint="confidence")}, "as the small model tagged it, with its confidence in each entity. It"),
        ({}, "It copies the sentence and inserts tags, under constrained decoding."),
        ({"llm": LlmConfig(decoding="free")}, "It writes the sentence with tags, without constraints;"),
        ({"split": SplitConfig(folds=3)}, "by 3-fold cross-fitting"),
    ],
)
def test_it_follows_the_settings(change, expected):
    assert expected in compose_methods_paragraph(make_run_facts(replace(Config(), **change)), FUSION, None).en


def test_it_names_a_users_own_rule():
    paragraph = compose_methods_paragraph(make_run_facts(Config()), replace(FUSION, chosen="my_rule:BY_TYPE"), None)
    assert "fused by a custom rule (my_rule:BY_TYPE). The rule was fitted on held-out sentences." in paragraph.en
    assert "由自行编写的规则（my_rule:BY_TYPE）融合" in paragraph.zh


@pytest.mark.parametrize(
    ("interval", "sentence"),
    [
        (
            (-0.01, 0.03),
            "without asking the large model, because its worth on held-out sentences was not beyond chance.",
        ),
        ((0.01, 0.03), "by the control, without asking the large model. The tagged corpus"),
    ],
)
def test_it_says_why_the_corpus_was_tagged_without_the_llm(interval, sentence):
    fusion = replace(FUSION, llm_worth=replace(FUSION.llm_worth, interval=interval))
    facts = make_run_facts(Config(corpus=CorpusConfig("c")), tagged=TAGGED, asks_llm=False)
    assert sentence in compose_methods_paragraph(facts, fusion, None).en


def test_it_reports_scores_and_the_tagged_corpus():
    evaluation, fusion = make_evaluation(weight=0.125), replace(FUSION, chosen="spans")
    paragraph = compose_methods_paragraph(
        make_run_facts(Config(corpus=CorpusConfig("c")), tagged=TAGGED), fusion, evaluation
    ).en
    assert f"fused {100 * evaluation.systems['fused'].micro.f1:.2f} (" in paragraph
    worth = evaluation.llm_worth
    assert f"with every answer of the large model empty, reached {100 * worth.control_f1:.2f}." in paragraph
    assert f"the large model is worth {100 * worth.difference:+.2f} points" in paragraph
    assert "2 documents (1,234 characters, 200 sentences) and 77 entities" in paragraph
    assert "not asked about 25.0% of the sentences. 1 sentences were set aside" in paragraph
    assert "a logistic regression" in paragraph
