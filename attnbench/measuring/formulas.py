"""What single operators of torch multiply, by their tensors: of real ones, or of such without memory.

What has no formula here is free where torch's own tags or the list below say that it holds no product, and
unknown otherwise: nothing is taken for free because nobody thought of it.
"""

import math
from collections.abc import Sequence
from functools import cache
from typing import Any

import torch
from torch import Tensor

from attnbench.records.profile import CONVOLUTION, FUSED, PRODUCTS

# Operators that hold no product, beside those that torch tags as element-wise or reducing, and views.
MOVES_AND_MAKES = """
    T flip pad constant_pad_nd im2col col2im repeat repeat_interleave tile take_along_dim index_select
    index_put index_copy index_add scatter scatter_add scatter_reduce slice_scatter select_scatter
    masked_scatter masked_select where gather take index embedding embedding_bag _embedding_bag
    _embedding_bag_forward_only copy fill zero zeros ones full empty
    eye arange linspace _unsafe_view _reshape_alias _conj _neg_view detach lift_fresh_copy zeros_like
    ones_like full_like empty_like rand_like randn_like rand randn randint randperm new_zeros new_ones
    new_empty new_full empty_strided new_empty_strided pixel_shuffle pixel_unshuffle channel_shuffle
    tril triu tril_indices triu_indices diag_embed rot90 roll meshgrid clone cat concat stack lift_fresh
    scalar_tensor one_hot unique_dim _unique2 nonzero bincount histc resize_ set_ contiguous _to_copy to
    unsqueeze squeeze transpose permute unsafe_split unsafe_chunk reflection_pad1d reflection_pad2d
    replication_pad1d replication_pad2d replication_pad3d broadcast_tensors broadcast_to view_as_complex
    view_as_real item _local_scalar_dense is_same_size native_dropout bernoulli normal uniform random
    multinomial max_unpool2d block_diag cartesian_prod combinations hstack vstack dstack column_stack
    atleast_1d atleast_2d atleast_3d fliplr flipud trapezoid diff heaviside bucketize searchsorted isin
"""
ARITHMETIC = """
    floor_divide gelu add sub mul div pow glu softplus hardswish polar complex addcmul addcdiv lerp rms_norm
    _fused_rms_norm log_sigmoid log_sigmoid_forward prelu _prelu_kernel rrelu logit softmin softsign
    normalize clamp clip bitwise_not logical_not dropout alpha_dropout feature_dropout
    feature_alpha_dropout
"""
REDUCES = """
    sum mean var std var_mean std_mean norm linalg_vector_norm amax amin argmax argmin max min all
    any aminmax median nanmedian mode prod cumsum cumprod cummax cummin logcumsumexp logsumexp nansum nanmean
    softmax log_softmax _softmax _log_softmax _safe_softmax argsort sort msort topk kthvalue quantile
    count_nonzero avg_pool1d avg_pool2d avg_pool3d adaptive_avg_pool1d adaptive_avg_pool2d
    adaptive_avg_pool3d _adaptive_avg_pool2d _adaptive_avg_pool3d adaptive_max_pool1d adaptive_max_pool2d
    adaptive_max_pool3d max_pool1d max_pool2d max_pool3d max_pool2d_with_indices max_pool3d_with_indices
    max_pool1d_with_indices fractional_max_pool2d lp_pool1d lp_pool2d mkldnn_max_pool2d upsample_nearest1d
"""
FREE = frozenset((MOVES_AND_MAKES + ARITHMETIC + REDUCES).split())
FREE_TAGS = {tag for name in ("pointwise", "reduction") if (tag := getattr(torch.Tag, name, None))}
PER_REAL_NUMBER = (
    1.25  # multiply-adds of a Fourier transform, by log2 of its length; twice that where complex
)
GRID_TAPS = {0: 4, 1: 1, 2: 16}  # by the number that stands for bilinear, nearest and bicubic
UPSAMPLING_TAPS = {"nearest": 1, "linear1d": 2, "bilinear": 4, "trilinear": 8, "bicubic": 16}


@cache
def is_free(name: str) -> bool:
    """Whether an operator of torch, as `aten::add_`, holds no product, whatever its tensors."""
    space, _, operator = name.partition("::")
    if space != "aten":
        return False
    bare = operator.removesuffix("_")
    if {operator, bare} & FREE:
        return True
    overloads = [overload for each in {operator, bare} for overload in _overloads(each)]
    return any(FREE_TAGS & set(each.tags) or _is_view(each._schema) for each in overloads)


