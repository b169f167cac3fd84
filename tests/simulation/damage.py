"""Damage to files between two jobs, and what a person does about it if a message says so."""

from tests.simulation.faults import Fault
from tests.simulation.file_system import File
from tests.simulation.jobs import OUT, Job
from tests.simulation.system_calls import ROOT
from tests.simulation.world import World


def follow_message(world: World, job: Job, damaged: dict[str, bytes]) -> bool:
    """Restore a damaged control file, or move a changed export away, if a message names it and says so."""
    messages = [job.message, *world.messages]
    for name, content in damaged.items():
        path = f"{ROOT}/{OUT}/{name}"
        told = " ".join(message for message in messages if path in message)
        if name == ".rayner-output":
            if "move the folder away" not in told:
                continue
            _move_away(world, f"{ROOT}/{OUT}")
        elif name.startswith("evahan/"):
            if "ove it away" in told or "move this file away" in told:
                _move_away(world, path)
            elif "move the folder away" in told:
                _move_away(world, f"{ROOT}/{OUT}/evahan")
            else:
                continue
        elif name.endswith((".json", ".jsonl")) and job.message.startswith(path) and "restore it" in told:
            world.file_system.write_files({f"{OUT}/{name}": content})
        else:
            continue
        del damaged[name]
        return True
    return False


def _move_away(world: World, path: str) -> None:
    """Remove a file or folder as a person does, so long before the next job that a power cut does not bring it back."""
    file_system = world.file_system
    if isinstance(file_system.find(path), File):
        file_system.remove_file(path)
    else:
        file_system.remove_tree(path)
    file_system.sync_folder(file_system.find_folder(path.rpartition("/")[0]))


def damage_file(world: World, fault: Fault) -> dict[str, bytes]:
    """Damage a file of the tagged corpus; return what it held, by its name, if the next job builds on it."""
    name = world.rng.choice(sorted(world.file_system.files(OUT)))
    path = f"{ROOT}/{OUT}/{name}"
    file = world.file_system.find(path)
    assert isinstance(file, File)
    content = bytes(file.data)
    if fault.kind == "flip_bit":
        world.flip_bit(path)
    else:
        file.truncate(0 if fault.kind == "empty_file" or not content else world.rng.randrange(len(content)))
        file.sync()
    world.injected.append((world.n_operations, fault))
    return {name: content} if _is_committed(world, name) else {}


def _is_committed(world: World, name: str) -> bool:
    """Return whether a file is one on which the next job builds."""
    folder, _, file = name.rpartition("/")
    if folder in ("documents", "plan"):
        return world.file_system.exists(f"{ROOT}/{OUT}/steps/plan.json")
    if folder in ("entities", "segments", "scores") and file.endswith(".parquet"):
        return world.file_system.exists(f"{ROOT}/{OUT}/units/{file.removesuffix('.parquet')}.json")
    return True
