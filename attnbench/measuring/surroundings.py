"""What all layers of a process share: who changes it changes what the others compute, or how fast.

After each step of a layer all of it is made what it was. A layer that changes some of it while it is built is
told of; one whose calls change what decides a time has none, since its own is not that of the setting.
"""

import gc
import os
import random
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from operator import ne
from pathlib import Path
from types import ModuleType
from typing import Any, Self

import numpy as np
import torch
import torch.nn.functional as F

from attnbench.measuring import seeds
from attnbench.measuring.precision import read_precision, write_precision

TORCH = str(Path(torch.__file__).parent)
PATCHABLE: tuple[ModuleType | type, ...] = (torch, F, torch.Tensor)
HOST = torch.device("cpu")
SUBNORMAL = 2.0**-1060
AT_FIRST = frozenset(os.environ)
REDUCTIONS = ("allow_fp16_reduced_precision_reduction", "allow_bf16_reduced_precision_reduction")


@dataclass(frozen=True, slots=True)
class Shared:
    """Something of a process: how it is read and written, and whether it decides what a call takes.

    `differs` says of what was read before and now whether somebody changed it.
    """

    name: str
    read: Callable[[], Any]
    write: Callable[[Any], object]
    decisive: bool = True
    differs: Callable[[Any, Any], bool] = ne


def _cudnn() -> tuple[bool, bool, bool]:
    cudnn = torch.backends.cudnn
    return cudnn.enabled, cudnn.benchmark, cudnn.deterministic


def _set_cudnn(flags: tuple[bool, bool, bool]) -> None:
    cudnn = torch.backends.cudnn
    cudnn.enabled, cudnn.benchmark, cudnn.deterministic = flags


def _sums() -> tuple[bool, ...]:
    matmul = torch.backends.cuda.matmul
    return tuple(getattr(matmul, name) for name in REDUCTIONS)


def _set_sums(allowed: tuple[bool, ...]) -> None:
    for name, each in zip(REDUCTIONS, allowed, strict=True):
        setattr(torch.backends.cuda.matmul, name, each)


def _kernels() -> tuple[bool, ...]:
    cuda = torch.backends.cuda
    return (
        *(cuda.flash_sdp_enabled(), cuda.mem_efficient_sdp_enabled()),
        *(cuda.math_sdp_enabled(), cuda.cudnn_sdp_enabled()),
    )


def _set_kernels(enabled: tuple[bool, ...]) -> None:
    cuda = torch.backends.cuda
    enabling = (
        *(cuda.enable_flash_sdp, cuda.enable_mem_efficient_sdp),
        *(cuda.enable_math_sdp, cuda.enable_cudnn_sdp),
    )
    for enable, flag in zip(enabling, enabled, strict=True):
        enable(flag)


def _gpu() -> tuple[int, Any] | None:
    """The GPU that CUDA's calls go to, and its stream, on which events are; None where none is in use."""
    if not torch.cuda.is_initialized():
        return None
    return torch.cuda.current_device(), torch.cuda.current_stream()


def _set_gpu(gpu: tuple[int, Any] | None) -> None:
    if gpu:
        torch.cuda.set_device(gpu[0])
        torch.cuda.set_stream(gpu[1])


def _is_another_gpu(before: tuple[int, Any] | None, now: tuple[int, Any] | None) -> bool:
    """Whether there was one before, and it is another one now."""
    return before is not None and before != now


def _deterministic() -> tuple[bool, bool]:
    return torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()


def _set_deterministic(state: tuple[bool, bool]) -> None:
    torch.use_deterministic_algorithms(state[0], warn_only=state[1])


def _set_default_device(device: torch.device) -> None:
    """That of the host is set by setting none, for one that is set slows down every call."""
    torch.set_default_device(None if device == HOST else device)


def _flushes() -> bool:
    """Whether what is too small for a normal number is 0 for this thread, in Python as in torch."""
    return SUBNORMAL * len(SHARED[:1]) == 0.0  # which no compiler of Python's works out beforehand


def _collects(on: bool) -> None:
    (gc.enable if on else gc.disable)()


def _environment() -> dict[str, str]:
    """The variables that the process began with."""
    return {name: value for name, value in os.environ.items() if name in AT_FIRST}


def _handlers() -> dict[int, Any]:
    return {each: signal.getsignal(each) for each in signal.valid_signals()}


def _set_handlers(before: dict[int, Any]) -> None:
    for each, handler in before.items():
        if handler is not None and signal.getsignal(each) != handler:
            with suppress(OSError):  # those that nobody may handle
                signal.signal(each, handler)


