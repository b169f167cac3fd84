"""Old names of settings and values. Each is refused, with an error that says what to write instead."""

RENAMED = {
    "types": "llm.type_glosses",
    "dtype": "llm.dtype",
    "engine": "llm.engine",
    "llm.probability": "llm.softmax_over",
    "llm.objective": "llm.loss_over",
    "llm.max_steps": "llm.max_steps_per_epoch",
    "slm.crf.iterations": "slm.crf.max_iterations",
    "fusion.entropy": "fusion.entropy_reduction",
    "fusion.probability": "fusion.llm_reduction",
    "fusion.evidence": "fusion.llm_confidence",
    "fusion.steps": "fusion.weight_steps",
    "fusion.trials_at_once": "fusion.max_concurrent_trials",
    "bench.group": "bench.prompt_group",
    "bench.share": "bench.gate_share",
    "bench.weight": "bench.gate_weight",
    "bench.vllm": "bench.vllm_python",
    "reproduce.llm": "reproduce.llm_setups",
    "reproduce.seeds": "reproduce.n_seeds",
}
RENAMED_VALUES = {
    "llm.softmax_over": {"unmasked": "all"},
    "llm.loss_over": {"decisions": "allowed", "tokens": "all"},
    "fusion.llm_confidence": {"decisions": "slots"},
}
_PSEUDO_LABELS_REMOVED = "an LLM from scratch that the small model taught showed no worth on three sets (docs/log.md)"
REMOVED = {
    "split.fold": "cross-fitting (split.folds) trains each fold itself",
    "llm.micro_batch": "llm.micro_batch_tokens limits a forward pass by its tokens, not by its sentences",
    "llm.silver": _PSEUDO_LABELS_REMOVED,
    "llm.pseudo_labels": _PSEUDO_LABELS_REMOVED,
    "llm.scratch.dropout": "an LLM made from scratch has no dropout",
}
