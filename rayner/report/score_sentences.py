"""What the scores on the test sentences say, in whole sentences, for readers who are no specialists."""

from rayner.corpus.novelty import CorpusNovelty, NewNames
from rayner.evaluation.artifact import Evaluation
from rayner.evaluation.calibration_error import N_BINS
from rayner.rendering.bilingual import BilingualText, join_texts
from rayner.rendering.templates import format_value
from rayner.rendering.translation import translate

MIN_SENTENCES, MIN_NAMES = 100, 300  # with fewer, an interval of F1 is often wider than ten points
MIN_TAGGED_NAMES, MORE_NEW_NAMES = 50, 0.1  # a corpus with so many names, and so much more of them new, is another text


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


def describe_novelty(novelty: CorpusNovelty, evaluation: Evaluation | None = None) -> BilingualText:
    """Say which shares of the corpus's characters, bigrams and names the training text does not show.

    evaluation: The scores on the held-out sentences, with which those of the corpus are compared.
    """
    corpus, held_out = novelty.corpus, novelty.held_out
    shares = (corpus.new_character_share, corpus.new_bigram_share, novelty.names.new_share)
    sentences = [translate("novelty", *map(_one_decimal, shares))]
    if held_out.characters:
        shares_of_held_out = (held_out.new_character_share, held_out.new_bigram_share)
        sentences.append(translate("novelty_of_held_out", *map(_one_decimal, shares_of_held_out)))
    sentences += _compare_confidences(novelty, evaluation)
    return join_texts([*sentences, translate("novelty_note")], translate("methods_space"))


def _compare_confidences(novelty: CorpusNovelty, evaluation: Evaluation | None) -> list[BilingualText]:
    """Say how many names of the corpus have a confidence as low as the lowest fifth of the held-out ones have."""
    calibration = evaluation.calibration.get("fused") if evaluation else None
    if calibration is None or len(calibration.bins) < N_BINS:
        return []
    score = round(calibration.bins[N_BINS // 5 - 1].high, 2)
    share = novelty.compute_share_below(score)
    return [] if share is None else [translate("novelty_confidence", f"{score:.2f}", f"{100 * share:.0f}")]


def _one_decimal(share: float) -> str:
    return f"{100 * share:.1f}"


def list_score_warnings(evaluation: Evaluation | None, new_names: NewNames | None) -> list[BilingualText]:
    """Return the warnings that the scores may not hold for the corpus; [] without scores.

    new_names: how many of the names tagged in the corpus training never showed; None without a corpus.
    """
    if evaluation is None:
        return []
    return [*_list_warnings_of_few_names(evaluation), *_list_warnings_of_new_names(evaluation, new_names)]


def _list_warnings_of_new_names(evaluation: Evaluation, new_names: NewNames | None) -> list[BilingualText]:
    """Return the warning that the corpus has more new names than the test sentences; [] if it has not."""
    names = evaluation.systems["fused"].names
    if names is None or new_names is None or new_names.tagged < MIN_TAGGED_NAMES:
        return []
    n_new, n_seen = names.unseen.micro.predicted, names.seen.micro.predicted
    held_out_share = n_new / max(1, n_new + n_seen)
    if new_names.new_share < held_out_share + MORE_NEW_NAMES:
        return []
    return [translate("more_new_names", *map(_per_hundred, (new_names.new_share, held_out_share)))]


def _list_warnings_of_few_names(evaluation: Evaluation) -> list[BilingualText]:
    """Return the warning that the test sentences or their names are too few to trust the scores; [] if they are not."""
    n_names = evaluation.systems["fused"].micro.gold
    if evaluation.n_sentences >= MIN_SENTENCES and n_names >= MIN_NAMES:
        return []
    sizes = (evaluation.n_sentences, n_names, MIN_SENTENCES, MIN_NAMES)
    return [translate("few_test_names", *map(format_value, sizes))]


def _per_hundred(share: float) -> str:
    return f"{100 * share:.0f}"
