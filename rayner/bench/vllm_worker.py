"""Run vLLM for the benchmark, as a script in a process and an environment of its own (`peers.VllmProcess`).

The first line of its input is JSON {model, dtype, prompts, lengths}. For each further line it generates every answer,
with vLLM's own batching and prefix caching, and writes the seconds.
"""

import json
import os
import sys
import time
from typing import Any


def main() -> None:
    """Read tasks from standard input and write seconds to standard output."""
    # vLLM and its own process write to file descriptor 1. Keep that descriptor for the replies alone.
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    from vllm import LLM, SamplingParams

    task: dict[str, Any] = json.loads(sys.stdin.readline())
    llm = LLM(
        model=task["model"],
        skip_tokenizer_init=True,
        dtype=task["dtype"],
        enforce_eager=True,
        enable_prefix_caching=True,
        max_model_len=2048,
    )
    prompts = [{"prompt_token_ids": prompt} for prompt in task["prompts"]]
    sampling = [
        SamplingParams(temperature=0.0, max_tokens=n, min_tokens=n, ignore_eos=True, detokenize=False)
        for n in task["lengths"]
    ]
    print("ready", file=replies, flush=True)
    for _ in sys.stdin:
        llm.reset_prefix_cache()
        started = time.perf_counter()
        llm.generate(prompts, sampling, use_tqdm=False)
        print(time.perf_counter() - started, file=replies, flush=True)


if __name__ == "__main__":
    main()
