"""What was done, in the words of a methods section, with the very settings of the run."""

from collections.abc import Mapping
from typing import Any

from rayner.report.facts import shown

_SCRATCH = "scratch"


def paragraph(about: Mapping[str, Any], fusion: Mapping[str, Any], evaluation: Mapping[str, Any]) -> str:
    """A few sentences to cite, or "" where the run did not record its settings.

    about: as `pipeline.json` holds it; fusion: `fusion.json`; evaluation: `evaluation.json`, {} without test sentences.
    """
    config = about.get("config")
    if not config or not fusion or "labelled" not in about.get("counts", {}):
        return ""
    said = [_data(about, config), _small(config["slm"]), _large(config), _fusion(fusion, config)]
    return " ".join([*said, *_scores(evaluation), *_tagged(about, config), _versions(about)])


def _data(about: Mapping[str, Any], config: Mapping[str, Any]) -> str:
    parts = about["counts"]["labelled"]
    told = ", ".join(
        f"{shown(part['sentences'])} {name} sentences ({shown(part['entities'])} entities)"
        for name, part in (("training", parts["train"]), ("held-out", parts["dev"]), ("test", parts["test"]))
    )
    return f"Labelled text was divided by distinct sentence (seed {config['seed']}) into {told}."


def _small(slm: Mapping[str, Any]) -> str:
    if slm["family"] == "crf":
        crf = slm["crf"]
        seen = (
            f", with {' and '.join(crf['clusters'])} clusters of characters from unlabelled text"
            if crf["unlabelled"]
            else ""
        )
        return (
            f"The small model is a conditional random field over characters{seen} (L1 {crf['c1']}, L2 {crf['c2']}, at "
            f"most {crf['iterations']} iterations of L-BFGS)."
        )
    model = "an encoder made from scratch" if slm["model"] == _SCRATCH else f"the encoder {slm['model']}"
    return (
        f"The small model is {model}, fine-tuned for {slm['epochs']} epochs (batches of {slm['batch_size']}, peak "
        f"learning rate {slm['lr']:g}); the epoch with the highest F1 on the held-out sentences was kept."
    )


def _large(config: Mapping[str, Any]) -> str:
    llm = config["llm"]
    model = "a decoder made from scratch" if llm["model"] == _SCRATCH else f"the language model {llm['model']}"
    trained = []
    if llm["full_epochs"]:
        trained.append(f"for {_epochs(llm['full_epochs'])} with all parameters (peak learning rate {llm['full_lr']:g})")
    if llm["epochs"]:
        lora = llm["lora"]
        trained.append(f"for {_epochs(llm['epochs'])} by LoRA (rank {lora['r']}, alpha {lora['alpha']}, {llm['lr']:g})")
    how = f", trained {' and '.join(trained)} in batches of {llm['batch_size']}" if trained else ", not fine-tuned"
    shown_ = {
        "similar": f"the {config['index']['k']} most similar training sentences",
        "fixed": f"{config['index']['k']} fixed training sentences",
        "none": "no examples",
    }[llm["examples"]]
    return (
        f"The large model is {model}{how}; its prompt holds {shown_}. It copies the sentence with tags, under "
        "constrained decoding."
    )


def _epochs(n: int) -> str:
    return "one epoch" if n == 1 else f"{n} epochs"


def _fusion(fusion: Mapping[str, Any], config: Mapping[str, Any]) -> str:
    folds = config["split"]["folds"]
    where = (
        f"held-out sentences and, by {folds}-fold cross-fitting, on the training sentences"
        if folds
        else "held-out sentences"
    )
    if fusion["chosen"] == "spans":
        how = (
            "Each entity that either model proposes was accepted or not by a logistic rule on both models' "
            "probabilities and the training lexicon"
        )
    else:
        rule = fusion["rule"]
        how = (
            "Where the two differ, the small model wins if 1 - H >= lambda exp(P), with lambda = "
            f"{rule['weight']:.4g}, H reduced by {rule['entropy']} and P by {rule['probability']} of {rule['evidence']}"
        )
    return f"{how}, fitted on {where}."


def _scores(evaluation: Mapping[str, Any]) -> list[str]:
    if not evaluation:
        return []
    told = []
    for name, key in (("small", "slm"), ("large", "llm"), ("fused", "fused")):
        system = evaluation["systems"][key]
        f1, low, high = (100 * value for value in (system["micro"]["f1"], *system["interval"]))
        told.append(f"{name} {f1:.2f} ({low:.2f} to {high:.2f})")
    return [f"Strict micro F1 on the test sentences, in percent with 95% bootstrap intervals: {', '.join(told)}."]


def _tagged(about: Mapping[str, Any], config: Mapping[str, Any]) -> list[str]:
    counts = about["counts"]
    if not config["corpus"] or "segments" not in counts:
        return []
    skipped = 100 * counts["gated"] / max(1, counts["segments"])
    return [
        f"The corpus of {shown(counts['documents'])} documents ({shown(counts['characters'])} characters, "
        f"{shown(counts['segments'])} sentences) received {shown(counts['entities'])} entities; the large model was "
        f"skipped for {skipped:.1f}% of the sentences and {shown(counts['set_aside'])} were set aside."
    ]


def _versions(about: Mapping[str, Any]) -> str:
    versions = about.get("versions", {})
    return f"Software: {', '.join(f'{name} {number}' for name, number in versions.items())}." if versions else ""
