"""The plots are valid SVG, the same for the same numbers, and need nothing from outside."""

import re
from dataclasses import replace
from xml.etree import ElementTree

import numpy as np
import pytest

from rayner.evaluation.artifact import GatePoint, LlmShareCurve
from rayner.evaluation.calibration_records import ReliabilityBin
from rayner.evaluation.metrics import IntervalScore
from rayner.fusion.region_rule import RegionRule
from rayner.fusion.weight_search import WeightCurve
from rayner.report import plots
from tests.report.records import make_evaluation

RULE = RegionRule(0.25, "mean", "min", "slots")


def curves(n=3000):
    weights = np.linspace(-2, 3, n)
    f1 = 0.8 + 0.05 * np.exp(-((weights - 0.3) ** 2) / 0.02)
    return tuple(
        WeightCurve(entropy_reduction, llm_reduction, llm_confidence, tuple(weights), tuple(f1), 0.3, float(f1.max()))
        for entropy_reduction in ("mean", "max")
        for llm_reduction in ("mean", "min", "product")
        for llm_confidence in ("entities", "slots")
    )


def systems():
    """The scores of the three systems; no entity has the type ZZ."""
    scores = make_evaluation().systems
    empty = IntervalScore(0, 0, 0, (0.0, 0.0))
    per_type = {"NR": scores["slm"].per_type["NR"], "a<$b$": scores["slm"].per_type["NS"], "ZZ": empty}
    return {name: replace(scores[name], per_type=per_type) for name in ("slm", "llm", "fused")}


BINS = tuple(ReliabilityBin(i / 10, i / 10 + 0.1, i / 10 + 0.05, i / 10, i) for i in range(10))
SHARES = LlmShareCurve((0.0, 0.5, 1.0), (0.8, 0.85, 0.86), GatePoint(0.5, 0.85))
ALL = {
    "lambda": lambda: plots.plot_f1_by_lambda(curves(), RULE, {"slm": 0.8, "llm": 0.79, "fused": 0.85}),
    "reliability-fused": lambda: plots.plot_reliability(BINS),
    "reliability-slm": lambda: plots.plot_reliability(BINS, "slm"),
    "budget": lambda: plots.plot_f1_by_llm_share(SHARES),
    "types": lambda: plots.plot_f1_by_type(systems()),
}


@pytest.mark.parametrize("name", ALL)
def test_svg_is_whole_the_same_twice_and_needs_nothing(name):
    svg = ALL[name]()
    assert svg == ALL[name]()
    root = ElementTree.fromstring(svg)
    assert root.attrib["role"] == "img"
    assert root.attrib["aria-label"]
    assert "http" not in svg
    assert not re.search(r"<!|<\?|<metadata|<style|20\d\d-\d\d", svg)
    ids = re.findall(r'\bid="([^"]+)"', svg)
    assert len(ids) == len(set(ids))
    assert all(i.startswith(f"{name}-") for i in ids)
    used = set(re.findall(r'href="#([^"]+)"|url\(#([^)]+)\)', svg))
    assert {a or b for a, b in used} <= set(ids)
    assert "#0101" not in svg


def test_letters_stay_letters():
    texts = [e.text for e in ElementTree.fromstring(ALL["types"]()).iter() if e.tag.endswith("text")]
    assert {"NR", "a<$b$", "SLM", "LLM", "fused"} <= set(texts)
    assert "ZZ" not in texts


def test_chosen_weight_is_named():
    assert "chosen rule, λ = 0.25" in ALL["lambda"]()


def test_plots_of_next_to_nothing():
    reductions = (RULE.entropy_reduction, RULE.llm_reduction, RULE.llm_confidence)
    one, empty = (WeightCurve(*reductions, weights, f1, 0.25, 0.5) for weights, f1 in (((0.25,), (0.5,)), ((), ())))
    ElementTree.fromstring(plots.plot_f1_by_lambda([one], RULE, {}))
    ElementTree.fromstring(plots.plot_f1_by_lambda([empty], RULE, {"slm": 0.5}))
    ElementTree.fromstring(plots.plot_reliability([]))
    ElementTree.fromstring(plots.plot_f1_by_type({}))


def test_thinning_keeps_ends_order_and_extremes():
    rng = np.random.default_rng(0)
    for n in (1, 399, 400, 401, 5000):
        x, y = np.sort(rng.random(n)), rng.random(n)
        few, heights = plots.thin_keeping_extremes(x, y)
        assert len(few) == min(n, len(few)) <= 400
        assert heights.max() == y.max()
        assert heights.min() == y.min()
        assert (few[0], few[-1]) == (x[0], x[-1])
        assert (np.diff(few) >= 0).all()
