"""The file system in memory does what the real one does, and a power cut leaves what a real one may leave."""

import os
import shutil
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rayner.runs.storage import atomic_writer
from tests.simulation.environment import clear_caches, simulated_environment
from tests.simulation.faults import KILLS, Fault
from tests.simulation.file_system import FileSystem
from tests.simulation.system_calls import ROOT
from tests.simulation.world import World, simulate_world

NAMES = ("a", "b", "c/a", "c/b", "c", "d/e", "d")


def in_world(function, seed=0, faults=(), file_system=None):
    """Call a function in a process of a new world; return the world, whose process may have died."""
    world = World(seed, file_system or FileSystem(ROOT), list(faults))
    ended = []

    def act():
        try:
            function()
        finally:
            ended.append(True)

    clear_caches()
    with simulated_environment(), simulate_world(world):
        world.start_process("test", act)
        world.run(lambda: bool(ended))
    return world


def act_on_files(root: Path, actions):
    """Do actions below a folder; return what each gave: a value, or the number of its error."""
    results = []
    for action, first, second, data in actions:
        a, b = root / first, root / second
        calls = {
            "write": lambda a=a, data=data: a.write_bytes(data),
            "exclusive": lambda a=a: a.open("xb").close(),
            "append": lambda a=a, data=data: append(a, data),
            "patch": lambda a=a, data=data: patch_file(a, data),
            "read": lambda a=a: a.read_bytes(),
            "text": lambda a=a: a.read_text(encoding="latin-1"),
            "mkdir": lambda a=a: a.mkdir(),
            "parents": lambda a=a: a.mkdir(parents=True, exist_ok=True),
            "unlink": lambda a=a: a.unlink(),
            "missing_ok": lambda a=a: a.unlink(missing_ok=True),
            "rmdir": lambda a=a: a.rmdir(),
            "rmtree": lambda a=a: shutil.rmtree(a),
            "rename": lambda a=a, b=b: a.rename(b) and None,
            "replace": lambda a=a, b=b: a.replace(b) and None,
            "stat": lambda a=a: (a.exists(), a.is_dir(), a.is_file(), a.stat().st_size if a.is_file() else 0),
            "list": lambda a=a: sorted((entry.name, entry.is_dir()) for entry in os.scandir(a)),
            "walk": lambda root=root: sorted(str(path.relative_to(root)) for path in root.rglob("*")),
            "resolve": lambda a=a, root=root: str(a.resolve().relative_to(root.resolve())),
        }
        try:
            results.append((action, calls[action]()))
        except OSError as error:
            results.append((action, error.errno))
    return results


def append(path, data):
    with path.open("ab") as stream:
        stream.write(data)


def patch_file(path, data):
    with path.open("r+b") as stream:
        stream.seek(3)
        stream.write(data)
        stream.truncate()
        stream.seek(0)
        return stream.read()


ACTIONS = st.tuples(
    st.sampled_from(
        ["write", "exclusive", "append", "patch", "read", "text", "mkdir", "parents", "unlink", "missing_ok", "rmdir",
         "rmtree", "rename", "replace", "stat", "list", "walk", "resolve"]
    ),
    st.sampled_from(NAMES),
    st.sampled_from(NAMES),
    st.sampled_from([b"", b"x", b"0123456789", bytes(20_000)]),
)  # fmt: skip


@given(st.lists(ACTIONS, max_size=25))
@settings(max_examples=150)
def test_it_does_what_the_real_file_system_does(tmp_path_factory, actions):
    real = tmp_path_factory.mktemp("real")
    expected, found = act_on_files(real, actions), []
    world = in_world(lambda: found.extend(act_on_files(Path(ROOT), actions)))
    assert found == expected
    assert world.file_system.files() == {
        str(path.relative_to(real)): path.read_bytes() for path in real.rglob("*") if path.is_file()
    }
    shutil.rmtree(real)


