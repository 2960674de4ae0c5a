"""A CUDA device that is faked: it computes on the CPU, and takes the time of `SimulatedCuda`.

Its tensors say that they are on `cuda:0`, have values, and meet no tensor of the host but by a copy, as on a
GPU. Each operator but views is a launch, which takes the device a while and the bytes that it moves. TF32
rounds what goes into a product. The allocator knows what is alive.

What cannot be faked so: which of torch's fused kernels runs and what it refuses, capture into graphs and
compilation, errors that CUDA keeps, scratch that kernels take, work that is not done when a call returns, and
any time that means something.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest import mock
from weakref import WeakSet, finalize

import pytest
import torch
from torch import Tensor, UntypedStorage, nn
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from attnbench.cases.case import Mode
from attnbench.machine.clock import Clock, WallClock
from attnbench.machine.cpu import Cpu
from attnbench.machine.cuda import Cuda
from attnbench.machine.cuda_clock import CudaClock
from attnbench.machine.device import Gpu
from attnbench.measuring import counting
from attnbench.measuring.prediction import predicted_peak_bytes
from attnbench.mechanism import Shape
from attnbench.run import runner
from tests.in_process import facts_in_process
from tests.simulated_cuda import SimulatedCuda

HERE = torch.device("cuda:0")
LAUNCH_S = 2e-6  # of the device, besides what it moves
BYTES_PER_S = 1e12
MEMORY_BYTES = 2**34
TF32_BITS = 13  # of float32's mantissa, are lost
aten = torch.ops.aten
PRODUCTS = {aten.mm, aten.bmm, aten.addmm, aten.baddbmm, aten.linear, aten.matmul, aten.convolution}
MIXED = {aten.copy_, aten._to_copy, aten.to, aten.index, aten.index_put_, aten._index_put_impl_}
"""Operators that take tensors of the host beside those of the device: copies, and indexing."""


class CudaTensor(Tensor):
    """A tensor of the device; `on_host` is where its numbers are.

    To torch's own code it is on `meta`, for which a build without CUDA has all that autograd needs.
    """

    on_host: Tensor

    @staticmethod
    def __new__(cls, on_host: Tensor) -> "CudaTensor":
        with torch.inference_mode(
            on_host.is_inference()
        ):  # a view of a weight is none of that mode's tensors
            made: CudaTensor = Tensor._make_wrapper_subclass(
                cls,
                on_host.shape,
                strides=on_host.stride(),
                storage_offset=on_host.storage_offset(),
                dtype=on_host.dtype,
                device=torch.device("meta"),
            )
        made.on_host = on_host
        return made

    @property
    def device(self) -> Any:  # type: ignore[override]
        return HERE

    @property
    def is_cuda(self) -> bool:  # type: ignore[override]
        return True

    @classmethod
    def __torch_dispatch__(  # type: ignore[override]
        cls, operator: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        raise AssertionError(f"{operator} of a tensor of the device, where there is none")


class FakeCuda:
    """The device: its stream, and an allocator with the names that `torch.cuda` has."""

    def __init__(self) -> None:
        self.stream = SimulatedCuda()
        self.free = MEMORY_BYTES
        self.allocated = self.peak = 0
        self.storages: WeakSet[UntypedStorage] = WeakSet()

    def clocks(self) -> tuple[Clock, Clock]:
        def now() -> float:
            return self.stream.now

        return CudaClock(self.stream, now), WallClock(self.stream.synchronize, now)

    def synchronize(self) -> None:
        self.stream.synchronize()

    def empty_cache(self) -> None: ...

    def reset_peak_memory_stats(self) -> None:
        self.peak = self.allocated

    def memory_stats(self) -> dict[str, int]:
        names = ("requested_bytes.all", "allocated_bytes.all")
        numbers = {"current": self.allocated, "peak": self.peak}
        return {f"{name}.{when}": number for name in names for when, number in numbers.items()}

    def max_memory_reserved(self) -> int:
        return self.peak

    def mem_get_info(self) -> tuple[int, int]:
        return self.free, MEMORY_BYTES

    def holds(self, storage: UntypedStorage) -> None:
        """Count a storage for as long as it is alive."""
        if storage in self.storages:
            return
        self.storages.add(storage)
        self.allocated += storage.nbytes()
        self.peak = max(self.peak, self.allocated)
        finalize(storage, self._forget, storage.nbytes())

    def _forget(self, size: int) -> None:
        self.allocated -= size

    @contextmanager
    def computing(self, *, meta_is_here: bool) -> Iterator[None]:
        """What is to be on `cuda` inside is on this device; on `meta` too, if backward passes are to run."""
        with ExitStack() as stack:
            stack.enter_context(mock.patch.object(torch.cuda, "_lazy_init"))
            stack.enter_context(_Moves())
            stack.enter_context(_Operators(self, meta_is_here=meta_is_here))
            yield


class _Moves(TorchFunctionMode):
    """Names the device by its number, for want of which torch would ask CUDA."""

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if function is Tensor.to:
            tensor, *others = args
            others = [HERE if _is_here(each) else each for each in others]
            if isinstance(others[0], CudaTensor):
                others = [HERE, others[0].dtype]
            if isinstance(tensor, CudaTensor) and set(others) <= {HERE, tensor.dtype, None, False}:
                return tensor
            args = (tensor, *others)
        return function(*args, **(kwargs or {}))


class _Operators(TorchDispatchMode):
    """Computes on the CPU, launches on the device."""

    def __init__(self, cuda: FakeCuda, *, meta_is_here: bool) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.cuda = cuda
        self.kinds = {"cuda", "meta"} if meta_is_here else {"cuda"}

    def __torch_dispatch__(self, operator: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        leaves = list(_leaves([*args, *kwargs.values()]))
        tensors = [leaf for leaf in leaves if isinstance(leaf, Tensor)]
        ours = [tensor for tensor in tensors if isinstance(tensor, CudaTensor)]
        devices = [leaf.type in self.kinds for leaf in leaves if isinstance(leaf, torch.device)]
        is_here = devices[0] if devices else bool(ours)
        if not (ours or is_here):
            return operator(*args, **kwargs)
        packet = operator.overloadpacket
        if packet is aten._has_compatible_shallow_copy_type:
            return len(ours) == len(tensors)
        if ours and packet not in MIXED:
            _require_one_device(packet, tensors)
        rounded = packet in PRODUCTS and torch.backends.cuda.matmul.allow_tf32
        on_host = _rounded_on_host if rounded else _on_host
        results = operator(*_mapped(on_host, args), **_mapped(on_host, kwargs))
        given = [leaf for leaf in _leaves([results]) if isinstance(leaf, Tensor)]
        if not given or not is_here:
            self.cuda.synchronize()
            return results.clone() if given else results
        if not operator.is_view:
            moved = sum(leaf.nbytes for leaf in [*given, *ours])
            self.cuda.stream.launch(LAUNCH_S + moved / BYTES_PER_S)
        if not ours and tensors:
            return self._here(results.clone(), ours)
        return _mapped(lambda result: self._here(result, ours), results)

    def _here(self, result: Any, ours: list[CudaTensor]) -> Any:
        """A result as a tensor of the device: the very one that was written into, if it was."""
        if not isinstance(result, Tensor):
            return result
        self.cuda.holds(result.untyped_storage())
        written = [tensor for tensor in ours if tensor.on_host is result]
        return written[0] if written else CudaTensor(result)


def _leaves(values: Iterable[Any]) -> Iterator[Any]:
    """What is in lists and tuples, however deep; torch's own way to look takes ten times as long."""
    for value in values:
        if isinstance(value, list | tuple):
            yield from _leaves(value)
        else:
            yield value


