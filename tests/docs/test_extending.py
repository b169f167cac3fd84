"""Each example of `docs/extending.md` does what the page says."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from rayner.cli import main
from rayner.config.loading import load_config
from rayner.corpus.labelled_files import read_labelled_file
from rayner.corpus.labelled_sentences import split_labelled_text
from rayner.errors import ConfigError
from rayner.evaluation.metrics import count_entities, micro_score
from rayner.fusion.custom_rule import FittedCustomRule
from rayner.fusion.fusion_rule import FittingSample
from rayner.fusion.learned.lexicon import Lexicon
from rayner.runs.run_folder import Run
from rayner.steps.fusion_rules import load_custom_rule
from rayner.steps.loading import load_tagger_family
from rayner.steps.preflight import check_and_describe_training
from rayner.text.spans import Span
from rayner.text.tags import bmes_labels
from tests.fusion.test_span_rule import one
from tests.report.synthetic import TYPES, rows


def test_the_reader_reads_json_lines(desk):
    documents = [
        {"text": "懷王入秦。", "label": [[0, 2, "PER"], [3, 4, "LOC"]]},
        {"text": "𠮷見之", "label": [[0, 1, "PER"]]},
    ]
    Path("a.jsonl").write_text(
        "\n".join(json.dumps(document, ensure_ascii=False) for document in documents), encoding="utf-8"
    )
    labelled = read_labelled_file("a.jsonl", layout="my_reader:doccano")
    assert labelled.text == "懷王入秦。\n𠮷見之\n"
    assert labelled.spans == (Span(0, 2, "PER"), Span(3, 4, "LOC"), Span(6, 7, "PER"))


def test_the_format_writes_brackets(desk):
    assert main(["export", "TAGGED", "--to", "my_format:BRACKETS", "OUT", "--tags", "names.yaml"]) == 0
    written = Path("OUT/書/一.txt").read_text(encoding="utf-8")
    assert written == "[楚|NG]使怒去歸告[懷王|NR]。秦惠王之時[蘇秦|NR]死於齊。"


def fit_by_type(segments, types):
    name = "my_rule:BY_TYPE"
    sample = FittingSample(segments, tuple(types), Lexicon({}, {}), {}, np.zeros(1), 1.0)
    return FittedCustomRule(name, load_custom_rule(name), tuple(types)).fit(sample).rule


def test_the_rule_trusts_the_better_model_of_each_type(desk):
    rule = fit_by_type(rows(), TYPES)
    assert set(rule.fitted) == set(TYPES)
    assert set(rule.fitted.values()) <= {"slm", "llm"}
    place, name, wrong = Span(0, 1, "NS"), Span(2, 3, "NR"), Span(2, 3, "NG")
    llm_places = [one("楚王怒去", (name,), (place, wrong), (place, name))] * 3
    rule = fit_by_type(llm_places, ("NG", "NR", "NS"))
    assert rule.fitted == {"NG": "slm", "NR": "slm", "NS": "llm"}
    assert [(d.span, d.decided_by) for d in rule.decide(llm_places[0])] == [(place, "llm"), (name, "slm")]
    slm_only = fit_by_type(llm_places, ("NG", "NR"))
    assert not slm_only.could_change(llm_places[0])


def test_the_tagger_learns(desk, tmp_path):
    labelled = read_labelled_file("labelled.txt")
    examples = split_labelled_text(labelled.text, labelled.spans)
    types = sorted({span.type for span in labelled.spans})
    train, dev = examples[:1200], examples[1200:]
    (tmp_path / "slm").mkdir()
    family = load_tagger_family(load_config(None, ["slm.family=my_tagger:COUNTS", "index.encoder=ngrams"]))
    family.one_process_trainer.train(train, bmes_labels(types), tmp_path / "slm", 1, lambda: None)
    tagger = family.load(tmp_path / "slm", torch.device("cpu"), batch_size=8)
    answers = tagger.predict([example.text for example in dev])
    assert micro_score(count_entities([e.spans for e in dev], [a.spans for a in answers], types)).f1 > 0.6
    assert all(np.isfinite(answer.entropy).all() for answer in answers)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        (
            "layout=my_reader:doccan",
            "layout: expected a name in the module my_reader, found none called 'doccan'; did you",
        ),
        ("slm.family=my_tagger:train", "slm.family: expected a CustomTagger, found my_tagger:train of type function"),
        ("fusion.rules=my_rule:fit", "fusion.rules: expected a CustomRule, found my_rule:fit of type function"),
    ],
)
def test_a_dry_run_refuses_a_wrong_name(desk, setting, message):
    config = load_config(
        "jobs/conf/laptop.yaml", ["run=runs/new", "train=labelled.jsonl", "layout=my_reader:doccano", setting]
    )
    with pytest.raises(ConfigError, match=f"^{message}"):
        check_and_describe_training(config, Run(Path("runs/new")))