def synced_write(name: str, content: bytes):
    """Write a file so that it is durable with all its folders."""
    path = Path(ROOT, name)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
    for folder in (path.parent, *path.parent.parents):
        if str(folder).startswith(ROOT):
            descriptor = os.open(folder, os.O_RDONLY)
            os.fsync(descriptor)
            os.close(descriptor)


@pytest.mark.parametrize("seed", range(40))
def test_what_was_synced_survives_a_power_cut(seed):
    def write():
        for name in ("a", "c/d/e"):
            synced_write(name, name.encode() * 5000)
        Path(ROOT, "c/unsynced").write_bytes(b"x" * 20_000)
        synced_write("z", b"")

    world = in_world(write, seed)
    world.file_system.cut_power(world.rng)
    files = world.file_system.files()
    assert {name: files[name] for name in ("a", "c/d/e", "z")} == {"a": b"a" * 5000, "c/d/e": b"c/d/e" * 5000, "z": b""}


def test_what_was_not_synced_may_be_lost_kept_zeroed_or_torn():
    outcomes = set()
    for seed in range(200):
        world = in_world(lambda: Path(ROOT, "a").write_bytes(b"x" * 20_000), seed)
        world.file_system.cut_power(world.rng)
        content = world.file_system.files().get("a")
        assert content is None or set(content) <= {0, ord("x")}
        outcomes.add(
            "no name" if content is None else "empty" if not content else "whole" if content == b"x" * 20_000
            else "zeros" if not content.strip(b"\0") else "torn"
        )  # fmt: skip
    assert outcomes == {"no name", "empty", "whole", "zeros", "torn"}


def test_renames_survive_a_power_cut_in_any_subset():
    def rename():
        synced_write("a", b"1")
        synced_write("b", b"2")
        Path(ROOT, "a").rename(Path(ROOT, "c"))
        Path(ROOT, "b").rename(Path(ROOT, "d"))

    outcomes = set()
    for seed in range(60):
        world = in_world(rename, seed)
        world.file_system.cut_power(world.rng)
        outcomes.add("".join(sorted(world.file_system.files())))
    assert outcomes == {"ab", "bc", "ad", "cd"}


def write_twice():
    for content in (b"old" * 4000, b"new" * 4000):
        with atomic_writer(Path(ROOT, "x/y/file")) as stream:
            stream.write(content)


@pytest.mark.parametrize("kind", KILLS)
def test_an_atomic_write_leaves_the_old_or_the_new_file_at_any_operation(kind):
    undisturbed = in_world(write_twice)
    fitting = [i for i, (_, each, _) in enumerate(undisturbed.log) if kind != "torn_write" or each == "write"]
    contents = set()
    for seed in range(3):
        for operation in fitting:
            world = in_world(write_twice, seed, [Fault(kind, operation)])
            assert world.injected
            contents.add(world.file_system.files().get("x/y/file"))
    expected = {None, b"old" * 4000, b"new" * 4000}
    assert contents == (expected if kind != "torn_write" else expected - {b"new" * 4000})


def test_a_dead_process_does_nothing_any_more():
    did = []

    def write():
        try:
            Path(ROOT, "a").write_bytes(b"1")
        finally:
            did.append("finally")
            try:
                Path(ROOT, "b").write_bytes(b"2")
            except BaseException:
                did.append("refused")
                Path(ROOT, "c").mkdir()

    world = in_world(write, faults=[Fault("kill_before", 1)])
    assert did == ["finally", "refused"]
    assert world.file_system.files() == {"a": b""}


def test_what_a_process_did_not_flush_dies_with_it():
    def write():
        with Path(ROOT, "a").open("wb") as stream:
            stream.write(b"x" * 10)
            Path(ROOT, "b").mkdir()

    assert in_world(write, faults=[Fault("kill_before", 1)]).file_system.files() == {"a": b""}
    assert in_world(write).file_system.files() == {"a": b"x" * 10}
