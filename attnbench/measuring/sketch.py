"""A few numbers that stand for the results of a layer, and how far those of two layers are apart.

Differences are relative to how far apart the results of different images are: what was kept, or taken from
another image, is as far away as those.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from attnbench.cases.variant import Variant
from attnbench.machine.devices import exact_device
from attnbench.measuring.layers import Results, WrongOutput

NUMBERS = 8  # that stand for the output of an image, and as many for its gradient
ROUGHLY = {"float64": 0.05, "float32": 0.05, "tf32": 0.2, "float16": 0.2, "bfloat16": 0.4}
"""How far apart results of the same work may be, as a share of what lies between those of two images."""
ALIKE = {"float64": 1e-6, "float32": 1e-3, "tf32": 0.03, "float16": 0.03, "bfloat16": 0.05}
"""Results of images that differ by less, as a share of their size, cannot be told apart.

Batched and alone, eager and compiled, the built-in layers differ by at most 7e-3 of their size in bfloat16.
"""

Sketch = list[Tensor]
"""Of outputs and, in training, of their gradients: the numbers `[B, NUMBERS]` of each image, in float64."""
Numbers = tuple[tuple[float, ...], ...]
"""The same side by side, image by image, as facts hold it."""


def sketch(results: Results) -> Sketch:
    """A few numbers of each image that stand for its results: random projections, always the same."""
    return [_projected(result.detach()) for result in results if result is not None]


def distances(ours: Sketch, theirs: Sketch, scales: Sequence[float]) -> Tensor:
    """How far each image's results are from the others', as a share of what lies between two images `[B]`."""
    apart = [
        (one - other).square().mean(dim=1).sqrt() / scale
        for one, other, scale in zip(ours, theirs, scales, strict=True)
        if scale
    ]
    return torch.stack(apart).amax(dim=0)


def distance(ours: Sketch, theirs: Sketch, scales: Sequence[float]) -> float:
    """The largest of the distances."""
    return float(distances(ours, theirs, scales).max())


def numbers_of(sketches: Sequence[Tensor]) -> Numbers:
    """A sketch as facts have it; one that holds other numbers than finite ones is a `WrongOutput`."""
    together = torch.cat(list(sketches), dim=1) if sketches else torch.empty(0, 0)
    if not together.isfinite().all():
        raise WrongOutput("its results for new tokens hold NaN or infinite numbers")
    return tuple(map(tuple, together.tolist()))


def sketch_of(numbers: Numbers) -> Sketch:
    """The sketch that a fact holds."""
    return list(torch.tensor(numbers, dtype=torch.float64).split(NUMBERS, dim=1))


def _projected(x: Tensor) -> Tensor:
    x = x.to(exact_device(x.device.type))
    x = x.reshape(len(x), x.shape[1] if x.dim() > 2 else 1, -1)  # a matrix an image, of scores and pixels too
    generator = torch.Generator().manual_seed(0)
    left, right = (
        torch.randn(NUMBERS, size, generator=generator, dtype=torch.float64).to(x.device)
        for size in x.shape[1:]
    )
    return torch.stack([((left @ image.double()) * right).sum(dim=1) for image in x]).cpu()


def scales_of(sketches: Sketch, variant: Variant) -> list[float]:
    """What lies between the results of two images: the root of its mean square; 0 where that is rounding.

    Of results that are the same for all, their size.
    """
    return [_scale(each, ALIKE[variant.computed]) if len(each) > 1 else 0.0 for each in sketches]


def _scale(numbers: Tensor, least: float) -> float:
    size, between = (float(x.mean().sqrt()) for x in (numbers.square(), 2 * numbers.var(dim=0)))
    if is_constant(numbers):
        return size
    return between if between > least * size else 0.0


def is_constant(numbers: Tensor) -> bool:
    return torch.allclose(numbers, numbers[:1], rtol=1e-12, atol=0.0)
