"""What must hold after each job, and after the last one."""

import json
from collections.abc import Collection
from typing import Any

from tests.simulation.faults import ERRORS, JOB_KILLS, KILLS
from tests.simulation.jobs import OUT, RUN, Job
from tests.simulation.system_calls import ROOT
from tests.simulation.world import World

_KILLED_BY = {*KILLS, *JOB_KILLS}
_MAX_NAMES = 6


def check_job(
    job: Job, kinds: Collection[str], damaged: Collection[str], world: World, *, is_second: bool = False
) -> list[str]:
    """Return what is wrong with the end of a job.

    kinds: the kinds of the faults that struck during the job.
    damaged: the files that were damaged before the job.
    is_second: whether the job was started while another one worked, and may be refused.
    """
    name = job.process.name if job.process else "job"
    violations = []
    if job.crash:
        violations.append(f"{name} ended with a traceback: {job.crash.strip().splitlines()[-1]}")
    reasons: dict[int | None, set[str]] = {
        None: _KILLED_BY,
        1: {*ERRORS},
        130: {"interrupt"},
        143: {"terminate"},
    }
    # While a job waited before its lock, another one finished and removed its unfinished file.
    lost_its_file = job.code == 1 and "second_job" in kinds and ".tmp'" in job.message
    if job.code in reasons and not job.crash and not lost_its_file and not reasons[job.code] & set(kinds):
        violations.append(f"{name} ended with exit code {job.code} without cause: {job.message}")
    is_locked_out = (is_second or "second_job" in kinds) and "no other job works on" in job.message
    # A description of a model that cannot be read ends the job with the exit code 2; the message says why.
    is_unreadable = (
        bool({*ERRORS} & set(kinds))
        and job.message.startswith(f"{ROOT}/{RUN}/models")
        and ("Input/output error" in job.message or "Permission denied" in job.message)
    )
    # The first job goes on after a person has done what the message says; a second one is not started again.
    is_told_of_damage = is_second and any(f"{ROOT}/{OUT}/{name}" in job.message for name in damaged)
    if job.code == 2 and not is_locked_out and not is_unreadable and not is_told_of_damage:
        violations.append(f"{name} was refused: {job.message}")
    if job.code in (0, 3) and not is_second:
        tables = [each for each in damaged if each.endswith(".parquet")]
        log = "\n".join(world.messages)
        if "the plan is made again" in log:  # then the copies of documents are too, whatever they hold
            tables = [each for each in tables if not each.startswith(("plan/", "documents/"))]
        stems = {each: each.rpartition("/")[2].partition(".")[0] for each in tables}
        violations += [f"{name} does not name the damaged file {each}" for each in tables if stems[each] not in log]
    return violations


def check_end(
    files: dict[str, bytes], job: Job, expected: dict[str, bytes], expected_job: Job, messages: Collection[str]
) -> list[str]:
    """Compare the tagged corpus and the exit code with those of an undisturbed job.

    A lock that could not be removed may remain, if the log says so: it does not block the next job.
    """
    tolerated = {"lock.json"} if any("lock.json: could not be removed" in each for each in messages) else set()
    violations = []
    if job.code != expected_job.code:
        violations.append(f"exit code {job.code}, undisturbed {expected_job.code}")
    missing, stray = sorted(expected.keys() - files.keys()), sorted(files.keys() - expected.keys() - tolerated)
    if missing:
        violations.append(f"missing files: {', '.join(missing[:_MAX_NAMES])}")
    if stray:
        violations.append(f"stray files: {', '.join(stray[:_MAX_NAMES])}")
    different = [name for name in sorted(files.keys() & expected.keys())
                 if _comparable(name, files[name]) != _comparable(name, expected[name])]  # fmt: skip
    if different:
        violations.append(f"different files: {', '.join(different[:_MAX_NAMES])}")
    return violations


def _comparable(name: str, content: bytes) -> Any:
    """Return the content without durations and the number of actors, which may differ."""
    if not name.endswith(".json"):
        return content
    try:
        tree = json.loads(content)
    except ValueError:
        return content
    for part in (tree, tree.get("result") if isinstance(tree, dict) else None):
        if isinstance(part, dict):
            part.pop("seconds", None)
            part.pop("config_digest", None)
            part.pop("content_sha256", None)
    if isinstance(tree, dict) and isinstance(tree.get("config"), dict):
        tree["config"]["score"].pop("actors", None)
    return tree
