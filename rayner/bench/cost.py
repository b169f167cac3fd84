"""The cost model against what the LLM stage does here, and what it predicts for GPUs."""

import statistics
from collections.abc import Sequence

from rayner.bench.cost_model import (
    A6000,
    H100,
    QWEN_14B,
    Device,
    Mode,
    Text,
    published_tokens,
    reading_seconds,
    stage_tokens,
    writing_seconds,
)
from rayner.bench.llm_stage import BenchmarkSetup
from rayner.bench.timing import BenchmarkRow
from rayner.decoding.draft_verify import WindowRequest
from rayner.decoding.drafting import draft_steps
from rayner.llm.model import Llm

_CHARACTERS = 3e9
_BATCH = 64  # texts that a GPU decodes together, token by token
_LOGITS = 2.0  # of the output layer, a token: what the automaton allows where there is a choice


def costs(what: BenchmarkSetup) -> list[BenchmarkRow]:
    """Tokens by the cost model beside those that were fed; hours for a large corpus on GPUs."""
    config, items = what.config, what.unit.segments
    lines, hours = [], dict[str, float]()
    a_sentence = sum(len(item.text) for item in items) / len(items)
    plain = _text(what.ungated.decoder.llm, what.ungated.tasks)
    tokens = published_tokens(plain, config.index.k)
    hours["published way"] = tokens
    for name, seen in what.modes.items():
        passes = [item.llm.passes for item in seen.segments if item.llm]
        mode = Mode(config.index.k, seen.stage.group, len(passes) / len(items), statistics.mean(passes or [0.0]))
        predicted, fed = stage_tokens(_text(seen.decoder.llm, seen.tasks), mode), seen.work.tokens / len(items)
        ratio = f"{predicted / max(fed, 1e-9):.2f} times"
        remark = f"{predicted:.1f} and {fed:.1f}; asked {mode.asked:.0%}, {mode.passes:.2f} passes"
        lines.append(BenchmarkRow(f"tokens a sentence by the cost model, {name}", "fed", ratio, "near 1", remark))
        hours[name] = fed
    sentences = _CHARACTERS / a_sentence
    for device in (A6000, H100):
        for name, each in hours.items():
            if each:  # nothing is asked where the LLM wins nowhere
                lines.append(_prediction(device, name, each, plain, config.index.k, sentences))
    return lines


def _text(llm: Llm, tasks: Sequence[WindowRequest]) -> Text:
    """Mean tokens; a further pass begins, on average, in the middle of what is read."""
    if not tasks:
        return Text(len(llm.instruction_tokens()), 0, 0, 0, 0, 0)
    shown = [example for task in tasks for example in task.examples]
    read = statistics.mean(len(draft_steps(llm.build_grammar(t.text), t.draft, quiet=t.stop_mask)) for t in tasks)
    return Text(
        opening=len(llm.instruction_tokens()),
        example=statistics.mean(len(llm.example_tokens([example])) for example in shown) if shown else 0.0,
        question=statistics.mean(len(llm.query_tokens(task.text)) for task in tasks),
        answer=statistics.mean(len(llm.build_grammar(task.text).spell_answer(task.draft)) for task in tasks),
        read=read,
        further=read / 2,
    )


def _prediction(device: Device, name: str, tokens: float, text: Text, k: int, sentences: float) -> BenchmarkRow:
    """Hours for the large corpus with Qwen2.5-14B; the published way also writes each answer token by token."""
    context = k * text.example + text.question + text.answer
    seconds = reading_seconds(QWEN_14B, device, tokens, context / 2, _LOGITS)
    if name == "published way":
        read = tokens - text.answer
        seconds = reading_seconds(QWEN_14B, device, read, context / 2, 0)
        seconds += writing_seconds(QWEN_14B, device, text.answer, context, _BATCH)
    hours = ", ".join(f"{sentences * seconds / gpus / 3600:,.0f} h on {gpus}" for gpus in (4, 16, 64))
    return BenchmarkRow(f"Qwen2.5-14B on {device.name}, {name}", f"{_CHARACTERS:.0e} characters", hours, "predicted",
                f"{1 / seconds:,.1f} sentences a second each")  # fmt: skip
