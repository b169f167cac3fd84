"""What an estimate by a random sample says of a tagged corpus, and what its tags cannot say, in whole sentences."""

from rayner.corpus.review.estimate import CorpusEstimate
from rayner.evaluation.artifact import Evaluation
from rayner.evaluation.sample_estimate import EstimatedShare
from rayner.rendering.bilingual import BilingualText, join_texts
from rayner.rendering.templates import format_value
from rayner.rendering.translation import translate


def describe_estimate(estimate: CorpusEstimate) -> BilingualText:
    """Say by how many sentences the corpus was judged, and how many of 100 names are right and are found."""
    sentences = [translate("estimate", format_value(estimate.reviewed))]
    for text, share in (("estimated_precision", estimate.all.precision), ("estimated_recall", estimate.all.recall)):
        if share is not None:
            sentences.append(translate(text, *_per_hundred(share)))
    if not estimate.in_order:
        sentences.append(translate("estimate_passed_over"))
    return join_texts(sentences, translate("methods_space"))


def describe_missed_names(estimate: CorpusEstimate | None, evaluation: Evaluation | None) -> BilingualText:
    """Say that confidence is known of tagged names only, and how many of 100 names are found.

    Args:
        estimate: The estimate of the corpus, whose recall is preferred. None without one.
        evaluation: The scores on held-out sentences. None without them.

    """
    recall = estimate.all.recall if estimate else None
    key = "estimated_recall"
    if recall is None:
        recall, key = _find_held_out_recall(evaluation), "held_out_recall"
    how_many = translate(key, *_per_hundred(recall)) if recall else translate("recall_unknown")
    return join_texts([translate("missed_not_shown"), how_many], translate("methods_space"))


def _find_held_out_recall(evaluation: Evaluation | None) -> EstimatedShare | None:
    fused = evaluation.systems["fused"] if evaluation else None
    if fused is None or fused.names is None or not fused.micro.gold:
        return None
    return EstimatedShare(fused.micro.recall, *fused.names.recall_interval)


def _per_hundred(share: EstimatedShare) -> tuple[str, str, str]:
    return f"{100 * share.share:.0f}", f"{100 * share.low:.0f}", f"{100 * share.high:.0f}"
