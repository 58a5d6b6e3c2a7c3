"""Freed memory that stays with the process."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

PROGRAM = """
import resource
import sys
from hypertok.training.allocator import keep_freed_memory

def resident():
    return int(open("/proc/self/statm").read().split()[1]) * resource.getpagesize() >> 20

if sys.argv[1] == "kept":
    assert keep_freed_memory()
before = resident()
block = bytearray(b"x" * (1 << 20)) * 300
held = resident() - before
del block
print(held, resident() - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc knows how")
@pytest.mark.parametrize("how", ["kept", "given back"])
def test_what_is_freed_is_kept_when_asked(how: str) -> None:
    out = subprocess.run([sys.executable, "-c", PROGRAM, how], capture_output=True, text=True, check=True).stdout
    held, after = map(int, out.split())
    assert held >= 300
    assert (after >= 300) == (how == "kept")
