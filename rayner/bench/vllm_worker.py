"""vLLM as a peer of the benchmark, in a process and an environment of its own; run as a script there.

It reads a line of JSON {model, dtype, prompts, lengths}, then for each further line generates every answer and writes
the seconds that it took. Its own batching and prefix caching are on.
"""

import json
import os
import sys
import time
from typing import Any


def main() -> None:
    """Serve generations over the standard streams."""
    # vLLM and the process that it starts talk on file descriptor 1; only seconds go to the caller.
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
    settings = [
        SamplingParams(temperature=0.0, max_tokens=n, min_tokens=n, ignore_eos=True, detokenize=False)
        for n in task["lengths"]
    ]
    print("ready", file=replies, flush=True)
    for _ in sys.stdin:
        llm.reset_prefix_cache()
        begun = time.perf_counter()
        llm.generate(prompts, settings, use_tqdm=False)
        print(time.perf_counter() - begun, file=replies, flush=True)


if __name__ == "__main__":
    main()
