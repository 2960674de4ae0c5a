"""How a variant is carried out: its kernel, number format, compilation and capture around a layer's calls."""

import itertools
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.autograd.profiler import profile  # torch.profiler's would load the compiler, for seconds

from attnbench.attention import use_kernel
from attnbench.cases.variant import Variant
from attnbench.machine.devices import device_of
from attnbench.machine.system import quieten_profiler
from attnbench.measuring.precision import precision_of, read_precision, write_precision
from attnbench.measuring.surroundings import Meddled

BACKENDS = {
    "aten::_scaled_dot_product_flash_attention": "flash",
    "aten::_scaled_dot_product_flash_attention_for_cpu": "flash",
    "aten::_scaled_dot_product_efficient_attention": "efficient",
    "aten::_scaled_dot_product_cudnn_attention": "cudnn",
    "aten::_scaled_dot_product_attention_math": "math",
}
"""torch's forms of fused attention, by the operators that stand for them."""

MOST_COMPILED = 1024  # of one layer's code: torch runs those beyond its own limit of 8 as they are
WARM_CALLS = 3  # before a capture, as torch asks, on a stream of their own
Results = TypeVar("Results")


class CannotRun(Exception):  # noqa: N818
    """A variant has no meaning, on a device or at all."""


def require_runnable(variant: Variant, device: str) -> None:
    """Raise `CannotRun` for what has no meaning on a device, or nests CUDA graphs."""
    refusal = device_of(device).refuses(dtype=variant.computed, cuda_graph=variant.cuda_graph)
    if reason := refusal or variant.nested or _why_not_autocast(variant.autocast, device):
        raise CannotRun(reason)


def dtype_of(variant: Variant) -> torch.dtype:
    """The number format of weights and inputs as torch's."""
    dtype: torch.dtype = getattr(torch, variant.stored)
    return dtype


def output_dtypes(variant: Variant) -> list[torch.dtype]:
    """What an output may be in: the format of the input, or that of products under torch.autocast."""
    return [getattr(torch, name) for name in (variant.stored, variant.autocast) if name]


def autocast(forward: Callable[..., Any], products: str | None, device: str) -> Callable[..., Any]:
    """The forward pass with its products in the number format of this name; itself where that is None.

    Each call has a context of its own: weights that are cast inside are kept until its end, so that a longer
    one would leave that work out of all calls but the first.
    """
    if products is None:
        return forward
    dtype: torch.dtype = getattr(torch, products)

    def under_autocast(x: Tensor) -> Any:
        with torch.autocast(device, dtype):
            return forward(x)

    return under_autocast


def _why_not_autocast(products: str | None, device: str) -> str | None:
    """What torch says where it leaves autocast off, as it does in formats that a device has not."""
    if products is None:
        return None
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        try:
            with torch.autocast(device, getattr(torch, products)):
                if torch.is_autocast_enabled(device):
                    return None
        except RuntimeError as refusal:  # as of bfloat16 on an old GPU
            return f"torch.autocast makes no products in {products} here: {refusal}"
    told = " ".join(line.strip() for each in said for line in str(each.message).splitlines())
    return f"torch.autocast makes no products in {products} here: {told or 'it stays off'}"


COMPLEX = {torch.float32: torch.complex64, torch.float64: torch.complex128}


def cast(layer: nn.Module, dtype: torch.dtype, device: str = "cpu") -> None:
    """Move a layer to a device, and its real numbers into a format; each other dtype is the layer's own.

    Complex numbers stay complex, of two numbers in that format, and a `CannotRun` says that torch has none
    like that. Integers and booleans stay what they are. In inference mode, too, weights stay as they are
    outside of it: parameters that may ask for a gradient.
    """

    def moved(tensor: Tensor) -> Tensor:
        if tensor.is_complex():
            if dtype not in COMPLEX:
                raise CannotRun(f"it has complex numbers, which torch has no {_word(dtype)} form of")
            return tensor.to(device, COMPLEX[dtype])
        return tensor.to(device, dtype if tensor.is_floating_point() else None)

    with torch.inference_mode(False):
        layer._apply(moved)  # as `layer.to` does, which would drop imaginary parts


def _word(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


@contextmanager
def running(variant: Variant) -> Iterator[None]:
    """Calls of a variant's layer belong inside.

    A layer that makes products of float32 in another way there is `Meddled`: at the end that is undone, and
    nobody would see that its time is not one of this number format.
    """
    before, asked = read_precision(), precision_of(tf32=variant.dtype == "tf32")
    if before != asked:
        write_precision(asked)
    try:
        with use_kernel(variant.kernel):
            yield
    finally:
        left = read_precision()
        if left != before:
            write_precision(before)
    if left != asked:
        raise Meddled.by_calls(["the precision of float32 products"])


def backends_of(call: Callable[[], object]) -> tuple[str, ...]:
    """Which of torch's forms of fused attention ran in a call, each once."""
    quieten_profiler()
    with profile(use_kineto=True) as profiler:
        call()
    names = {event.name() for event in profiler.kineto_results.events()}
    return tuple(sorted({BACKENDS[name] for name in names & BACKENDS.keys()}))


def compiled(layer: nn.Module, variant: Variant) -> Callable[..., Any]:
    """The layer as the variant's mode of `torch.compile` makes it, at its first call; or the layer itself."""
    if not variant.compiled:
        return layer
    import torch._dynamo.config as dynamo  # its import takes a second

    dynamo.recompile_limit = MOST_COMPILED
    dynamo.fail_on_recompile_limit_hit = True
    return torch.compile(layer, mode=variant.compile, dynamic=False)


def forget_compiled() -> None:
    """Let what comes next be compiled anew, but for parts of it that others have left on the disk."""
    torch.compiler.reset()


def ready_compiler(device: str) -> None:
    """Compile next to nothing, so that a first layer does not pay for headers and the start of compilers."""
    with suppress(Exception):  # what cannot compile here says so with the layers
        torch.compile(torch.sin)(torch.ones(8, device=device))


def graphed(step: Callable[[Tensor], Results], inputs: Sequence[Tensor]) -> Callable[[], Results]:
    """A call that replays `step` on the next of the inputs; the first one captures it for all of them.

    Results are those of the capture's own memory: a later replay on the same input writes them anew. The
    gradients of parameters are those of the last capture, and replays on other inputs may write there, so
    that the first call replays that one.
    """
    replays: Iterator[tuple[torch.cuda.CUDAGraph, Results]] | None = None

    def replay() -> Results:
        nonlocal replays
        if replays is None:
            *others, last = _capture(step, inputs)
            replays = itertools.cycle([last, *others])
        graph, results = next(replays)
        graph.replay()
        return results

    return replay


def _capture(
    step: Callable[[Tensor], Results], inputs: Sequence[Tensor]
) -> list[tuple[torch.cuda.CUDAGraph, Results]]:
    """A graph of `step` for each input, in memory that they share, replayed once."""
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(WARM_CALLS):
            step(inputs[0])
    torch.cuda.current_stream().wait_stream(side)

    pool, captured = torch.cuda.graph_pool_handle(), []
    for x in inputs:
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, pool=pool):
            results = step(x)
        captured.append((graph, results))
    for graph, _ in captured:
        graph.replay()
    return captured
