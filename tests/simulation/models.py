"""A small model and an LLM in pure Python, whose scores depend on the whole batch, and on which some texts are poison.

An answer that was computed in another batch than that of an undisturbed run therefore shows in the bytes of the tables.
"""

import hashlib
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from rayner.decoding.engine import WindowRequest
from rayner.taggers.custom_tagger import CustomTagger
from rayner.text.predictions import LlmAnswer, LlmEntity
from rayner.text.spans import Span
from rayner.text.tags import bmes_labels, spans_to_tags
from tests.simulation.scheduler import ProcessDied
from tests.simulation.world import current_world

PLUGIN_NAME = f"{__name__}:TAGGER"  # the value of the setting slm.family
TYPES = ("NG", "NR")
LABELS = bmes_labels(TYPES)
SLM_NAMES = {"懷王": "NR", "張儀": "NR", "屈原": "NR", "楚": "NG", "齊": "NG"}
LLM_NAMES = {"懷王": "NR", "張儀": "NR", "鄭袖": "NR", "楚": "NG", "秦": "NG", "齊王": "NR"}
# Texts with these characters: the model raises an error, or its process dies.
SLM_RAISES, SLM_DIES, LLM_RAISES, LLM_DIES = "毒", "死", "燃", "亡"


def _digest(*values: str) -> bytes:
    return hashlib.sha256("\0".join(values).encode()).digest()


def _find_names(text: str, names: dict[str, str]) -> list[Span]:
    spans, start = [], 0
    while start < len(text):
        name = next((name for name in sorted(names, key=len, reverse=True) if text.startswith(name, start)), None)
        if name is not None:
            spans.append(Span(start, start + len(name), names[name]))
        start += len(name or "x")
    return spans


def _record_batch_and_fail_on_poison(texts: Sequence[str], raises: str, dies: str) -> None:
    current_world().batches.append(tuple(texts))
    for text in texts:
        if dies in text:
            world = current_world()
            world.kill(world.current_process())
            raise ProcessDied
    for text in texts:
        if raises in text:
            raise ValueError("poison")


def _predict(texts: Sequence[str]) -> list[npt.NDArray[np.float32]]:
    _record_batch_and_fail_on_poison(texts, SLM_RAISES, SLM_DIES)
    batch = _digest(*texts)
    answers = []
    for text in texts:
        tags = spans_to_tags(_find_names(text, SLM_NAMES), len(text))
        doubts = hashlib.shake_128(batch + text.encode()).digest(max(1, len(text)))
        rest = np.frombuffer(doubts, dtype=np.uint8)[: len(text)].astype(np.float64) / 256 * 0.2 + 0.001
        probs = np.repeat(rest[:, None] / (len(LABELS) - 1), len(LABELS), axis=1)
        probs[np.arange(len(text)), [LABELS.index(tag) for tag in tags]] = 1 - rest
        answers.append(np.log(probs).astype(np.float32))
    return answers


TAGGER = CustomTagger(train=lambda *_: None, load=lambda folder, labels: _predict)


class AnswerEngine:
    """An LLM that knows names; implements `rayner.decoding.engine.AnswerEngine`."""

    def answer_requests(self, requests: Sequence[WindowRequest]) -> list[LlmAnswer]:
        """Answer a batch of requests."""
        texts = [request.text for request in requests]
        _record_batch_and_fail_on_poison(texts, LLM_RAISES, LLM_DIES)
        batch = _digest(*texts)
        answers = []
        for text in texts:
            digest = _digest(batch.hex(), text)
            spans = _find_names(text, LLM_NAMES)
            entities = [
                LlmEntity(span, 0.5 + digest[i % 32] / 600, 0.5 + digest[(i + 1) % 32] / 600)
                for i, span in enumerate(spans)
            ]
            slots = np.resize(np.frombuffer(digest, dtype=np.uint8), len(text) + 1) / np.float32(600) + np.float32(0.5)
            answers.append(LlmAnswer(tuple(entities), slots.astype(np.float32), passes=1 + digest[0] % 3))
        return answers
