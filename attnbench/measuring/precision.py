"""How products of float32 are made: torch has been told in two ways since 2.9, which refuse to be mixed."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch

backends: Any = torch.backends
NEW: Sequence[Any] = (
    ()
    if torch.__version__ < "2.9"
    else (
        *(backends, backends.cuda.matmul),
        *(backends.cudnn, backends.cudnn.conv, backends.cudnn.rnn),
        *(backends.mkldnn, backends.mkldnn.matmul, backends.mkldnn.conv, backends.mkldnn.rnn),
    )
)
"""What has a `fp32_precision`: all of torch, and parts of it from the whole to the particular."""
UNSAID = "none"


def _allow_matmul(allowed: bool) -> None:
    backends.cuda.matmul.allow_tf32 = allowed


def _allow_cudnn(allowed: bool) -> None:
    backends.cudnn.allow_tf32 = allowed


OLD: Sequence[tuple[Callable[[], Any], Callable[[Any], None]]] = (
    (lambda: backends.cudnn.allow_tf32, _allow_cudnn),
    (lambda: backends.cuda.matmul.allow_tf32, _allow_matmul),
    (torch.get_float32_matmul_precision, torch.set_float32_matmul_precision),
)
"""The older way, read and written; who has used the newer one may not read it."""


@dataclass(frozen=True, slots=True)
class Precision:
    """How products of float32 are made, said in either way.

    The older one's None is what torch refuses to tell, as it does where both ways were used.
    """

    new: tuple[str, ...]
    old: tuple[Any, ...]


def read_precision() -> Precision:
    """How they are made now."""
    return Precision(tuple(each.fp32_precision for each in NEW), tuple(_told(read) for read, _ in OLD))


def write_precision(precision: Precision) -> None:
    """Make them so again."""
    for (_, write), value in zip(OLD, precision.old, strict=True):
        if value is not None:
            write(value)
    for each, said in zip(NEW, precision.new, strict=True):
        each.fp32_precision = said


def set_precision(*, tf32: bool) -> None:
    """Make them in float32, or in TF32 where a GPU has it, whatever was asked for and in whichever way."""
    for each in NEW:
        each.fp32_precision = UNSAID
    torch.set_float32_matmul_precision("highest")
    _allow_cudnn(tf32)
    _allow_matmul(tf32)


@cache
def precision_of(*, tf32: bool) -> Precision:
    """How they are made where that is asked for; found out once, for it takes as long as a small layer."""
    before = read_precision()
    set_precision(tf32=tf32)
    asked = read_precision()
    write_precision(before)
    return asked


@contextmanager
def exact_float32() -> Iterator[None]:
    """Products of float32 are those of float32 inside, whichever way others were asked for."""
    before = read_precision()
    set_precision(tf32=False)
    try:
        yield
    finally:
        write_precision(before)


def _told(read: Callable[[], Any]) -> Any:
    try:
        return read()
    except RuntimeError:
        return None
