"""How a worker writes into its shard, its own failures and those of the layers told apart."""

import os
import re
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TextIO

import torch

from attnbench.cases.case import Case
from attnbench.cases.variant import PLAIN, Variant
from attnbench.errors import AttnbenchError, UnsupportedGeometry
from attnbench.machine.devices import any_lost
from attnbench.measuring.execution import CannotRun
from attnbench.measuring.failures import place_of, without_advice
from attnbench.measuring.layers import WrongOutput, is_shortage
from attnbench.measuring.surroundings import Meddled
from attnbench.records import journal
from attnbench.records.journal import Fact, Failed, PutRight, Started

TF32_HINT = "TensorFloat32 tensor cores"  # inductor's wish for what would no longer be float32
SYNC_S = 1.0  # how much of a session a power cut may cost


class DiskFailed(BaseException):
    """The shard could not be written."""


class ProcessSpent(BaseException):
    """What is left must be measured in a fresh process."""


@contextmanager
def disk_failures() -> Iterator[None]:
    """Tell a shard that cannot be written from a layer that fails with the same exception."""
    try:
        yield
    except OSError as error:
        raise DiskFailed(str(error)) from error


class JournalWriter:
    """Appends facts to a shard: each can be read at once, and survives a power cut a second later."""

    def __init__(self, shard: TextIO) -> None:
        self.shard = shard
        self.synced = time.monotonic()
        self.written: list[Fact] = []

    def write(self, fact: Fact) -> None:
        with disk_failures():
            journal.write(self.shard, fact)
        self.written.append(fact)

    def sync(self) -> None:
        """See what is written onto the disk, but not more often than once in `SYNC_S`."""
        if time.monotonic() - self.synced > SYNC_S:
            with disk_failures():
                os.fsync(self.shard.fileno())
            self.synced = time.monotonic()


def write_changes(writer: JournalWriter, index: int, changes: Sequence[str]) -> None:
    """Tell what a case's layer changed of its process, if anything."""
    if changes:
        writer.write(PutRight(index, tuple(changes)))


@contextmanager
def failure_as_fact(index: int, writer: JournalWriter, variant: Variant = PLAIN) -> Iterator[None]:
    """Whatever goes wrong with one case becomes a fact, and the others go on.

    What torch refuses to do in a variant is unsupported, with torch's reason; in the plain one it is a crash.
    Where the device is lost with it, the others must go on in another process: `ProcessSpent`, once the fact
    is written.
    """
    try:
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            yield
    except (UnsupportedGeometry, CannotRun) as refusal:
        writer.write(Failed(index, "unsupported", str(refusal)))
    except AttnbenchError as mistake:
        writer.write(Failed(index, "mistake", str(mistake)))
    except (WrongOutput, Meddled) as wrong:
        writer.write(Failed(index, "wrong", str(wrong)))
    except SystemExit as leaving:
        writer.write(Failed(index, "crashed", f"it ends its process: SystemExit({leaving.code!r})"))
    except Exception as error:
        writer.write(Failed(index, *_what_failed(error, variant, said)))
        if variant.cuda_graph or any_lost():
            raise ProcessSpent from error


@contextmanager
def failure_ends_process(cases: Sequence[Case], writer: JournalWriter) -> Iterator[None]:
    """What goes wrong with the case at work becomes a fact, and the others begin anew: `ProcessSpent`.

    For what is timed in turn, where a case that drops out would leave half a round.
    """
    try:
        yield
    except (Exception, SystemExit):
        index = next(fact.case for fact in reversed(writer.written) if isinstance(fact, Started))
        with failure_as_fact(index, writer, cases[index].variant):
            raise
        raise ProcessSpent from None


def _what_failed(
    error: Exception, variant: Variant, said: Sequence[warnings.WarningMessage]
) -> tuple[str, str]:
    """The outcome of a case that raised, and the reason."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return "out_of_memory", str(error).partition("\n")[0]
    if is_shortage(error):
        return "out_of_memory", f"{type(error).__name__}: {without_advice(error)}"
    if variant == PLAIN:
        return "crashed", f"{type(error).__name__}: {without_advice(error)}{place_of(error)}"
    return "unsupported", f"{_torchs_reason(error, said)}{place_of(error)}"


def _torchs_reason(error: Exception, said: Sequence[warnings.WarningMessage]) -> str:
    """The first line of an error, and of the warnings before it, in which kernels say why they cannot run."""
    warned = [str(warning.message) for warning in said]
    texts = [f"{type(error).__name__}: {error}", *(text for text in warned if not text.startswith(TF32_HINT))]
    lines = dict.fromkeys(text.strip().partition("\n")[0] for text in texts)
    return " ".join(re.sub(r" *\(Triggered internally at .*", "", line) for line in lines)
