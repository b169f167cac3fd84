"""Train spaCy's entity recogniser (blank, without pretrained weights) on the split of a run: `make peers RUN=folder`.

It trains on RUN/data/train.jsonl, keeps the epoch with the best F1 on dev, and prints strict entity scores on test as
JSON. It runs in an environment of its own and imports nothing of rayner. Each character is a token, so spans equal
rayner's.
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

LabelledText = tuple[str, list[tuple[int, int, str]]]  # a text and its (start, end, type)


def read_labelled_texts(path: Path) -> list[LabelledText]:
    """Read the texts that are not blank, with their spans."""
    rows = (json.loads(line) for line in path.open(encoding="utf-8"))
    return [(row["text"], [tuple(span) for span in row["spans"]]) for row in rows if row["text"].strip()]


def spans_to_biluo(n_chars: int, spans: list[tuple[int, int, str]]) -> list[str]:
    """Return a BILUO tag for each character."""
    tags = ["O"] * n_chars
    for start, end, entity_type in spans:
        if end - start == 1:
            tags[start] = f"U-{entity_type}"
        else:
            tags[start:end] = [f"B-{entity_type}", *[f"I-{entity_type}"] * (end - start - 2), f"L-{entity_type}"]
    return tags


def make_doc(nlp: Language, text: str) -> Doc:
    """Make a document with one token for each character."""
    return Doc(nlp.vocab, words=list(text), spaces=[False] * len(text))


def evaluate(nlp: Language, texts: list[LabelledText]) -> tuple[dict[str, float], float]:
    """Return strict micro precision, recall and F1, and the speed in characters a second."""
    started = time.perf_counter()
    docs = list(nlp.pipe([make_doc(nlp, text) for text, _ in texts], batch_size=256))
    seconds = time.perf_counter() - started
    n_right = n_predicted = n_gold = 0
    for doc, (_, gold) in zip(docs, texts, strict=True):
        predicted = {(entity.start, entity.end, entity.label_) for entity in doc.ents}
        n_right += len(predicted & set(gold))
        n_predicted += len(predicted)
        n_gold += len(gold)
    scores = {
        "precision": n_right / max(1, n_predicted),
        "recall": n_right / n_gold,
        "f1": 2 * n_right / (n_predicted + n_gold),
    }
    return scores, sum(len(text) for text, _ in texts) / seconds


def train(nlp: Language, train_texts: list[LabelledText], dev: list[LabelledText], epochs: int, patience: int) -> float:
    """Train until dev F1 has not risen for `patience` epochs, restore the best epoch, and return its dev F1."""
    recogniser = nlp.add_pipe("ner")
    for entity_type in sorted({entity_type for _, spans in train_texts for *_, entity_type in spans}):
        recogniser.add_label(entity_type)
    examples = [
        Example.from_dict(make_doc(nlp, text), {"entities": spans_to_biluo(len(text), spans)})
        for text, spans in train_texts
    ]
    optimizer = nlp.initialize(lambda: examples)
    best_f1, best_state, epochs_since_best = -1.0, b"", 0
    for epoch in range(epochs):
        random.shuffle(examples)
        for batch in minibatch(examples, size=32):
            nlp.update(batch, sgd=optimizer, drop=0.1)
        with nlp.use_params(optimizer.averages):
            f1 = evaluate(nlp, dev)[0]["f1"]
            if f1 > best_f1:
                best_f1, best_state, epochs_since_best = f1, nlp.to_bytes(), -1
        epochs_since_best += 1
        print(f"epoch {epoch + 1}: dev F1 {f1:.4f}", flush=True)
        if epochs_since_best >= patience:
            break
    nlp.from_bytes(best_state)
    return best_f1


def main() -> None:
    """Train on a run's split, choose the epoch on dev, and evaluate once on test."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", help="a run folder")
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--patience", type=int, default=6, help="epochs without a higher dev F1 before training ends")
    parser.add_argument("--seed", type=int, default=13)
    options = parser.parse_args()
    train_texts, dev, test = (
        read_labelled_texts(Path(options.run) / "data" / f"{part}.jsonl") for part in ("train", "dev", "test")
    )
    random.seed(options.seed)
    spacy.util.fix_random_seed(options.seed)
    nlp = spacy.blank("zh")
    started = time.perf_counter()
    dev_f1 = train(nlp, train_texts, dev, options.epochs, options.patience)
    seconds = time.perf_counter() - started
    scores, speed = evaluate(nlp, test)
    report = {
        "peer": f"spaCy {spacy.__version__} ner",
        "training_seconds": round(seconds, 1),
        "dev_f1": round(dev_f1, 4),
        "characters_a_second": round(speed),
        **{key: round(score, 4) for key, score in scores.items()},
    }
    print(json.dumps(report))


if __name__ == "__main__":
    main()
