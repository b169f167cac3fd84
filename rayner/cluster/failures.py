"""What ends a job besides wrong input, in one line for people: dead actors, a full disk, storage that is away."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from ray.exceptions import RayActorError, RayError

from rayner.errors import JobError, RaynerError
from rayner.storage import Place

_AGAIN = "the same command goes on from what is done"


@contextmanager
def plainly(out: Place) -> Iterator[None]:
    """Turn what Ray raises for work on `out` into a JobError of one line, where its cause is known."""
    try:
        yield
    except (RayError, OSError) as error:
        causes = [*_causes(error)]
        for cause in causes:
            if isinstance(cause, RaynerError):
                raise cause from error
        for cause in causes:
            if isinstance(cause, OSError) and not isinstance(cause, RayError):
                full = cause.errno in (errno.ENOSPC, errno.EDQUOT)
                what = "no space is left" if full else f"cannot be read or written: {cause.strerror or cause}"
                raise JobError(f"{out}: {what}; {_AGAIN}") from error
            if isinstance(cause, RayActorError):
                raise JobError(
                    f"{out}: an actor died again and again (score.max_restarts), last: {_first_line(cause)}; "
                    f"{out / 'attempts'} names the units it worked on; {_AGAIN}"
                ) from error
        raise


def _causes(error: BaseException) -> Iterator[BaseException]:
    """An error and what it was raised for, also in another process."""
    seen: set[int] = set()
    waiting: list[BaseException | None] = [error]
    while waiting:
        found = waiting.pop()
        if found is None or id(found) in seen:
            continue
        seen.add(id(found))
        yield found
        waiting += [found.__cause__, found.__context__, getattr(found, "cause", None)]


def _first_line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0][:300]
