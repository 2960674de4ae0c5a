"""Freed memory stays with a process that asks for it, and goes back to the system otherwise."""

import os
import platform
import subprocess
import sys

import pytest

from attnbench.machine.allocator import KEEP_FREED_MEMORY, without_allocator_variables

SIZE = 64 * 2**20
PROGRAM = f"""
import psutil
from attnbench.machine.allocator import keep_freed_memory
{{first}}
process = psutil.Process()
process.memory_info()  # what it keeps must not lie above the block
block = b"x" * {SIZE}
full = process.memory_info().rss
del block
print(full - process.memory_info().rss)
"""


def given_back(first: str, **variables: str) -> int:
    """How much of a freed block the system has again, after a process began with `first`."""
    quiet = {name: value for name, value in os.environ.items() if name not in KEEP_FREED_MEMORY}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(first=first)],
        env=quiet | variables,
        capture_output=True,
        text=True,
        check=True,
    )
    return int(done.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library has its own ways")
def test_freed_memory_stays_where_pages_are_kept_and_goes_back_where_not():
    assert given_back("keep_freed_memory()") < SIZE / 10
    assert given_back("", **KEEP_FREED_MEMORY) < SIZE / 10
    assert given_back("") > SIZE / 2


def test_a_value_of_ones_own_is_no_word_of_ours():
    mine = {"MALLOC_MMAP_MAX_": "5", "PATH": "/bin"}
    theirs = {"MALLOC_TRIM_THRESHOLD_": KEEP_FREED_MEMORY["MALLOC_TRIM_THRESHOLD_"]}
    assert without_allocator_variables(mine | theirs) == mine
