"""A case's live layer: built from the seed, run as its variant says, and its results looked at."""

import itertools
import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from unittest import mock

import torch
from torch import Tensor, nn

from attnbench.cases.case import Case, Mode, Role
from attnbench.cases.registry import Registry
from attnbench.cases.variant import Variant
from attnbench.measuring.execution import autocast, cast, compiled, dtype_of, graphed, output_dtypes, running
from attnbench.measuring.layouts import layer_of
from attnbench.measuring.seeds import seed_torch
from attnbench.measuring.surroundings import HOST, Surroundings
from attnbench.mechanism import Shape

INPUTS_BYTES = 64 * 2**20  # inputs rotate over buffers of this size together, so that none stays in a cache
MOST_INPUTS = 8

# torch 2.13's `trunc_normal_` draws again until all values are in its bounds; such tensors have no values.
truncated_normals_undrawn = mock.patch.object(
    nn.init, "_no_grad_trunc_normal_", lambda tensor, *_args, **_kwargs: tensor
)

# Builds layers whose weights are all one number, which is soon written: what they cost does not depend on it.
weights_undrawn = mock.patch.multiple(
    Tensor,
    normal_=lambda tensor, *_args, **_kwargs: tensor.fill_(0.1),
    uniform_=lambda tensor, *_args, **_kwargs: tensor.fill_(0.1),
)


@contextmanager
def without_memory() -> Iterator[None]:
    """Build layers, and run some of them, on tensors that have a shape and no memory."""
    with torch.device("meta"), truncated_normals_undrawn:
        yield


@dataclass(frozen=True, slots=True)
class Data:
    """Batches of random tokens `[B, N, C]`, or images; for training, the gradient of the output too."""

    inputs: tuple[Tensor, ...]
    gradient: Tensor | None


Results = tuple[Tensor, Tensor | None]


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a case. `run` must be inside `around`, which can be entered once for many calls.

    It runs the `layer` on the next of the inputs in `data`.
    """

    run: Callable[[], Results]
    variant: Variant
    layer: nn.Module
    data: Data

    def around(self) -> AbstractContextManager[None]:
        """What its kernel and number format need."""
        return running(self.variant)

    def __call__(self) -> Tensor:
        """The output of one call."""
        with self.around():
            return self.run()[0]


def build(registry: Registry, case: Case, seed: int, changes: list[str] | None = None) -> nn.Module:
    """The case's layer on the CPU in its own number formats, with weights that depend on the seed alone.

    It is built as models are, outside of inference mode, whatever it is called in: a parameter is told from a
    tensor there too, and torch's fused attention has another kernel for a mask that is one. What its
    constructor changes of the process is made what it was, and told in `changes`.
    """
    seed_torch(seed)
    surroundings = Surroundings()
    with torch.inference_mode(False):
        layer = layer_of(registry[case.mechanism], case.workload.geometry, case.settings)
    layer.train(case.workload.mode is Mode.training)  # a statement: its value need not be the layer
    put_right = surroundings.put_right()
    if changes is not None:
        changes += put_right
    return layer


def number_of_inputs(case: Case, most: int = MOST_INPUTS) -> int:
    """Enough to leave the caches."""
    each_bytes = math.prod(case.workload.shape) * dtype_of(case.variant).itemsize
    return min(most, math.ceil(INPUTS_BYTES / each_bytes))


def make_data(case: Case, seed: int, most_inputs: int = MOST_INPUTS) -> Data:
    """Random numbers in the case's dtype on its device; inputs enough to leave the caches."""
    shape, dtype = case.workload.shape, dtype_of(case.variant)
    number = number_of_inputs(case, most_inputs)
    generator = torch.Generator().manual_seed(seed)

    def draw(shape: Shape) -> Tensor:
        return torch.randn(shape, generator=generator).to(case.device, dtype)

    inputs = tuple(draw(shape) for _ in range(number))
    return Data(inputs, draw(case.workload.output_shape) if case.workload.mode is Mode.training else None)


def make_data_by_dtype(
    cases: Iterable[Case], seed: int, most_inputs: int = MOST_INPUTS
) -> dict[torch.dtype, Data]:
    """Data for cases that differ in nothing else that decides it."""
    firsts = {dtype_of(case.variant): case for case in cases if case.role is not Role.ceiling}
    return {dtype: make_data(case, seed, most_inputs) for dtype, case in firsts.items()}


