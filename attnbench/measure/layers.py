"""A case's live layer: built from the seed, fed with random tokens, and its output looked at."""

import itertools
import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from attnbench.attention import use_kernel
from attnbench.registry import Registry
from attnbench.sweep import Case

INPUTS_BYTES = 64 * 2**20  # inputs rotate over buffers of this size together, so that none stays in a cache
MOST_INPUTS = 8


def build(registry: Registry, case: Case, seed: int) -> nn.Module:
    """The case's layer on the CPU in float32, with weights that depend on the seed alone."""
    torch.manual_seed(seed)
    return registry[case.mechanism].build(case.geometry, **case.settings).eval()


def make_inputs(case: Case, seed: int) -> list[Tensor]:
    """Random batches `[B, N, C]` in the case's dtype on its device, enough of them to leave the caches."""
    shape, dtype = shape_of(case, case.batch), dtype_of(case)
    number = min(MOST_INPUTS, math.ceil(INPUTS_BYTES / (math.prod(shape) * dtype.itemsize)))
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(shape, generator=generator).to(case.device, dtype) for _ in range(number)]


def make_call(layer: nn.Module, case: Case, inputs: Sequence[Tensor]) -> Callable[[], Tensor]:
    """One call of the case: its layer with its kernel, on the next of the inputs."""
    layer = layer.to(case.device, dtype_of(case))
    feed = itertools.cycle(inputs)

    def call() -> Tensor:
        with use_kernel(case.kernel):
            return layer(next(feed))  # type: ignore[no-any-return]

    return call


def dtype_of(case: Case) -> torch.dtype:
    """The case's number format as torch's."""
    dtype: torch.dtype = getattr(torch, case.dtype)
    return dtype


class WrongOutput(Exception):  # noqa: N818
    """A layer's output is not a batch of tokens."""


def check_output(output: Tensor, case: Case) -> None:
    """Raise unless the output has the input's shape and only finite numbers: a wrong result has no speed."""
    expected = shape_of(case, case.batch)
    if tuple(output.shape) != expected:
        raise WrongOutput(f"the output has shape {tuple(output.shape)} instead of {expected}")
    if not output.isfinite().all():
        raise WrongOutput("the output holds NaN or infinite numbers")


def shape_of(case: Case, batch: int) -> tuple[int, int, int]:
    """The shape `[B, N, C]` of a batch of the case's tokens."""
    return batch, case.geometry.tokens, case.geometry.dim
