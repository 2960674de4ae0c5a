"""Softmax attention in one place, so that the kernel is the benchmark's choice and not the layer's.

    attend(q, k, v, bias) = softmax(q kᵀ / √D + bias) v

A layer calls `attend`; whoever runs the layer chooses how it is computed with `use_kernel`:

- `explicit`: two matmuls with the softmax between them, the form that published rows were measured in;
- `fused`: `torch.nn.functional.scaled_dot_product_attention`, whichever back-end torch picks;
- `flash`, `efficient`, `cudnn`, `math`: that function with this back-end, and no other.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

LARGEST_GRID = 65_535  # along the axes of a CUDA launch but the first; torch fails beyond (pytorch#146704)
ALIGNED = 8  # numbers of a mask's row, by which a GPU's fused kernels want rows to begin
SMALLEST_NORMAL = 2.0**-126  # of float32 and bfloat16


class Kernel(Protocol):
    """One way to compute `attend`."""

    def __call__(self, q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None, *, masked: bool) -> Tensor: ...


def scores(q: Tensor, k: Tensor, bias: Tensor | None = None) -> Tensor:
    """q kᵀ / √D + bias, `[..., heads, N, M]`: what the softmax of `attend` is taken of.

    Leading dimensions are folded into one, and the scale is part of the matmul: no operand is copied twice.
    """
    folded = torch.baddbmm(
        q.new_empty(()), q.flatten(0, -3), k.flatten(0, -3).mT, beta=0, alpha=q.shape[-1] ** -0.5
    )
    logits = folded.unflatten(0, q.shape[:-2])
    return logits if bias is None else logits.add_(bias)


def explicit(q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None, *, masked: bool = False) -> Tensor:
    """Two matmuls; the logits are written to memory."""
    weights = scores(q, k, bias).softmax(dim=-1)
    if masked and weights.is_cpu:
        weights = without_subnormals(weights)
    return weights @ v


def without_subnormals(weights: Tensor) -> Tensor:
    """Weights of a softmax, with zero for those below `SMALLEST_NORMAL`.

    Beside weights that sum to one those are beyond any format's digits, and a matmul with them takes a Xeon
    several times as long. In place where no gradient is asked for.
    """
    return F.threshold(weights, SMALLEST_NORMAL, 0.0, inplace=not torch.is_grad_enabled())


def fused(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    bias: Tensor | None,
    *,
    masked: bool = False,  # noqa: ARG001 - torch's function has no place between its matmuls
) -> Tensor:
    """torch's fused attention, which takes four dimensions: leading ones are folded into the first."""
    lead = q.shape[:-3]
    mask = None if bias is None else _mask(bias, lead)
    q, k, v = (x.flatten(0, -4) for x in (q, k, v))
    return _launched(q, k, v, mask).unflatten(0, lead)


def _launched(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None) -> Tensor:
    """torch's function of `[B, heads, N, D]`, in as many launches as the device needs for it.

    Neither images nor heads see each other, so that the parts side by side are the whole.
    """
    most = most_at_once(q)
    for axis in (0, 1):
        if q.shape[axis] > most:
            queries, keys, values = (x.split(most, axis) for x in (q, k, v))
            masks = [mask] * len(queries)
            if mask is not None and mask.shape[axis] > 1:
                masks = list(mask.split(most, axis))
            return torch.cat(list(map(_launched, queries, keys, values, masks)), axis)
    return F.scaled_dot_product_attention(q, k, v, mask)


def most_at_once(q: Tensor) -> int:
    """How many images, windows counted as such, and how many heads a launch may have on the device of `q`."""
    return LARGEST_GRID if q.is_cuda else sys.maxsize


def _mask(bias: Tensor, lead: torch.Size) -> Tensor:
    """A bias as the fused kernels take it: four dimensions, of which those that broadcast stay 1.

    Only leading dimensions that do not all broadcast are written out. Where no gradient is asked for, the
    mask must not say that it wants one, as a parameter does in inference mode too: torch would leave its
    fused kernel for that. There a GPU's mask begins each row where its kernels want it, which halves the time
    of Swin's 49 keys in bfloat16.
    """
    if not torch.is_grad_enabled():
        bias = bias.detach()
        bias = aligned(bias) if bias.is_cuda else bias
    bias = bias[(None,) * max(0, 4 - bias.ndim)]
    if bias.shape[:-3].numel() > 1:
        bias = bias.expand(*lead, *bias.shape[-3:])
    return bias.flatten(0, -4)


def aligned(bias: Tensor) -> Tensor:
    """The same numbers in memory in which each row begins at a multiple of `ALIGNED`."""
    keys = bias.shape[-1]
    return F.pad(bias, (0, -keys % ALIGNED))[..., :keys] if keys % ALIGNED else bias


KERNELS: dict[str, Kernel] = {"explicit": explicit, "fused": fused}
PINNED = {
    "flash": SDPBackend.FLASH_ATTENTION,
    "efficient": SDPBackend.EFFICIENT_ATTENTION,
    "cudnn": SDPBackend.CUDNN_ATTENTION,
    "math": SDPBackend.MATH,
}

_kernel: Kernel = explicit  # not a ContextVar, which torch.compile cannot trace


@contextmanager
def use_kernel(name: str) -> Iterator[None]:
    """Compute every `attend` inside the context with the kernel of this name: of `KERNELS`, or `PINNED`.

    A back-end that cannot compute a call, on this device or at all, makes it raise; MPS and XPUs take
    another.
    """
    global _kernel
    before, _kernel = _kernel, KERNELS[form_of(name)]
    try:
        with sdpa_kernel(PINNED[name]) if name in PINNED else nullcontext():
            yield
    finally:
        _kernel = before


def form_of(name: str) -> str:
    """The one of `KERNELS` that a kernel is a case of."""
    return "fused" if name in PINNED else name


def attend(q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None = None, *, masked: bool = False) -> Tensor:
    """Softmax attention: `[..., heads, N, E]` from queries `[..., heads, N, D]`.

    Keys are `[..., heads, M, D]`, values `[..., heads, M, E]`; logits are scaled by D^-½. `bias` is added to
    them and broadcasts to `[..., heads, N, M]`. At least one dimension stands before the heads.

    `masked` says that the bias all but rules out many pairs, as Swin's -100 does, whose e^-100 is a subnormal
    number in float32. A kernel may then take such weights for zero, which changes speed alone.
    """
    return _kernel(q, k, v, bias, masked=masked)
