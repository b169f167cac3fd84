"""Run other software that does the same work: `generate` and `pipeline` of transformers, and vLLM."""

import json
import os
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import torch
from transformers import pipeline

from rayner.errors import ConfigError
from rayner.llm.model import Llm
from rayner.modeling.batching import inference_batches
from rayner.modeling.tensors import pad_rows


@torch.inference_mode()
def generate_with_transformers(
    llm: Llm, prompts: Sequence[Sequence[int]], answer_lengths: Sequence[int], batch_size: int
) -> int:
    """Generate greedily in batches of sequences with similar lengths; return the number of generated tokens.

    All answers in a batch get the length of the longest one. No grammar constrains the answers, so transformers spends
    no time on constraints.

    Args:
        llm: the model.
        prompts: token ids of each prompt.
        answer_lengths: number of tokens to generate for each prompt.
        batch_size: number of prompts in a batch.

    """
    pad_token, n_written = llm.tokenizer.tokenizer.pad_token_id or 0, 0
    lengths = [len(prompt) + length for prompt, length in zip(prompts, answer_lengths, strict=True)]
    for batch in inference_batches(lengths, batch_size):
        longest = max(answer_lengths[i] for i in batch)
        llm.model.generate(
            input_ids=pad_rows([prompts[i] for i in batch], pad_token, left=True).to(llm.device),
            attention_mask=pad_rows([[1] * len(prompts[i]) for i in batch], 0, left=True).to(llm.device),
            max_new_tokens=longest,
            min_new_tokens=longest,
            do_sample=False,
            pad_token_id=pad_token,
        )
        n_written += longest * len(batch)
    return n_written


class VllmProcess:
    """A process that runs `vllm_worker` with vLLM on the same checkpoint, prompts and answer lengths.

    python: path of the Python interpreter in an environment with vLLM.

    Raises ConfigError if vLLM does not start.
    """

    def __init__(self, python: str, llm: Llm, prompts: Sequence[Sequence[int]], answer_lengths: Sequence[int]) -> None:
        self.folder = tempfile.TemporaryDirectory()
        llm.model.save_pretrained(self.folder.name)
        llm.tokenizer.tokenizer.save_pretrained(self.folder.name)
        script = Path(__file__).with_name("vllm_worker.py")
        vllm_settings = {"VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_CPU_OMP_THREADS_BIND": f"0-{(os.cpu_count() or 1) - 1}"}
        self.process = subprocess.Popen(
            [python, str(script)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            start_new_session=True,  # vLLM starts more processes, which must end with this one
            env={**os.environ, **vllm_settings},
        )
        task = {
            "model": self.folder.name,
            "dtype": str(llm.model.dtype).removeprefix("torch."),
            "prompts": [[*prompt] for prompt in prompts],
            "lengths": [*answer_lengths],
        }
        if self._send_line_and_read_reply(json.dumps(task)) != "ready":
            raise ConfigError(f"bench.vllm_python: expected the python of an environment with vllm, found {python}")

    def time_generating_all(self) -> float:
        """Generate all answers, and return the seconds that the vLLM process measured."""
        return float(self._send_line_and_read_reply("go"))

    def close(self) -> None:
        """End the process and remove the checkpoint."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.folder.cleanup()

    def _send_line_and_read_reply(self, line: str) -> str:
        """Send a line and return the reply."""
        if self.process.stdin is None or self.process.stdout is None:
            raise RuntimeError("the process has no streams")
        print(line, file=self.process.stdin, flush=True)
        return self.process.stdout.readline().strip()


@contextmanager
def open_vllm(
    python: str | None, llm: Llm, prompts: Sequence[Sequence[int]], answer_lengths: Sequence[int]
) -> Iterator[VllmProcess | None]:
    """Run a vLLM process until the block ends. If `python` is None, yield None and run no process."""
    process = VllmProcess(python, llm, prompts, answer_lengths) if python else None
    try:
        yield process
    finally:
        if process:
            process.close()


def load_token_classifier(folder: Path, device: torch.device) -> Callable[[Sequence[str], int], int]:
    """Load a checkpoint into transformers' pipeline; return a function that runs it.

    The function takes texts and a batch size, classifies the texts, and returns the number of results.
    """
    classify = pipeline("token-classification", model=str(folder), device=device)
    return lambda texts, batch_size: len(list(classify(sorted(texts, key=len), batch_size=batch_size)))
