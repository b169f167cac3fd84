"""What the scores on the test sentences say, in whole sentences, for readers who are no specialists."""

from rayner.evaluation.artifact import Evaluation
from rayner.rendering.bilingual import BilingualText, join_texts
from rayner.rendering.templates import format_value
from rayner.rendering.translation import translate

MIN_SENTENCES, MIN_NAMES = 100, 300  # with fewer, an interval of F1 is often wider than ten points


def describe_shares(evaluation: Evaluation) -> BilingualText | None:
    """Say how many of 100 names are right, found, and found although training never showed them.

    Returns None for scores without the training text.
    """
    fused = evaluation.systems["fused"]
    names = fused.names
    if names is None:
        return None
    shares = (fused.micro.precision, *names.precision_interval, fused.micro.recall, *names.recall_interval)
    sentences = [translate("shares", *map(_per_hundred, shares))]
    unseen = names.unseen
    if unseen.micro.gold:
        sentences.append(
            translate("share_of_unseen", *map(_per_hundred, (unseen.micro.recall, *unseen.recall_interval)))
        )
    return join_texts(sentences, translate("methods_space"))


def list_warnings_of_few_names(evaluation: Evaluation) -> list[BilingualText]:
    """Return the warning that the test sentences or their names are too few to trust the scores; [] if they are not."""
    n_names = evaluation.systems["fused"].micro.gold
    if evaluation.n_sentences >= MIN_SENTENCES and n_names >= MIN_NAMES:
        return []
    sizes = (evaluation.n_sentences, n_names, MIN_SENTENCES, MIN_NAMES)
    return [translate("few_test_names", *map(format_value, sizes))]


def _per_hundred(share: float) -> str:
    return f"{100 * share:.0f}"
