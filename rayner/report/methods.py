"""The methods paragraph of the report: what the run did, with its settings and scores, in words to cite."""

from collections.abc import Mapping
from typing import Any

from rayner.rendering.bilingual import BilingualText, join_texts, same_in_both
from rayner.rendering.templates import format_value
from rayner.rendering.translation import translate, translate_setting

_SCRATCH = "scratch"


def compose_methods_paragraph(
    run_facts: Mapping[str, Any], fusion: Mapping[str, Any], evaluation: Mapping[str, Any]
) -> BilingualText | None:
    """A few sentences to cite, or None where the run did not record its settings.

    about: as `pipeline.json` holds it; fusion: `fusion.json`; evaluation: `evaluation.json`, {} without test sentences.
    """
    config = run_facts.get("config")
    if not config or not fusion or "labelled" not in run_facts.get("counts", {}):
        return None
    sentences = [_describe_data(run_facts, config), _describe_slm(config["slm"]), _describe_llm(config)]
    sentences.append(_describe_fusion(fusion, config))
    sentences += [*_describe_scores(evaluation), *_describe_corpus(run_facts, config), *_list_versions(run_facts)]
    return join_texts(sentences, translate("methods_space"))


def _describe_data(run_facts: Mapping[str, Any], config: Mapping[str, Any]) -> BilingualText:
    parts = run_facts["counts"]["labelled"]
    sizes = (
        translate(f"methods_{name}", format_value(parts[name]["sentences"]), format_value(parts[name]["entities"]))
        for name in ("train", "dev", "test")
    )
    return translate("methods_data", config["seed"], *sizes)


def _describe_slm(slm: Mapping[str, Any]) -> BilingualText:
    if slm["family"] == "crf":
        crf = slm["crf"]
        clusters: BilingualText | str = ""
        if crf["unlabelled"]:
            numbers = join_texts(map(same_in_both, map(str, crf["clusters"])), translate("methods_and"))
            clusters = translate("methods_clusters", numbers)
        return translate("methods_crf", clusters, crf["c1"], crf["c2"], crf["max_iterations"])
    if slm["family"] != "encoder":
        return translate("methods_custom_tagger", slm["family"])
    model = (
        translate("methods_encoder_scratch")
        if slm["model"] == _SCRATCH
        else translate("methods_encoder_named", slm["model"])
    )
    return translate("methods_encoder", model, slm["epochs"], slm["batch_size"], f"{slm['lr']:g}")


def _describe_llm(config: Mapping[str, Any]) -> BilingualText:
    llm = config["llm"]
    model = (
        translate("methods_decoder_scratch")
        if llm["model"] == _SCRATCH
        else translate("methods_decoder_named", llm["model"])
    )
    stages = []
    if llm["full_epochs"]:
        stages.append(translate("methods_all_parameters", _count_epochs(llm["full_epochs"]), f"{llm['full_lr']:g}"))
    if llm["epochs"]:
        lora = llm["lora"]
        stages.append(
            translate("methods_lora", _count_epochs(llm["epochs"]), lora["r"], lora["alpha"], f"{llm['lr']:g}")
        )
    training = (
        translate("methods_fine_tuned", join_texts(stages, translate("methods_then")), llm["batch_size"])
        if stages
        else translate("methods_not_fine_tuned")
    )
    examples = translate(f"methods_examples_{llm['examples']}", config["index"]["k"])
    return translate("methods_decoder", model, training, examples)


def _count_epochs(n: int) -> BilingualText:
    return translate("methods_one_epoch") if n == 1 else translate("methods_epochs", n)


def _describe_fusion(fusion: Mapping[str, Any], config: Mapping[str, Any]) -> BilingualText:
    folds = config["split"]["folds"]
    fitted_on = translate("methods_cross_fitted", folds) if folds else translate("methods_held_out")
    if fusion["chosen"] == "spans":
        rule = translate("methods_spans")
    elif fusion["chosen"] == "regions":
        settings = fusion["region_rule"]
        reductions = (
            translate_setting(settings[key]) for key in ("entropy_reduction", "llm_reduction", "llm_confidence")
        )
        rule = translate("methods_regions", f"{settings['weight']:.4g}", *reductions)
    else:
        rule = translate("methods_custom_rule", fusion["chosen"])
    return translate("methods_fitted", rule, fitted_on)


def _describe_scores(evaluation: Mapping[str, Any]) -> list[BilingualText]:
    if not evaluation:
        return []
    scores = []
    for name in ("slm", "llm", "fused"):
        system = evaluation["systems"][name]
        percents = (f"{100 * share:.2f}" for share in (system["micro"]["f1"], *system["interval"]))
        scores.append(translate(f"methods_score_{name}", *percents))
    return [translate("methods_scores", *scores)]


def _describe_corpus(run_facts: Mapping[str, Any], config: Mapping[str, Any]) -> list[BilingualText]:
    counts = run_facts["counts"]
    if not config["corpus"] or "segments" not in counts:
        return []
    gated = 100 * counts["gated"] / max(1, counts["segments"])
    sizes = [format_value(counts[key]) for key in ("documents", "characters", "segments", "entities")]
    return [translate("methods_corpus", *sizes, f"{gated:.1f}", format_value(counts["set_aside"]))]


def _list_versions(run_facts: Mapping[str, Any]) -> list[BilingualText]:
    versions = run_facts.get("versions", {})
    if not versions:
        return []
    return [translate("methods_software", ", ".join(f"{name} {version}" for name, version in versions.items()))]
