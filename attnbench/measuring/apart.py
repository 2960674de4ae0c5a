"""A question that is put to a copy of this process, which ends with its answer.

What asking leaves behind, such as tensors without numbers that a layer's module keeps for its next call, is
gone with the copy. Where this process belongs to somebody else, whose layers live in it, that matters.
"""

import os
import pickle
import select
import signal
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from typing import TypeVar

import torch
from torch._subclasses.fake_tensor import FakeTensorMode

PATIENCE_S = 30.0  # a copy of a process with threads may wait for one that it does not have
Answer = TypeVar("Answer")
_apart: ContextVar[bool] = ContextVar("_apart", default=False)


@contextmanager
def apart() -> Iterator[None]:
    """Inside, such questions are put to a copy: this process is somebody's who goes on with it."""
    _load()
    token = _apart.set(True)
    try:
        yield
    finally:
        _apart.reset(token)


@cache
def _load() -> None:
    """Let torch load here, once, what it needs for tensors without memory, and not in each copy again."""
    with FakeTensorMode():
        torch.ones(1) + 1


def answer_to(ask: Callable[[], Answer]) -> Answer | None:
    """What `ask` returns, asked here, or in a copy inside of `apart`.

    Linux alone copies a process whose libraries have started threads; elsewhere it is asked here.
    """
    return in_a_copy(ask) if _apart.get() and sys.platform == "linux" else ask()


def in_a_copy(ask: Callable[[], Answer]) -> Answer | None:
    """What `ask` returns, asked in a copy; None where it raises, ends the copy or takes too long.

    The copy computes with one thread, since others are not copied. A torch that is built for GPUs refuses to
    go backward in one, once its process has.
    """
    theirs, ours = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of those threads, from Python 3.12 on
        copy = os.fork()
    if not copy:
        try:
            torch.set_num_threads(1)
            with os.fdopen(ours, "wb") as answer:
                pickle.dump(ask(), answer)
        finally:
            os._exit(0)
    os.close(ours)
    with os.fdopen(theirs, "rb") as answer:
        try:
            answered, *_ = select.select([answer], [], [], PATIENCE_S)
            said = answer.read() if answered else b""
        finally:
            os.kill(copy, signal.SIGKILL)
            os.waitpid(copy, 0)
    try:
        found: Answer = pickle.loads(said)
    except (EOFError, pickle.UnpicklingError):  # it ended before it had said all
        return None
    return found
