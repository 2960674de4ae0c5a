"""Questions that are put to a copy of the process."""

import os
import sys
import time
from collections.abc import Callable

import psutil
import pytest
import torch

from attnbench.measuring import apart
from attnbench.measuring.apart import answer_to, in_a_copy

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux copies a process with threads")


def raises() -> int:
    raise KeyError("why")


def hangs() -> int:
    time.sleep(60)
    return 1


def ends() -> int:
    os._exit(3)


@pytest.mark.parametrize(
    ("ask", "answer"),
    [
        (lambda: 2**62, 2**62),
        (lambda: 0, 0),
        (lambda: None, None),
        (raises, None),
        (ends, None),
        (hangs, None),
    ],
)
def test_an_answer_comes_from_a_process_that_is_gone_then(
    monkeypatch: pytest.MonkeyPatch, ask: Callable[[], int | None], answer: int | None
):
    monkeypatch.setattr(apart, "PATIENCE_S", 1.0)
    me = psutil.Process()
    before = me.num_fds(), me.children()
    assert in_a_copy(ask) == answer
    assert (me.num_fds(), me.children()) == before


def test_asking_leaves_nothing_behind_and_computes_with_one_thread():
    kept: list[int] = []
    threads = torch.get_num_threads()

    def ask() -> int:
        kept.append(1)
        return torch.get_num_threads()

    assert in_a_copy(ask) == 1
    assert kept == []
    assert torch.get_num_threads() == threads


@pytest.mark.parametrize(("platform", "asked_here"), [("linux", False), ("darwin", True)])
def test_inside_a_copy_is_asked_where_processes_can_be_copied(
    monkeypatch: pytest.MonkeyPatch, platform: str, asked_here: bool
):
    monkeypatch.setattr(sys, "platform", platform)
    me = os.getpid()
    assert answer_to(lambda: os.getpid() == me) is True
    with apart.apart():
        assert answer_to(lambda: os.getpid() == me) is asked_here
