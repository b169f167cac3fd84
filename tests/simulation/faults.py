"""The faults: what can go wrong at a file operation, and how a seed draws them."""

import errno
import random
from dataclasses import dataclass

READING = ("open", "read", "scandir", "stat")
# The error number and the operations that may fail with it.
ERRORS: dict[str, tuple[int, tuple[str, ...]]] = {
    "error_io_write": (errno.EIO, ("create", "write", "fsync", "fsync_folder", "rename", "unlink", "mkdir", "rmdir")),
    "error_io_read": (errno.EIO, ("open", "read", "scandir", "stat")),
    "error_full": (errno.ENOSPC, ("create", "write", "fsync", "mkdir", "rename")),
    "error_access": (errno.EACCES, ("create", "open", "rename", "unlink", "mkdir", "scandir")),
}
KILLS = ("kill_before", "kill_after", "power_before", "power_after", "torn_write")
ACTOR_KILLS = ("kill_actor_before", "kill_actor_after")
JOB_KILLS = ("orphans_before", "orphans_after")
EVENTS = ("interrupt", "terminate", "clock_step", "second_job", "repeat_unit")
AT_REST = ("flip_bit", "cut_file", "empty_file")  # between two jobs, in a file of the tagged corpus
KINDS = (*KILLS, *ACTOR_KILLS, *JOB_KILLS, *ERRORS, *EVENTS, *AT_REST)


@dataclass(frozen=True)
class Fault:
    """A fault.

    operation: the number of the first file operation at which it may strike; it strikes at the first that it fits.
    lasts: whether an error comes again at each such operation until the job ends.
    """

    kind: str
    operation: int
    lasts: bool = False


def fault_applies(fault: Fault, kind: str, path: str, *, is_actor: bool) -> bool:
    """Return whether a fault can strike at an operation of this kind.

    Texts of the corpus that cannot be read are listed as unread and not tagged. So no errors strike there.
    """
    if fault.kind in ERRORS:
        return kind in ERRORS[fault.kind][1] and "/corpus/" not in path and not path.endswith("/corpus")
    if fault.kind == "torn_write":
        return kind == "write"
    if fault.kind in ("kill_actor_before", "kill_actor_after", "repeat_unit"):
        return is_actor
    return fault.kind not in AT_REST


def draw_faults(rng: random.Random, n_operations: int) -> list[Fault]:
    """Draw one to six faults for a run of about `n_operations` operations."""
    kinds = rng.choice((KINDS, KINDS, KILLS, (*ACTOR_KILLS, *JOB_KILLS), ACTOR_KILLS, tuple(ERRORS)))
    span = rng.choice((n_operations, n_operations, 2 * n_operations, max(1, n_operations // 4)))
    return [Fault(rng.choice(kinds), rng.randrange(span), lasts=rng.random() < 0.2) for _ in range(rng.randint(1, 6))]
