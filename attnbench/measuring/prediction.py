"""Bytes that a layer needs, predicted before anything is allocated.

The prediction is a tensor peak: parameters and buffers, one input, and every other tensor for as long as it
is alive. It is the same on every machine, but for what kernels of a CPU take and return inside one operator,
as far as `scratch` can tell; of other devices that is not in it.
"""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from weakref import WeakSet

import torch
from torch import Tensor, UntypedStorage, nn
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from attnbench.cases.case import Mode
from attnbench.machine.cpu import Cpu
from attnbench.measuring.execution import autocast, cast
from attnbench.measuring.layers import truncated_normals_undrawn
from attnbench.measuring.scratch import scratch_bytes
from attnbench.mechanism import Shape

MOST_BYTES = 2**63 - 1
UNCOUNTABLE = ("Storage size calculation overflowed", "integer multiplication overflow")
"""What torch says of tensors with more bytes, or numbers, than it can count."""


class TooLarge(Exception):  # noqa: N818
    """A layer needs more memory than there is, by prediction."""


def shortage(who: str, need_bytes: int, there_bytes: int) -> str:
    """The sentence that says so of `who`."""
    more = " or more" * (need_bytes == MOST_BYTES)
    return f"{who} needs {gib(need_bytes)} GiB{more} by prediction, and {gib(there_bytes)} GiB are available"


def gib(number: float) -> str:
    """Bytes as GiB, for readers."""
    return f"{number / 2**30:,.1f}"


def predicted_peak_bytes(
    build: Callable[[], nn.Module],
    shape: Shape,
    dtype: torch.dtype,
    mode: Mode = Mode.inference,
    device: str = "cpu",
    output_shape: Shape | None = None,
    products: str | None = None,
) -> int | None:
    """Most bytes alive at once on `device` while `build` makes a layer and it maps one batch of this shape.

    In training, the gradient of the output, which has that shape too unless it is told another, is there from
    the start, and goes back to parameters and input.

    Both run on fake tensors, which have a shape and no memory, so a need of any size can be asked for. The
    layer is built on the CPU in its own dtype, and then moved and cast, as it is before a real call: layers
    may take another way on another device. The kernel is that of the `use_kernel` around this call; the
    forward pass is under torch.autocast where `products` names the format of those.

    None where no prediction can be made, whatever was raised: fake tensors have no values to branch on and
    refuse with exceptions of many types, and a mistake of the layer itself shows again in the real call.

    Where a tensor has more bytes than torch can count, it is all that can be: `MOST_BYTES`.

    Whatever a layer's module caches meanwhile is fake from then on: predict in a process that runs no layer.
    """
    fake = FakeTensorMode()
    with fake:
        there = torch.empty(0, device=device).device  # with the number that its tensors bear
    storages = _LiveStorages(fake, there)
    training = mode is Mode.training
    with (
        torch.random.fork_rng(devices=[]),
        fake,
        storages,
        torch.set_grad_enabled(training),
        truncated_normals_undrawn,
        _unlogged(),
    ):
        try:
            layer = build()
            layer.train(training)  # a statement: its value need not be the layer
            cast(layer, dtype, str(there))
            x = torch.empty(shape, device=there, dtype=dtype, requires_grad=training)
            gradient = torch.empty(output_shape or shape, device=there, dtype=dtype) if training else None
            out = autocast(layer, products, there.type)(x)
            if training:
                out.backward(gradient)
        except Exception as error:
            return MOST_BYTES if any(said in str(error) for said in UNCOUNTABLE) else None
    return storages.peak_bytes


@contextmanager
def _unlogged() -> Iterator[None]:
    """What fails on fake tensors is no error of ours, and torch's log tells it with all that led to it."""
    log = logging.getLogger(FakeTensorMode.__module__)
    before, log.disabled = log.disabled, True
    try:
        yield
    finally:
        log.disabled = before


def stand_ins(module: nn.Module) -> dict[int, Tensor]:
    """Fake tensors for those of a module that is copied inside a prediction, by `id`; elsewhere none.

    It lives outside of it, and holds numbers, which fake tensors refuse to be used with.
    """
    if not isinstance(torch.empty(0), FakeTensor):
        return {}
    found: dict[int, Tensor] = {}
    for tensor in (*module.parameters(), *module.buffers()):
        fake = torch.empty_strided(tensor.size(), tensor.stride(), dtype=tensor.dtype)
        own = isinstance(tensor, nn.Parameter)
        found[id(tensor)] = nn.Parameter(fake, tensor.requires_grad) if own else fake
    return found


class _LiveStorages(TorchDispatchMode):
    """Adds up, after every operator, the storages that tensors of a device still use; views share theirs."""

    def __init__(self, fake: FakeTensorMode, device: torch.device) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.device = device
        self.memo = fake.fake_tensor_converter.tensor_memo
        self.storages: WeakSet[UntypedStorage] = WeakSet()
        self.peak_bytes = 0

    def __torch_dispatch__(
        self, operator: Callable[..., Any], _types: object, args: Any = (), kwargs: Any = None
    ) -> Any:
        outputs = operator(*args, **(kwargs or {}))
        tensors = (leaf for leaf in tree_leaves(outputs) if isinstance(leaf, Tensor))
        here = (tensor for tensor in tensors if tensor.device == self.device)
        self.storages.update(tensor.untyped_storage() for tensor in here)
        scratch = scratch_bytes(operator, args, outputs) if self.device.type == Cpu.name else 0
        there = sum(storage.nbytes() for storage in self.storages)
        self.peak_bytes = max(self.peak_bytes, there + scratch)
        self.memo.clear()  # its weak references make `nn.Module.to` fail (pytorch#178584)
        return outputs
