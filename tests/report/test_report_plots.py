import re
from xml.etree import ElementTree

import numpy as np
import pytest

from rayner.report import plots

CHOSEN = {"weight": 0.25, "entropy_reduction": "mean", "llm_reduction": "min", "llm_confidence": "slots"}


def curves(n=3000):
    weights = np.linspace(-2, 3, n)
    return [
        {
            "entropy_reduction": entropy,
            "llm_reduction": probability,
            "llm_confidence": evidence,
            "weights": weights.tolist(),
            "f1": (0.8 + 0.05 * np.exp(-((weights - 0.3) ** 2) / 0.02)).tolist(),
        }
        for entropy in ("mean", "max")
        for probability in ("mean", "min", "product")
        for evidence in ("entities", "slots")
    ]


def bars():
    def row(f1, n):
        return {"f1": f1, "gold": n, "predicted": n, "interval": [f1 - 0.1, f1 + 0.05]}

    return {
        name: {"per_type": {"NR": row(0.5 + i / 10, 4), "a<$b$": row(0.4, 2), "ZZ": row(0.0, 0)}}
        for i, name in enumerate(("slm", "llm", "fused"))
    }


BINS = [{"low": i / 10, "high": i / 10 + 0.1, "mean": i / 10 + 0.05, "right": i / 10, "n": i} for i in range(10)]
ALL = {
    "lambda": lambda: plots.plot_f1_by_lambda(curves(), CHOSEN, {"slm": 0.8, "llm": 0.79, "fused": 0.85}),
    "reliability-fused": lambda: plots.plot_reliability(BINS),
    "reliability-slm": lambda: plots.plot_reliability(BINS, "slm"),
    "types": lambda: plots.plot_f1_by_type(bars()),
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
    one = [{**CHOSEN, "weights": [0.25], "f1": [0.5]}]
    ElementTree.fromstring(plots.plot_f1_by_lambda(one, CHOSEN, {}))
    ElementTree.fromstring(plots.plot_f1_by_lambda([{**CHOSEN, "weights": [], "f1": []}], CHOSEN, {"slm": 0.5}))
    ElementTree.fromstring(plots.plot_reliability([]))
    ElementTree.fromstring(plots.plot_f1_by_type({}))


def test_thinning_keeps_ends_order_and_extremes():
    rng = np.random.default_rng(0)
    for n in (1, 399, 400, 401, 5000):
        x, y = np.sort(rng.random(n)), rng.random(n)
        few, heights = plots.thin_points(x, y)
        assert len(few) == min(n, len(few)) <= 400
        assert heights.max() == y.max()
        assert heights.min() == y.min()
        assert (few[0], few[-1]) == (x[0], x[-1])
        assert (np.diff(few) >= 0).all()
