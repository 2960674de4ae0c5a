"""Parameters and multiply-adds of a layer, and what could not be counted.

One FLOP is one multiply-add, as in the papers that the registry reproduces and as fvcore counts. fvcore's own
small terms are part of the convention: 5 per element of an affine LayerNorm or GroupNorm, 4 per output of a
bilinear sample. The handles below replace or complete fvcore where it is silent or inexact: fused attention
and baddbmm count as zero there, einsum is rounded to four digits, and matmul loses dimensions that broadcast.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from fvcore.nn import FlopCountAnalysis
from fvcore.nn.jit_handles import get_shape
from torch import nn

from attnbench.errors import AttnbenchError
from attnbench.measure.layers import without_memory
from attnbench.mechanism import Geometry

# Operators that fvcore has no formula for and that hold no multiply-adds to count.
VIEWS_AND_COPIES = """
    alias T mT numpy_T unflatten unfold unsqueeze_ narrow diagonal chunk split view_as reshape_as expand_as
    flip meshgrid movedim swapaxes swapdims clone copy_ constant_pad_nd pad im2col repeat repeat_interleave
    tile where take_along_dim index_select index_put index_put_ index_copy index_add index_add_ scatter
    scatter_ scatter_add masked_fill_ fill_ zeros_like empty_like ones_like full_like new_zeros new_empty
    new_full bernoulli_ pixel_shuffle pixel_unshuffle tril triu
"""
ELEMENT_WISE = """
    abs add add_ addcmul sub sub_ rsub mul mul_ div div_ floor_divide remainder reciprocal neg sign pow
    square sqrt rsqrt exp exp_ log sin cos tanh tanh_ sigmoid sigmoid_ silu silu_ gelu gelu_ relu_
    leaky_relu hardtanh softplus erf elu eq ne lt le gt ge bitwise_and bitwise_or logical_and logical_or
    logical_not maximum minimum clamp_min clamp_max
"""
REDUCTIONS = """
    sum mean var norm linalg_vector_norm amax amin argmax argmin cumsum logsumexp softmax log_softmax
    avg_pool1d avg_pool2d avg_pool3d adaptive_avg_pool1d max_pool2d topk sort
"""
WITHOUT_MACS = {f"aten::{name}" for name in (VIEWS_AND_COPIES + ELEMENT_WISE + REDUCTIONS).split()}


@dataclass(frozen=True, slots=True)
class Count:
    """What one image costs: `params` that train, `macs` of the forward pass, and the operators behind them.

    `numbers` are all that its state holds, buffers included. `uncounted` names operators without a formula
    that may hold multiply-adds; where there are any, `macs` is a lower bound.
    """

    params: int
    numbers: int
    macs: int
    by_operator: Mapping[str, int]
    uncounted: tuple[str, ...]


def count(layer: nn.Module, geometry: Geometry) -> Count:
    """The cost of `layer` for one image of `geometry`'s tokens, counted on its traced forward pass."""
    parameter = next(layer.parameters(), torch.empty(0))
    x = torch.randn(1, geometry.tokens, geometry.dim, device=parameter.device, dtype=parameter.dtype)
    with torch.no_grad():
        analysis = FlopCountAnalysis(layer.eval(), x).set_op_handle(**HANDLES)
        analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False).tracer_warnings("none")
        by_operator = {name: round(macs) for name, macs in analysis.by_operator().items() if macs}
        total, unsupported = analysis.total(), analysis.unsupported_ops()
    return Count(
        params=sum(parameter.numel() for parameter in layer.parameters() if parameter.requires_grad),
        numbers=sum(tensor.numel() for tensor in layer.state_dict().values()),
        macs=round(total),
        by_operator=by_operator,
        uncounted=tuple(sorted(set(unsupported) - WITHOUT_MACS)),
    )


def count_on_meta(build: Callable[[], nn.Module], geometry: Geometry) -> Count | None:
    """The cost of the layer that `build` makes, on tensors without memory: a map of any size in milliseconds.

    None where that cannot be traced: torch refuses convolutions, and a layer may look at values.
    """
    try:
        with without_memory():
            return count(build(), geometry)
    except AttnbenchError:
        raise
    except Exception:
        return None


def _matmul(inputs: Sequence[Any], outputs: Sequence[Any]) -> int:
    """Every output element sums over the dimension that the operands share, whatever else broadcasts."""
    return int(math.prod(get_shape(outputs[0])) * get_shape(inputs[0])[-1])


def _attention(inputs: Sequence[Any], _outputs: Sequence[Any]) -> int:
    q, k, v = (get_shape(value) for value in inputs[:3])
    return int(math.prod(q[:-1]) * k[-2] * (q[-1] + v[-1]))


def _einsum(inputs: Sequence[Any], _outputs: Sequence[Any]) -> float:
    """Operands contract from left to right, two at a time, as torch does.

    A contraction costs the product of the sizes of all its indices; one that sums nothing multiplies without
    adding, and so costs half.
    """
    terms, result = inputs[0].toIValue().replace(" ", "").split("->")
    subscripts = terms.split(",")
    shapes = [get_shape(value) for value in inputs[1].node().inputs()]
    sizes = {
        index: n
        for term, shape in zip(subscripts, shapes, strict=True)
        for index, n in zip(term, shape, strict=True)
    }

    macs = 0.0
    left = set(subscripts[0])
    for position, right in enumerate(subscripts[1:], start=2):
        indices = left | set(right)
        left = indices & (set(result).union(*subscripts[position:]))
        work = math.prod(sizes[index] for index in indices)
        macs += work if indices - left else work / 2
    return macs


HANDLES = {
    "aten::matmul": _matmul,
    "aten::mm": _matmul,
    "aten::bmm": _matmul,
    "aten::baddbmm": lambda inputs, outputs: _matmul(inputs[1:], outputs),
    "aten::einsum": _einsum,
    "aten::scaled_dot_product_attention": _attention,
}
