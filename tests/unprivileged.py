"""Run code as a user without privileges, because root may read every file."""

import json
import os
import tempfile
import traceback
from contextlib import contextmanager
from pathlib import Path

NOBODY = 65534


def run_unprivileged(function):
    """Call a function as a user without privileges, and return its result, which JSON must be able to hold.

    Root calls it in a process of its own, which has given up root's rights for good.
    """
    if os.geteuid() != 0:
        return function()
    read_end, write_end = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setgroups([])
            os.setresgid(NOBODY, NOBODY, NOBODY)
            os.setresuid(NOBODY, NOBODY, NOBODY)
            answer = {"result": function()}
        except BaseException:
            answer = {"failure": traceback.format_exc()}
        with open(write_end, "w", encoding="utf-8") as stream:
            json.dump(answer, stream)
        os._exit(0)
    os.close(write_end)
    with open(read_end, encoding="utf-8") as stream:
        answer = json.load(stream)
    os.waitpid(child, 0)
    assert "result" in answer, answer["failure"]
    return answer["result"]


@contextmanager
def open_folder():
    """A temporary folder that every user can reach, unlike pytest's."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder).resolve()
        for path in sorted(Path(folder).rglob("*")):
            if path.is_dir() and not path.is_symlink():
                path.chmod(0o755)
