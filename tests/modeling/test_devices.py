"""What happens to freed memory, in processes of their own: the setting stays for a process's life."""

import platform
import subprocess
import sys

import pytest

CODE = """
from rayner.modeling.devices import stop_keeping_freed_memory
from tests.freed_memory import measure_kept_mib
{call}
print(measure_kept_mib())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries are left as they are")
@pytest.mark.parametrize(("call", "kept"), [("", range(150, 300)), ("stop_keeping_freed_memory()", range(-50, 30))])
def test_freed_blocks_go_back_to_the_system(call, kept):
    process = subprocess.run([sys.executable, "-c", CODE.format(call=call)], capture_output=True, text=True, check=True)
    assert int(process.stdout) in kept


def test_another_c_library_is_left_as_it_is(monkeypatch):
    from rayner.modeling import devices

    monkeypatch.setattr(devices.ctypes, "CDLL", lambda name: object())
    devices.stop_keeping_freed_memory()
