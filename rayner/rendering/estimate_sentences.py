"""What an estimate by a random sample says of a tagged corpus, in whole sentences."""

from rayner.corpus.review.estimate import CorpusEstimate
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


def _per_hundred(share: EstimatedShare) -> tuple[str, str, str]:
    return f"{100 * share.share:.0f}", f"{100 * share.low:.0f}", f"{100 * share.high:.0f}"