def _mapped(change: Callable[[Any], Any], value: Any) -> Any:
    """The same lists, tuples and keywords of other values."""
    if isinstance(value, list | tuple):
        return type(value)([_mapped(change, each) for each in value])
    if isinstance(value, dict):
        return {name: _mapped(change, each) for name, each in value.items()}
    return change(value)


def _is_here(device: object) -> bool:
    return isinstance(device, str | torch.device) and torch.device(device).type == HERE.type


def _on_host(leaf: Any) -> Any:
    if isinstance(leaf, torch.device):
        return torch.device("cpu")
    return leaf.on_host if isinstance(leaf, CudaTensor) else leaf


def _rounded_on_host(leaf: Any) -> Any:
    """Float32 with the mantissa of TF32, rounded to the nearest."""
    if not (isinstance(leaf, CudaTensor) and leaf.dtype is torch.float32):
        return _on_host(leaf)
    bits = leaf.on_host.contiguous().view(torch.int32) + (1 << TF32_BITS - 1)
    return (bits >> TF32_BITS << TF32_BITS).view(torch.float32)


def _require_one_device(packet: Any, tensors: list[Tensor]) -> None:
    if any(tensor.ndim and not isinstance(tensor, CudaTensor) for tensor in tensors):
        raise RuntimeError(
            f"Expected all tensors to be on the same device, but found cuda:0 and cpu in {packet}"
        )


def installed(monkeypatch: pytest.MonkeyPatch) -> FakeCuda:
    """A device that `attnbench run --device cuda` finds, and workers for it that are in this process."""
    cuda = FakeCuda()
    stand_ins: dict[str, Any] = {
        "module": cuda,
        "absent": lambda _: None,
        "gpu": lambda _: Gpu("Pretence", MEMORY_BYTES, processors=1, driver="1.0"),
        "clocks": lambda _: cuda.clocks(),
        "matmul_side": lambda _, threads: 256,
        "copy_bytes": lambda _: 2**22,
    }
    for name, stand_in in stand_ins.items():
        monkeypatch.setattr(Cuda, name, stand_in)
    facts = facts_in_process(lambda state: cuda.computing(meta_is_here=state.job.task == "measure"))
    monkeypatch.setattr(runner, "facts_of_worker", facts)
    monkeypatch.setattr(counting, "predicted_peak_bytes", _predicted_elsewhere)
    return cuda


def _predicted_elsewhere(
    build: Callable[[], nn.Module],
    shape: Shape,
    dtype: torch.dtype,
    mode: Mode,
    device: str,
    output_shape: Shape | None,
    products: str | None,
) -> int | None:
    """The need on a device that is not the CPU: a torch without CUDA has no fake tensors on that one."""
    there = device if device == Cpu.name else "meta"
    return predicted_peak_bytes(build, shape, dtype, mode, there, output_shape, products)
