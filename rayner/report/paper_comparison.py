"""The paper's table beside ours: pure values in, rows, Markdown and CSV out.

The published numbers are facts of the paper (method, section 5): token-level macro F1 on a 10% split of the training
data, in [0, 1]. The paper does not say whether the tag O counts; both readings of ours are given.
"""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

PUBLISHED_F1: dict[str, dict[str, float]] = {
    "few shot": {"A": 0.2626, "B": 0.4072, "C": 0.2492},
    "similarity prompt": {"A": 0.4400, "B": 0.6367, "C": 0.5182},
    "SFT + few shot": {"A": 0.6737, "B": 0.8329, "C": 0.5878},
    "SFT + similarity prompt": {"A": 0.8350, "B": 0.8694, "C": 0.6381},
    "SLM": {"A": 0.8305, "B": 0.8738, "C": 0.7207},
    "fused": {"A": 0.8855, "B": 0.8824, "C": 0.7733},
}
COLUMNS = (
    "dataset", "seed", "setting", "system", "sentences", "precision", "recall", "micro_f1", "low", "high", "macro_f1",
    "token_macro_with_o", "token_macro_without_o", "published",
)  # fmt: skip
SYSTEM_NAMES = {"slm": "SLM", "llm": "LLM", "fused": "fused", "fused_regions": "fused by regions",
           "fused_calibrated": "fused by calibrated confidence", "fused_characters": "fused by characters"}  # fmt: skip


def list_score_rows(dataset: str, seed: int, setting: str, evaluation: Mapping[str, Any]) -> list[dict[str, Any]]:
    """A row for each system of a run's evaluation on its test part, and one for the oracle over its conflict regions.

    setting: how the LLM was trained and asked; the paper's row of that name is the LLM's.
    """
    out = []
    for key, name in SYSTEM_NAMES.items():
        if key not in evaluation["systems"]:
            continue
        found = evaluation["systems"][key]
        published = PUBLISHED_F1.get(setting if key == "llm" else name, {})
        out.append(
            {
                "dataset": dataset, "seed": seed, "setting": setting, "system": name,
                "sentences": evaluation["n_sentences"],
                "precision": found["micro"]["precision"], "recall": found["micro"]["recall"],
                "micro_f1": found["micro"]["f1"], "low": found["interval"][0], "high": found["interval"][1],
                "macro_f1": found["macro_f1"], "token_macro_with_o": found["token_macro_with_o"],
                "token_macro_without_o": found["token_macro_without_o"], "published": published.get(dataset),
            }
        )  # fmt: skip
    oracle = {"dataset": dataset, "seed": seed, "setting": setting, "system": "oracle over regions",
              "sentences": evaluation["n_sentences"], "micro_f1": evaluation["regions"]["oracle_f1"]}  # fmt: skip
    return [*out, dict.fromkeys(COLUMNS) | oracle]


def measure_fusion_gain(dataset: str, seed: int, setting: str, evaluation: Mapping[str, Any]) -> dict[str, Any]:
    """What the fusion gains on the better of its two models, in F1, and how far it goes towards the oracle.

    `micro_gain`, `low`, `high`: strict micro F1 with its paired interval; `token_gain`: token macro with O;
    `way`: share of the way from the better model to the oracle, None where there is none to go.
    """
    systems = evaluation["systems"]
    better = max(("slm", "llm"), key=lambda name: systems[name]["micro"]["f1"])
    gain, low, high = evaluation["paired"][f"fused-{better}"]
    token = systems["fused"]["token_macro_with_o"] - max(systems[n]["token_macro_with_o"] for n in ("slm", "llm"))
    open_way = evaluation["regions"]["oracle_f1"] - systems[better]["micro"]["f1"]
    return {
        "dataset": dataset, "seed": seed, "setting": setting, "better": SYSTEM_NAMES[better], "micro_gain": gain,
        "low": low, "high": high, "token_gain": token, "way": gain / open_way if open_way > 0 else None,
    }  # fmt: skip


def rows_to_csv(rows: Iterable[Mapping[str, Any]]) -> str:
    """The rows with a head line; shares as they are."""
    stream = io.StringIO()
    writer = csv.DictWriter(stream, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return stream.getvalue()


def rows_to_markdown(rows: Sequence[Mapping[str, Any]], gains: Sequence[Mapping[str, Any]]) -> str:
    """Both tables, in percent."""
    head = ["set", "seed", "LLM", "system", "P", "R", "micro F1", "95% interval", "macro F1",
            "token macro, with O", "without O", "paper"]  # fmt: skip
    lines = [head, ["---"] * len(head)]
    for row in rows:
        lines.append(
            [
                row["dataset"], str(row["seed"]), row["setting"], row["system"],
                *(_percent(row[key]) for key in ("precision", "recall", "micro_f1")),
                f"{_percent(row['low'])} to {_percent(row['high'])}" if row["low"] is not None else "",
                *(_percent(row[k]) for k in ("macro_f1", "token_macro_with_o", "token_macro_without_o", "published")),
            ]
        )  # fmt: skip
    more = ["set", "seed", "LLM", "better model", "fused, micro F1", "95% interval", "token macro", "way to the oracle"]
    lines += [[], more, ["---"] * len(more)]
    for gain in gains:
        lines.append(
            [
                gain["dataset"], str(gain["seed"]), gain["setting"], gain["better"], f"{100 * gain['micro_gain']:+.2f}",
                f"{100 * gain['low']:+.2f} to {100 * gain['high']:+.2f}", f"{100 * gain['token_gain']:+.2f}",
                "" if gain["way"] is None else f"{gain['way']:.0%}",
            ]
        )  # fmt: skip
    return "\n".join(f"| {' | '.join(line)} |" if line else "" for line in lines) + "\n"


def _percent(share: float | None) -> str:
    return "" if share is None else f"{100 * share:.2f}"