def multiply_adds(operator: str, args: Sequence[Any], outputs: Sequence[Tensor]) -> float | None:
    """The multiply-adds of one operator, without its namespace; None where nobody knows.

    `args` are in the order of its schema. Small terms are fvcore's: 5 per element of a norm with weights and
    4 without, 2 and 1 of a batch norm with the statistics that it has kept, the values that each output of a
    sample or a larger map is made of. A Fourier transform of n numbers takes 5 n log2 n operations, half of
    them where one side is real; two are a multiply-add.
    """
    if FUSED in operator:
        q, k, v = (each.shape for each in args[:3])
        return math.prod(q[:-1]) * k[-2] * (q[-1] + v[-1])  # type: ignore[no-any-return]
    if operator in PRODUCTS:
        first, second = (args[position] for position in PRODUCTS[operator])
        return _convolution(args, outputs) if operator == CONVOLUTION else _product(first, second)
    if operator in ("_euclidean_dist", "_cdist_forward"):
        return outputs[0].numel() * args[0].shape[-1]  # type: ignore[no-any-return]
    if operator == "addr":
        return outputs[0].numel()
    if operator == "_trilinear":
        return _trilinear(*args)
    if operator in ("_fft_r2c", "_fft_c2c", "_fft_c2r"):
        return _fourier(operator, args, outputs[0])
    if operator in ("mkldnn_rnn_layer", "_cudnn_rnn"):
        weights = args[1] if operator == "_cudnn_rnn" else args[1:3]
        steps = math.prod(args[0].shape[:-1])
        return float(steps * sum(each.numel() for each in weights if each.dim() > 1))
    return _small_term(operator, args, outputs)


def _overloads(operator: str) -> list[Any]:
    packet = getattr(torch.ops.aten, operator, None)
    return [getattr(packet, name) for name in packet.overloads()] if packet else []


def _is_view(schema: torch.FunctionSchema) -> bool:
    """Whether what it returns is memory that it was given and does not write."""
    aliases = [argument.alias_info for argument in schema.arguments]
    return any(alias and not alias.is_write for alias in aliases)


def _product(first: Tensor, second: Tensor) -> int:
    return first.numel() * (second.shape[-1] if second.dim() > 1 else 1)


def _convolution(args: Sequence[Any], outputs: Sequence[Tensor]) -> int:
    """Every output, or of a transposed one every input, meets one filter."""
    transposed = args[6]
    return (args[0] if transposed else outputs[0]).numel() * args[1][0].numel()  # type: ignore[no-any-return]


def _trilinear(
    first: Tensor, second: Tensor, third: Tensor, *expanded_and_summed: Sequence[int], **_: Any
) -> int:
    """Σ first · second · third over named dimensions, each operand with sides of 1 where it has none."""
    operands = [first, second, third]
    for position, dimensions in enumerate(expanded_and_summed[:3]):
        for dimension in sorted(dimensions):
            operands[position] = operands[position].unsqueeze(dimension)
    return math.prod(torch.broadcast_shapes(*(each.shape for each in operands)))


def _fourier(operator: str, args: Sequence[Any], output: Tensor) -> float:
    """Along `args[1]`: of the side that is real, or of a complex one twice as much."""
    side = output if operator == "_fft_c2r" else args[0]
    length = math.prod(side.shape[dimension] for dimension in args[1])
    real = PER_REAL_NUMBER * side.numel() * math.log2(max(1, length))
    return 2 * real if operator == "_fft_c2c" else real


def _small_term(operator: str, args: Sequence[Any], outputs: Sequence[Tensor]) -> float | None:
    if operator in ("native_layer_norm", "native_group_norm"):
        weight = args[2] if operator == "native_layer_norm" else args[1]
        return args[0].numel() * (4 if weight is None else 5)  # type: ignore[no-any-return]
    if operator in ("native_batch_norm", "_native_batch_norm_legit", "cudnn_batch_norm"):
        return args[0].numel() * (1 if args[1] is None else 2)  # type: ignore[no-any-return]
    if operator == "_native_batch_norm_legit_no_training":
        return args[0].numel() * (1 if args[1] is None else 2)  # type: ignore[no-any-return]
    if operator.startswith("grid_sampler_"):
        taps = GRID_TAPS[args[2]]
        return (taps if operator == "grid_sampler_2d" else math.isqrt(taps) ** 3) * outputs[0].numel()
    if operator.startswith("upsample_"):
        taps_of = [taps for name, taps in UPSAMPLING_TAPS.items() if name in operator]
        return taps_of[0] * outputs[0].numel() if taps_of else None
    return 0.0 if is_free(f"aten::{operator}") else None
