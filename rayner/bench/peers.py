"""What others offer for the same work, as the benchmark measures it."""

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
from rayner.modeling.training import pad_rows


@torch.inference_mode()
def generate_with_transformers(
    llm: Llm, prompts: Sequence[Sequence[int]], lengths: Sequence[int], batch_size: int
) -> int:
    """`transformers.generate`, greedy, in batches of like length; returns the tokens that it was made to write.

    lengths: tokens of each answer. It writes as many as the longest of a batch has and is not bound to the text:
    no time is charged for constraints that it does not offer at this speed.
    """
    fill, written = llm.tokenizer.tokenizer.pad_token_id or 0, 0
    for part in inference_batches(
        [len(prompt) + length for prompt, length in zip(prompts, lengths, strict=True)], batch_size
    ):
        tokens = pad_rows([prompts[i] for i in part], fill, left=True).to(llm.device)
        mask = pad_rows([[1] * len(prompts[i]) for i in part], 0, left=True).to(llm.device)
        longest = max(lengths[i] for i in part)
        llm.model.generate(
            input_ids=tokens,
            attention_mask=mask,
            max_new_tokens=longest,
            min_new_tokens=longest,
            do_sample=False,
            pad_token_id=fill,
        )
        written += longest * len(part)
    return written


class VllmProcess:
    """vLLM on the same checkpoint, prompts and numbers of tokens, in a process of its own (`peer_vllm`).

    python: that of an environment with vllm. Raises ConfigError if it does not come up.
    """

    def __init__(self, python: str, llm: Llm, prompts: Sequence[Sequence[int]], lengths: Sequence[int]) -> None:
        self.folder = tempfile.TemporaryDirectory()
        llm.model.save_pretrained(self.folder.name)
        llm.tokenizer.tokenizer.save_pretrained(self.folder.name)
        script = Path(__file__).with_name("peer_vllm.py")
        settings = {"VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_CPU_OMP_THREADS_BIND": f"0-{(os.cpu_count() or 1) - 1}"}
        self.process = subprocess.Popen(
            [python, str(script)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            start_new_session=True,  # vLLM starts processes of its own, which must end with it
            env={**os.environ, **settings},
        )
        dtype = str(llm.model.dtype).removeprefix("torch.")
        task = {"model": self.folder.name, "dtype": dtype, "prompts": [[*p] for p in prompts], "lengths": [*lengths]}
        if self._send_line(json.dumps(task)) != "ready":
            raise ConfigError(f"bench.vllm: expected the python of an environment with vllm, found {python}")

    def generate_all(self) -> float:
        """Generate all answers; returns the seconds that it took by its own clock."""
        return float(self._send_line("go"))

    def close(self) -> None:
        """End the process."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.folder.cleanup()

    def _send_line(self, line: str) -> str:
        if self.process.stdin is None or self.process.stdout is None:
            raise RuntimeError("the process has no streams")
        print(line, file=self.process.stdin, flush=True)
        return self.process.stdout.readline().strip()


@contextmanager
def open_vllm(
    python: str | None, llm: Llm, prompts: Sequence[Sequence[int]], lengths: Sequence[int]
) -> Iterator[VllmProcess | None]:
    """A vLLM for as long as it is needed, or None without a python to run it."""
    engine = VllmProcess(python, llm, prompts, lengths) if python else None
    try:
        yield engine
    finally:
        if engine:
            engine.close()


def load_token_classifier(folder: Path, device: torch.device) -> Callable[[Sequence[str], int], int]:
    """`transformers.pipeline("token-classification")` of a checkpoint; takes texts and a batch size."""
    pipe = pipeline("token-classification", model=str(folder), device=device)
    return lambda texts, batch_size: len(list(pipe(sorted(texts, key=len), batch_size=batch_size)))
