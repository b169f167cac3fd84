"""How long pretraining lasts, and the learning rate of each step.

The learning rate rises, stays, and falls over the last tenth of the steps. So a training that is limited by hours needs
to know its number of steps only when nine tenths of the time are over. From then on the number is fixed and recorded,
and the same number as a limit of steps gives the same training.
"""

HOURS_BEFORE_FALL = 0.9  # share of the hours after which the learning rate begins to fall


def first_falling_step(n_steps: int) -> int:
    """Return the first step of the last tenth, in which the learning rate falls."""
    return n_steps - n_steps // 10


def count_steps_if_falling_from(step: int) -> int:
    """Return the number of steps of a training whose learning rate begins to fall at a step: a ninth more.

    It is the largest number for which `first_falling_step` is that step.
    """
    return step + step // 9


def learning_rate_factor(step: int, n_steps: int | None, warmup_steps: int) -> float:
    """Return the factor by which the peak learning rate is multiplied at a step.

    Args:
        step: The number of the step, from 0.
        n_steps: The number of steps of the training; None if it is not known yet.
        warmup_steps: The number of steps in which the factor rises from 0 to 1.

    """
    rising = min(1.0, (step + 1) / max(1, warmup_steps))
    if n_steps is None:
        return rising
    return min(rising, (n_steps - step) / (n_steps - first_falling_step(n_steps) + 1))
