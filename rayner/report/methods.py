"""Write the methods paragraph of the report: the data, settings and scores of the run, for use in a paper."""

from rayner.config.model_settings import LlmConfig, SlmConfig
from rayner.corpus.run_record import CorpusCounts
from rayner.evaluation.artifact import Evaluation
from rayner.fusion.artifact import TunedFusion
from rayner.fusion.character_rule import CharacterRule
from rayner.fusion.control import LlmWorth
from rayner.fusion.learned.document_rule import DocumentRule
from rayner.fusion.learned.span_rule import SpanRule
from rayner.fusion.region_rule import RegionRule, llm_score
from rayner.rendering.bilingual import BilingualText, join_texts, same_in_both
from rayner.rendering.templates import format_value
from rayner.rendering.translation import translate, translate_setting
from rayner.report.run_facts import RunFacts

_SCRATCH = "scratch"  # the name of a model that is trained from random weights


def compose_methods_paragraph(run_facts: RunFacts, fusion: TunedFusion, evaluation: Evaluation | None) -> BilingualText:
    """Describe the data, the models, the fusion and the results in a few sentences.

    evaluation: None if there are no test sentences.
    """
    sentences = [
        _describe_data(run_facts),
        _describe_slm(run_facts.slm),
        *([_describe_llm(run_facts.llm, run_facts.index.k)] if fusion.has_llm else []),
        _describe_fusion(fusion, run_facts.split.folds),
    ]
    if evaluation:
        sentences.append(_describe_scores(evaluation))
    if run_facts.tagged:
        sentences += _describe_corpus(run_facts.tagged, fusion.llm_worth, asks_llm=run_facts.asks_llm)
    versions = ", ".join(f"{name} {version}" for name, version in run_facts.versions.items())
    sentences.append(translate("methods_software", versions))
    return join_texts(sentences, translate("methods_space"))


def _describe_data(run_facts: RunFacts) -> BilingualText:
    labelled = run_facts.labelled
    sizes = (
        translate(f"methods_{name}", format_value(labelled[name].sentences), format_value(labelled[name].entities))
        for name in ("train", "dev", "test")
    )
    return translate("methods_data", translate(f"methods_by_{run_facts.held_out_by}"), run_facts.seed, *sizes)


def _describe_slm(slm: SlmConfig) -> BilingualText:
    if slm.family == "crf":
        clusters: BilingualText | str = ""
        if slm.crf.unlabelled:
            numbers = join_texts(map(same_in_both, slm.crf.clusters), translate("methods_and"))
            clusters = translate("methods_clusters", numbers)
        return translate("methods_crf", clusters, slm.crf.c1, slm.crf.c2, slm.crf.max_iterations)
    if slm.family != "encoder":
        return translate("methods_custom_tagger", slm.family)
    model = _name_model("encoder", slm.model)
    return translate("methods_encoder", model, slm.epochs, slm.batch_size, f"{slm.lr:g}")


def _describe_llm(llm: LlmConfig, n_examples: int) -> BilingualText:
    stages = []
    if llm.full_epochs:
        stages.append(translate("methods_all_parameters", _count_epochs(llm.full_epochs), f"{llm.full_lr:g}"))
    if llm.epochs:
        epochs = _count_epochs(llm.epochs)
        stages.append(translate("methods_lora", epochs, llm.lora.r, llm.lora.alpha, f"{llm.lr:g}"))
    training = (
        translate("methods_fine_tuned", join_texts(stages, translate("methods_then")), llm.batch_size)
        if stages
        else translate("methods_not_fine_tuned")
    )
    examples = translate(f"methods_examples_{llm.examples}", n_examples)
    if llm.hint != "none":
        examples = join_texts([examples, translate(f"methods_hint_{llm.hint}")], same_in_both(""))
    decoding = translate(f"methods_decoding_{llm.decoding}")
    return translate("methods_decoder", _name_model("decoder", llm.model), training, examples, decoding)


