"""Run vLLM for the benchmark. `peers.VllmProcess` starts this script in a separate process and environment.

The first line of the input is a JSON object with the keys `model`, `dtype`, `prompts` and `lengths`. When vLLM is
loaded, the script writes `ready`. For each further line, it generates all answers, with vLLM's own batching and prefix
caching, and writes the time in seconds.
"""

import json
import os
import sys
import time
from typing import Any


def main() -> None:
    """Read the task from standard input, and write the seconds of each repetition to standard output."""
    # vLLM also writes to file descriptor 1. Keep a copy of standard output for the replies, and send vLLM's text to
    # standard error.
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