SHARED = (
    Shared("the number of threads", torch.get_num_threads, torch.set_num_threads),
    Shared("the default number format", torch.get_default_dtype, torch.set_default_dtype),
    Shared("the default device", torch.get_default_device, _set_default_device),
    Shared("whether gradients are asked for", torch.is_grad_enabled, torch.set_grad_enabled),
    Shared("the precision of float32 products", read_precision, write_precision),
    Shared("the current GPU or its stream", _gpu, _set_gpu, differs=_is_another_gpu),
    Shared("how cuDNN chooses", _cudnn, _set_cudnn),
    Shared("how products of 16 bits are added", _sums, _set_sums),
    Shared("which fused attention is allowed", _kernels, _set_kernels),
    Shared("whether algorithms are deterministic", _deterministic, _set_deterministic),
    Shared("whether subnormal numbers are flushed", _flushes, torch.set_flush_denormal),
    Shared("the garbage collector", gc.isenabled, _collects),
    Shared("the working directory", os.getcwd, os.chdir, decisive=False),
    Shared("the environment", _environment, os.environ.update, decisive=False),
    Shared("signal handlers", _handlers, _set_handlers, decisive=False),
    Shared(
        "the seed of torch's random numbers",
        seeds.read_torch,
        seeds.write_torch,
        decisive=False,
        differs=seeds.is_torch_reseeded,
    ),
    Shared(
        "the seed of Python's random numbers",
        random.getstate,
        random.setstate,
        decisive=False,
        differs=seeds.is_python_reseeded,
    ),
    Shared(
        "the seed of NumPy's random numbers",
        seeds.read_numpy,
        np.random.set_state,
        decisive=False,
        differs=seeds.is_numpy_reseeded,
    ),
)


class Meddled(Exception):  # noqa: N818
    """Calls of a layer change what decides the times of all layers of the process."""

    @classmethod
    def by_calls(cls, changes: Sequence[str]) -> Self:
        """That says what they change."""
        return cls(f"its calls change {', '.join(changes)}, so their time is not one of the setting")


class Surroundings:
    """What a process was like when this was made, which it is made again after each step of a layer.

    For layers whose steps follow one another in one process, in one thread.
    """

    def __init__(self) -> None:
        seeds.mark_torch()
        self.before = [(shared, shared.read()) for shared in SHARED]
        self.functions = [(owner, dict(vars(owner))) for owner in PATCHABLE]

    def put_right(self) -> tuple[str, ...]:
        """What a layer changed while it was built; all is made what it was."""
        return tuple(what for what, _ in self._put_right())

    def require_as_before(self, *, thorough: bool = True) -> tuple[str, ...]:
        """What calls changed that decides no time; all is made what it was.

        Raise `Meddled` where they changed what does: the others would have been timed with it, and they
        themselves were. What is not `thorough` takes a few microseconds, and looks neither at torch's
        functions nor at what decides nothing.
        """
        changes = self._put_right(thorough=thorough)
        if decisive := [what for what, decides in changes if decides]:
            raise Meddled.by_calls(decisive)
        return tuple(what for what, _ in changes)

    def _put_right(self, *, thorough: bool = True) -> list[tuple[str, bool]]:
        """What is not as before, and whether that decides a time."""
        changes = []
        for shared, before in self.before:
            if (thorough or shared.decisive) and shared.differs(before, now := shared.read()):
                shared.write(before)
                values = f" ({before}, then {now})" if _is_short(before) and shared.decisive else ""
                changes.append((f"{shared.name}{values}", shared.decisive))
        patched = self._unpatched() if thorough else ()
        return changes + [(f"torch's {name}", True) for name in patched]

    def _unpatched(self) -> Iterator[str]:
        """Functions of torch that another's code stood in for, which are put back."""
        for owner, functions in self.functions:
            now = vars(owner)
            for name, function in functions.items():
                if now.get(name) is not function and callable(function) and not _is_torchs(now.get(name)):
                    setattr(owner, name, function)
                    yield name


def _is_short(value: Any) -> bool:
    """Whether a reader sees something in a value."""
    return isinstance(value, int | str | torch.dtype | torch.device)


def _is_torchs(function: Any) -> bool:
    """Whether torch itself put it in the place of another, as its compiler does when it is loaded."""
    code = getattr(function, "__code__", None)
    if code is None:
        return str(getattr(function, "__module__", "")).partition(".")[0] == "torch"
    return str(code.co_filename).startswith(TORCH)
