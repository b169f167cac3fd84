"""The list of checks, in the order in which they run: the cheapest and most important first."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Check:
    """One check.

    Attributes:
        name: The name in the report.
        function: The function that runs it, as `module:name`. It is imported in the check's own process.
        shape_name: The LLM that it makes, or None.
        packages: The packages that it needs, besides torch and transformers.
        full_seconds: The seconds that it is expected to take at full size; it starts only if these remain. Not measured
            on a GPU yet: computed for an A6000 and rounded up.

    """

    name: str
    function: str
    shape_name: str | None = None
    packages: tuple[str, ...] = ()
    full_seconds: int = 30

    def expected_seconds(self, size_name: str) -> int:
        """Return the seconds that the check is expected to take at this size."""
        return self.full_seconds if size_name == "full" else 2


def _decoder_checks(shape_name: str, *, answers: int, speed: int, training: int) -> list[Check]:
    """Return the checks of one LLM with the seconds that each is expected to take."""
    return [
        Check(
            f"lora_training_{shape_name}", "gpu_check.lora_training:check_lora_training",
            shape_name, ("peft",), training,
        ),
        Check(f"answers_bfloat16_{shape_name}", "gpu_check.scoring:check_answers_bfloat16", shape_name, (), answers),
        Check(f"scoring_speed_{shape_name}", "gpu_check.speed:check_scoring_speed", shape_name, (), speed),
        Check(f"token_budget_{shape_name}", "gpu_check.token_budget:check_token_budget", shape_name, (), speed),
    ]  # fmt: skip


CHECKS = [
    Check("slm_training", "gpu_check.slm_training:check_slm_training"),
    Check("answers_float32_0.5b", "gpu_check.scoring:check_answers_float32", "0.5b", full_seconds=45),
    *_decoder_checks("0.5b", training=30, answers=45, speed=30),
    Check("log_sum_exp_14b", "gpu_check.normalizers:check_log_sum_exp", "14b"),
    Check("neighbours_cpu", "gpu_check.neighbours:check_neighbours_cpu", packages=("faiss",), full_seconds=10),
    Check("neighbours_gpu", "gpu_check.neighbours:check_neighbours_gpu", packages=("faiss",), full_seconds=20),
    *_decoder_checks("14b", training=60, answers=90, speed=60),
]
