"""Memory that a CPU's kernels take within one operator and give back at its end, which no tensor shows.

What a pointwise operator of several number formats takes follows from its shapes: each operand that is not in
the format that contains all is copied into that one, and so is a result. What convolutions and Fourier
transforms take is their libraries' choice, another one on another processor: they are tried, on few images.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import _disable_current_modes
from torch.utils._pytree import tree_leaves

from attnbench.machine.cpu import Cpu

aten = torch.ops.aten
IMAGES_FIRST: dict[Any, tuple[int, ...]] = {
    aten.convolution.default: (0,),
    aten.convolution_backward.default: (0, 1),
    aten._fft_r2c.default: (0,),
    aten._fft_c2r.default: (0,),
    aten._fft_c2c.default: (0,),
}
"""Operators that are tried, and which of their arguments have an image, or a part of one, in each row."""
LESS, MORE = 2, 4  # images of a trial, between which a kernel's need grows for each as between many
MOST_BYTES = 2**28  # of a tensor in a trial


def scratch_bytes(operator: Callable[..., Any], args: Sequence[Any], outputs: Any) -> int:
    """What an operator on a CPU takes besides its arguments and outputs; 0 where nobody can tell."""
    if operator in IMAGES_FIRST:
        return _tried(operator, args)
    if torch.Tag.pointwise in getattr(operator, "tags", ()):
        return _converted(args, outputs)
    return 0


def _converted(args: Sequence[Any], outputs: Any) -> int:
    """The bytes of operands, and of the result, in the format that contains all where theirs is another."""
    operands = [leaf for leaf in tree_leaves(args) if isinstance(leaf, Tensor) and leaf.dim()]
    formats = {operand.dtype for operand in operands}
    if len(formats) < 2 or not all(each.is_floating_point for each in formats):
        return 0
    common = torch.float64 if torch.float64 in formats else torch.float32
    results = [leaf for leaf in tree_leaves(outputs) if isinstance(leaf, Tensor) and leaf.is_floating_point()]
    others = (tensor for tensor in [*operands, *results] if tensor.dtype != common)
    return sum(tensor.numel() for tensor in others) * common.itemsize


def _tried(operator: Callable[..., Any], args: Sequence[Any]) -> int:
    """What it takes of all images, from what it takes of a few, so that nothing large is allocated."""
    images: int = args[IMAGES_FIRST[operator][0]].shape[0]
    described = tuple(map(_described, args))
    if images <= MORE:
        return _of_images(operator, images, described)
    less, more = (_of_images(operator, few, described) for few in (LESS, MORE))
    return max(0, less + (images - LESS) * (more - less) // (MORE - LESS))


@dataclass(frozen=True, slots=True)
class _Shape:
    """What a tensor is but for its numbers."""

    sizes: tuple[int, ...]
    strides: tuple[int, ...]
    dtype: torch.dtype

    @property
    def numbers(self) -> int:
        """From the first in memory to the last."""
        if 0 in self.sizes:
            return 0
        return 1 + sum((size - 1) * stride for size, stride in zip(self.sizes, self.strides, strict=True))

    def of_rows(self, rows: int) -> "_Shape":
        """The same with so many rows."""
        return replace(self, sizes=(rows, *self.sizes[1:]))

    def zeros(self) -> Tensor:
        """A tensor of this kind."""
        return torch.zeros(self.numbers, dtype=self.dtype).as_strided(self.sizes, self.strides)


def _described(value: Any) -> Any:
    """An argument by which calls can be told apart, whatever numbers a tensor has."""
    if isinstance(value, Tensor):
        return _Shape(tuple(value.shape), value.stride(), value.dtype)
    return tuple(value) if isinstance(value, list) else value


@cache
def _of_images(operator: Callable[..., Any], images: int, described: tuple[Any, ...]) -> int:
    """What the operator takes of so many images on tensors of zeros; 0 where even that needs too much."""
    shapes = {
        place: value.of_rows(images) if place in IMAGES_FIRST[operator] else value
        for place, value in enumerate(described)
        if isinstance(value, _Shape)
    }
    if any(shape.numbers * shape.dtype.itemsize > MOST_BYTES for shape in shapes.values()):
        return 0
    with _disable_current_modes():
        args = [shapes[place].zeros() if place in shapes else value for place, value in enumerate(described)]
        results: list[Any] = []
        peak = Cpu().peak_bytes(lambda: results.append(operator(*args)))
        made = (leaf for leaf in tree_leaves(results) if isinstance(leaf, Tensor))
        written: int = sum(leaf.untyped_storage().nbytes() for leaf in made)
    return max(0, peak - written)