def make_call(layer: nn.Module, case: Case, data: Data) -> Call:
    """One call of the case: its step on the next of the inputs."""
    step = make_step(layer, case, data.gradient)
    if case.variant.cuda_graph:
        return Call(graphed(step, data.inputs), case.variant, layer, data)
    feed = itertools.cycle(data.inputs)
    return Call(lambda: step(next(feed)), case.variant, layer, data)


def make_step(layer: nn.Module, case: Case, gradient: Tensor | None) -> Callable[[Tensor], Results]:
    """What one call does with a batch: the layer's output and, in training, the gradient of the batch.

    There the output's gradient goes back to every parameter, and to the batch, as it must where other layers
    stand before this one. Under torch.autocast it comes in float32, as from a sum with the tokens, and torch
    casts it.
    """
    cast(layer, dtype_of(case.variant), case.device)
    forward = autocast(compiled(layer, case.variant), case.variant.autocast, case.device)

    def train(batch: Tensor) -> Results:
        layer.zero_grad()
        x = batch.detach().requires_grad_()  # a leaf of this call, whose gradient goes with it
        out = forward(x)
        out.backward(gradient)
        return out, x.grad

    return train if case.workload.mode is Mode.training else lambda x: (forward(x), None)


SHORTAGES = ("can't allocate memory", "out of memory", "ALLOC_FAILED", "ALLOCATION_FAILED")
"""How torch's allocators say it, a GPU's driver, and CUDA's libraries, which allocate for themselves."""


def is_shortage(error: Exception) -> bool:
    """Whether it says that there was no memory left."""
    said = isinstance(error, RuntimeError) and any(words in str(error) for words in SHORTAGES)
    return said or isinstance(error, MemoryError | torch.OutOfMemoryError)


class WrongOutput(Exception):  # noqa: N818
    """A layer's output is not a batch of tokens, or what it learns from is not numbers."""


@contextmanager
def untouched(data: Data) -> Iterator[None]:
    """Raise `WrongOutput` where calls inside change what they are given; it is put right for others.

    What it was is kept on the host: beside a call there may be no room for it on a device.
    """
    given = [*data.inputs, *([] if data.gradient is None else [data.gradient])]
    before = [each.to(HOST, copy=True) for each in given]
    failure: Exception | None = None
    try:
        yield
    except Exception as error:
        failure = error
    changed = []
    for each, kept in zip(given, before, strict=True):
        if not torch.equal(each.cpu(), kept):
            changed.append(each)
            each.copy_(kept)
    if changed and changed[0] is data.gradient:
        raise WrongOutput("its backward pass changes the gradient that it is given") from failure
    if changed:
        raise WrongOutput("its forward pass changes its input") from failure
    if failure and "leaf Variable that requires grad" in str(failure):  # torch sees it first, in training
        raise WrongOutput(f"its forward pass changes its input, or a weight: {failure}") from failure
    if failure:
        raise failure


def shares_memory(one: Tensor, other: Tensor) -> bool:
    """Whether who writes into one may write into the other."""
    first, second = one.untyped_storage(), other.untyped_storage()
    return first._cdata == second._cdata or (first.data_ptr() == second.data_ptr() != 0)


def check_results(output: Tensor, layer: nn.Module, case: Case) -> None:
    """Raise unless the output has the shape that it must have, and it and all gradients are finite numbers.

    A wrong result has no speed.
    """
    expected = case.workload.output_shape
    if tuple(output.shape) != expected:
        scores = output.ndim == 2 and not case.workload.geometry.images
        hint = "; a model, which gives scores of images, needs layout='images'" if scores else ""
        raise WrongOutput(f"the output has shape {tuple(output.shape)} instead of {expected}{hint}")
    asked = output_dtypes(case.variant)
    if output.dtype not in asked:
        raise WrongOutput(f"the output is {output.dtype}, where the tokens are {asked[0]}")
    if not output.isfinite().all():
        raise WrongOutput("the output holds NaN or infinite numbers")
    for name, parameter in layer.named_parameters():
        if parameter.grad is not None and not parameter.grad.isfinite().all():
            raise WrongOutput(f"the gradient of {name} holds NaN or infinite numbers")
