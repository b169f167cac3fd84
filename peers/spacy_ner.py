"""spaCy's named-entity recogniser (blank, no pretrained weights) on the split of a run: `make peers RUN=folder`.

Trains on RUN/data/train.jsonl, keeps the epoch that is best on dev, prints strict entity scores on test as JSON. It
runs in an environment of its own and imports nothing of rayner. A character is a token, so its spans are rayner's.
"""

import argparse
import json
import random
import time
from pathlib import Path

import spacy
from spacy.language import Language
from spacy.tokens import Doc
from spacy.training import Example
from spacy.util import minibatch

Row = tuple[str, list[tuple[int, int, str]]]


def read(path: Path) -> list[Row]:
    """Texts that are not blank, with their spans."""
    rows = (json.loads(line) for line in path.open(encoding="utf-8"))
    return [(row["text"], [tuple(span) for span in row["spans"]]) for row in rows if row["text"].strip()]


def tags(n_chars: int, spans: list[tuple[int, int, str]]) -> list[str]:
    """BILUO tags, one a character."""
    out = ["O"] * n_chars
    for start, end, kind in spans:
        if end - start == 1:
            out[start] = f"U-{kind}"
        else:
            out[start:end] = [f"B-{kind}", *[f"I-{kind}"] * (end - start - 2), f"L-{kind}"]
    return out


def scores(nlp: Language, rows: list[Row]) -> tuple[dict[str, float], float]:
    """Strict micro precision, recall, F1; and characters a second."""
    begun = time.perf_counter()
    docs = list(nlp.pipe([doc_of(nlp, text) for text, _ in rows], batch_size=256))
    seconds = time.perf_counter() - begun
    right = predicted = gold = 0
    for doc, (_, spans) in zip(docs, rows, strict=True):
        found = {(ent.start, ent.end, ent.label_) for ent in doc.ents}
        right, predicted, gold = right + len(found & set(spans)), predicted + len(found), gold + len(spans)
    result = {"precision": right / max(1, predicted), "recall": right / gold, "f1": 2 * right / (predicted + gold)}
    return result, sum(len(text) for text, _ in rows) / seconds


def doc_of(nlp: Language, text: str) -> Doc:
    """A token a character."""
    return Doc(nlp.vocab, words=list(text), spaces=[False] * len(text))


def main() -> None:
    """Train, choose the epoch, test once."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", help="a run folder")
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--patience", type=int, default=6, help="epochs without a better one on dev")
    parser.add_argument("--seed", type=int, default=13)
    given = parser.parse_args()
    train, dev, test = (read(Path(given.run) / "data" / f"{name}.jsonl") for name in ("train", "dev", "test"))
    random.seed(given.seed)
    spacy.util.fix_random_seed(given.seed)
    nlp = spacy.blank("zh")
    ner = nlp.add_pipe("ner")
    for kind in sorted({kind for _, spans in train for *_, kind in spans}):
        ner.add_label(kind)
    examples = [Example.from_dict(doc_of(nlp, text), {"entities": tags(len(text), spans)}) for text, spans in train]
    begun = time.perf_counter()
    optimizer = nlp.initialize(lambda: examples)
    best, kept, since = -1.0, b"", 0
    for epoch in range(given.epochs):
        random.shuffle(examples)
        for batch in minibatch(examples, size=32):
            nlp.update(batch, sgd=optimizer, drop=0.1)
        with nlp.use_params(optimizer.averages):
            f1 = scores(nlp, dev)[0]["f1"]
            if f1 > best:
                best, kept, since = f1, nlp.to_bytes(), -1
        since += 1
        print(f"epoch {epoch + 1}: dev F1 {f1:.4f}", flush=True)
        if since >= given.patience:
            break
    seconds = time.perf_counter() - begun
    nlp.from_bytes(kept)
    result, speed = scores(nlp, test)
    told = {"peer": f"spaCy {spacy.__version__} ner", "training_seconds": round(seconds, 1), "dev_f1": round(best, 4),
            "characters_a_second": round(speed), **{key: round(value, 4) for key, value in result.items()}}  # fmt: skip
    print(json.dumps(told))


if __name__ == "__main__":
    main()