def _name_model(kind_of_model: str, model: str) -> BilingualText:
    if model == _SCRATCH:
        return translate(f"methods_{kind_of_model}_scratch")
    return translate(f"methods_{kind_of_model}_named", model)


def _count_epochs(n: int) -> BilingualText:
    return translate("methods_one_epoch") if n == 1 else translate("methods_epochs", n)


def _describe_fusion(fusion: TunedFusion, folds: int) -> BilingualText:
    if not fusion.has_llm:
        description = _describe_rule_without_llm(fusion)
    elif fusion.chosen in (SpanRule.name, DocumentRule.name):
        parts = ["methods_spans"]
        if fusion.span_rule.candidate_scores:
            parts.append("methods_candidates")
        if fusion.chosen == DocumentRule.name:
            parts.append("methods_evidence")
        description = join_texts(map(translate, parts), translate("methods_space"))
    elif fusion.chosen == CharacterRule.name:
        description = translate("methods_characters", f"{fusion.character_rule.weight:.4g}")
    elif fusion.chosen == RegionRule.name:
        rule = fusion.region_rule
        settings = map(translate_setting, (rule.entropy_reduction, rule.llm_reduction, rule.llm_confidence))
        description = translate("methods_regions", f"{rule.weight:.4g}", *settings)
    else:
        description = translate("methods_custom_rule", fusion.chosen)
    fitted_on = translate("methods_cross_fitted", folds) if folds else translate("methods_held_out")
    return translate("methods_fitted", description, fitted_on)


def _describe_rule_without_llm(fusion: TunedFusion) -> BilingualText:
    if fusion.chosen == SpanRule.name:
        return translate("methods_spans_alone")
    if fusion.chosen == DocumentRule.name:
        parts = map(translate, ("methods_spans_alone", "methods_evidence"))
        return join_texts(parts, translate("methods_space"))
    # P of an empty answer is 1.
    if fusion.chosen == CharacterRule.name:
        return translate("methods_characters_alone", f"{llm_score(1.0, fusion.character_rule.weight):.4g}")
    if fusion.chosen == RegionRule.name:
        rule = fusion.region_rule
        limit = f"{llm_score(1.0, rule.weight):.4g}"
        return translate("methods_regions_alone", limit, translate_setting(rule.entropy_reduction))
    return translate("methods_custom_rule_alone", fusion.chosen)


def _describe_scores(evaluation: Evaluation) -> BilingualText:
    has_llm = "llm" in evaluation.systems
    scores = []
    for name, key in (("slm", "slm"), ("llm", "llm"), ("fused", "fused" if has_llm else "rule")):
        if name not in evaluation.systems:
            continue
        system = evaluation.systems[name]
        percents = (f"{100 * share:.2f}" for share in (system.micro.f1, *system.interval))
        scores.append(translate(f"methods_score_{key}", *percents))
    text = translate("methods_scores" if has_llm else "methods_scores_alone", *scores)
    worth = evaluation.llm_worth
    if worth is None:
        return text
    points = (f"{100 * value:+.2f}" for value in (worth.difference, *worth.interval))
    control = translate("methods_worth", f"{100 * worth.control_f1:.2f}", *points)
    return join_texts([text, control], translate("methods_space"))


def _describe_corpus(counts: CorpusCounts, worth: LlmWorth | None, *, asks_llm: bool) -> list[BilingualText]:
    sizes = map(format_value, (counts.documents, counts.characters, counts.segments, counts.entities))
    set_aside = format_value(counts.set_aside)
    if asks_llm:
        gated_percent = f"{100 * counts.gated / max(1, counts.segments):.1f}"
        return [translate("methods_corpus", *sizes, gated_percent, set_aside)]
    sentences = [translate("methods_corpus_alone", *sizes, set_aside)]
    if worth is None:
        return sentences
    reason = "methods_llm_not_asked_anyway" if worth.is_beyond_chance else "methods_llm_not_asked"
    return [translate(reason), *sentences]
