"""An estimate of the scores of a corpus as text for the terminal."""

from rayner.corpus.review.estimate import CorpusEstimate
from rayner.evaluation.sample_estimate import EstimatedScore, EstimatedShare

MIN_BOOK_SENTENCES = 10  # of a book with fewer reviewed sentences, nothing can be said


def format_estimate(estimate: CorpusEstimate, points: float) -> str:
    """Format an estimate: two sentences, a table, and how many sentences make the intervals narrower.

    points: The wanted half-width of the intervals of precision and recall, in percent.
    """
    parts = [
        f"{estimate.reviewed:,} of {estimate.drawn:,} sentences drawn were reviewed; the corpus has "
        f"{estimate.population:,}.",
        *_describe_order(estimate),
        _describe_shares(estimate.all),
        _format_table(estimate),
        _describe_further_sentences(estimate, points),
    ]
    return "\n\n".join(parts)


def _describe_order(estimate: CorpusEstimate) -> list[str]:
    if estimate.in_order:
        return []
    return [
        "warning: sentences were passed over. If these are the hard ones, the estimate is too good: review them, and "
        "leave out only the last of the file."
    ]


def _describe_shares(score: EstimatedScore) -> str:
    said = []
    if score.precision:
        said.append(f"Of 100 tagged names about {_per_hundred(score.precision)} are right.")
    if score.recall:
        said.append(f"Of 100 names in the text about {_per_hundred(score.recall)} are found.")
    return " ".join(said) or "The sample has too few names for an estimate: draw more sentences with --skip."


def _per_hundred(share: EstimatedShare) -> str:
    return f"{100 * share.share:.0f} ({100 * share.low:.0f} to {100 * share.high:.0f})"


def _format_table(estimate: CorpusEstimate) -> str:
    shown = [book for book, n in estimate.sentences_per_book.items() if n >= MIN_BOOK_SENTENCES]
    n_hidden = len(estimate.per_book) - len(shown)
    if len(estimate.per_book) == 1:
        shown, n_hidden = [], 0
    sections = {"type": estimate.per_type, "book": {book: estimate.per_book[book] for book in shown}}
    labels = ["percent", *(f"{kind} {name}" for kind, scores in sections.items() for name in scores)]
    width = max(map(len, labels))
    head = f"{'percent':<{width}}  {'precision':>14}  {'recall':>14}  {'F1':>14}  {'tagged':>7}  {'names':>7}"
    lines = [head, "-" * len(head), _format_row("all", estimate.all, width)]
    for kind, scores in sections.items():
        lines += [_format_row(f"{kind} {name}", score, width) for name, score in scores.items()]
    if n_hidden:
        lines.append(
            f"left out: {n_hidden:,} books with fewer than {MIN_BOOK_SENTENCES} reviewed sentences (estimate.json)"
        )
    return "\n".join(lines)


def _format_row(label: str, score: EstimatedScore, width: int) -> str:
    shares = "  ".join(
        f"{_per_hundred(share) if share else 'too few':>14}" for share in (score.precision, score.recall, score.f1)
    )
    return f"{label:<{width}}  {shares}  {score.predicted:>7,}  {score.gold:>7,}"


def _describe_further_sentences(estimate: CorpusEstimate, points: float) -> str:
    shares = {"precision": estimate.all.precision, "recall": estimate.all.recall}
    needs = {name: estimate.count_further_sentences(share, points / 100) for name, share in shares.items() if share}
    said = [
        f"The interval of {name} is within {points:g} points, up and down, "
        + (f"with about {need:,} more sentences." if need else "already.")
        for name, need in needs.items()
    ]
    if any(needs.values()):
        said.append("Draw them by `rayner review sample` with --skip.")
    return " ".join(said)
