"""How products of float32 are made: torch has been told in two ways since 2.9, which refuse to be mixed."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
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


@contextmanager
def exact_float32() -> Iterator[None]:
    """Products of float32 are those of float32 inside, whichever way others were asked for."""
    new, old = [each.fp32_precision for each in NEW], []
    for read, write in OLD:
        with suppress(RuntimeError):
            old.append((write, read()))
    for each in NEW:
        each.fp32_precision = UNSAID
    _allow_cudnn(False)
    _allow_matmul(False)
    torch.set_float32_matmul_precision("highest")
    try:
        yield
    finally:
        for write, value in old:
            write(value)
        for each, value in zip(NEW, new, strict=True):
            each.fp32_precision = value
