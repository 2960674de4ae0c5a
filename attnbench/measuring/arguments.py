"""What `attnbench.measure` is given: layers, an input, numbers and words; anything else is refused."""

import math
import operator
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from pathlib import Path

import torch
from torch import Tensor, nn

from attnbench.cases.labels import closest, did_you_mean
from attnbench.cases.places import SET
from attnbench.cases.variant import FORMATS, Variant
from attnbench.errors import AttnbenchError
from attnbench.mechanism import COLOURS, CONTIGUOUS, IMAGES, LAYOUTS, TOKENS, Geometry, Mechanism

LAYER = "layer"  # what a layer is called that came without a name
HEAD_DIM = 64  # of heads where nobody says how many
MOST = 10**18  # what no number of threads, heads or seed comes near to
STORED = tuple(dict.fromkeys(Variant(dtype=name).stored for name in FORMATS))  # what a tensor can be in
SHAPES = "tokens [B, N, C], maps [B, C, H, W] or images [B, 3, H, W]"
Layer = nn.Module | str


@dataclass(frozen=True, slots=True)
class Asked:
    """What a call is made with: images of tokens on a map, in a number format on a device."""

    geometry: Geometry
    batch: int
    dtype: str
    device: str
    layout: str


def read_input(x: object, shape: object, heads: int | None, layout: str | None) -> Asked:
    """What an input, or its shape, asks for."""
    if x is not None and shape is not None:
        raise AttnbenchError("x and shape both say what calls are given; leave one of them out.")
    if not (x is None or isinstance(x, Tensor)):
        raise AttnbenchError(
            f"x is {_kind(x)}; give a tensor such as torch.randn(8, 196, 768), or its sizes as "
            "shape=(8, 196, 768)."
        )
    sizes = _sizes(shape if x is None else x.shape)
    if layout is not None:
        read_word("layout", layout, LAYOUTS)
    return Asked(
        _geometry(sizes, None if heads is None else read_whole("heads", heads), layout),
        sizes[0],
        "float32" if x is None else _format(x.dtype),
        "cpu" if x is None else _device(x.device),
        layout or (CONTIGUOUS if len(sizes) == 4 else TOKENS),
    )


def read_layers(layers: object) -> dict[str, Layer]:
    """Layers under their names; one that came alone has none of its own."""
    named = layers if isinstance(layers, Mapping) else {LAYER: layers}
    if not named:
        raise AttnbenchError("There is no layer to measure; give at least one.")
    for name in named:
        if not isinstance(name, str):
            raise AttnbenchError(f"A layer is named {name!r}; name it with a text.")
    return {name: _layer(name, layer) for name, layer in named.items()}


def read_whole(name: str, value: object, least: int = 1, most: int = MOST) -> int:
    """A whole number."""
    try:
        number = operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        number = least - 1
    if not least <= number <= most:
        raise AttnbenchError(f"{name} is {value!r}; it must be a whole number from {least} to {most}.")
    return number


def read_seconds(name: str, value: object) -> float:
    """A time that ends."""
    if not (isinstance(value, Real) and 0 < float(value) < math.inf):
        raise AttnbenchError(f"{name} is {value!r}; it must be a number of seconds above 0.")
    return float(value)


def read_word(name: str, value: object, allowed: Collection[str]) -> str:
    """One of the words that an argument can be."""
    if not (isinstance(value, str) and value in allowed):
        near = did_you_mean(closest(value, allowed) if isinstance(value, str) else None)
        raise AttnbenchError(f"{name} is {value!r}; it must be one of {', '.join(map(repr, allowed))}.{near}")
    return value


def _layer(name: str, layer: object) -> Layer:
    if isinstance(layer, str) and layer.startswith(SET):
        raise AttnbenchError(
            f"{name} is {layer!r}, a set of layers; give each of them a name of its own, as `attnbench list "
            f"{layer}` has them."
        )
    if isinstance(layer, nn.Module | str):
        return layer
    if isinstance(layer, Path):
        return str(layer)
    if isinstance(layer, Mechanism):
        remedy = (
            f"give what it builds, such as {name}.build(Geometry(768, 12, 14, 14)), or the path of its file"
        )
    elif isinstance(layer, type):
        remedy = f"give a module of it, {layer.__name__}(…)"
    elif isinstance(layer, Sequence):
        remedy = "give several layers as a dict, each under a name"
    else:
        remedy = "give a torch.nn.Module, or a word such as 'msa'"
    raise AttnbenchError(f"{name} is {_kind(layer)}, which is no layer; {remedy}.")


def _kind(value: object) -> str:
    """What a value is, for readers: `the class Attention`, `a list`."""
    return f"the class {value.__name__}" if isinstance(value, type) else f"a {type(value).__name__}"


def _sizes(shape: object) -> tuple[int, ...]:
    """Those of an input; an `AttnbenchError` where they are none."""
    try:
        sizes = tuple(map(operator.index, () if shape is None else shape))  # type: ignore[call-overload]
    except TypeError:
        sizes = ()
    if len(sizes) not in (3, 4) or min(sizes) < 1:
        raise AttnbenchError(
            f"The input's shape is {_shown(shape)}; give {SHAPES}, as a tensor or with shape=, such as "
            "shape=(8, 196, 768)."
        )
    return sizes


def _shown(shape: object) -> object:
    """A shape as a reader writes it."""
    return list(shape) if isinstance(shape, tuple) else [] if shape is None else repr(shape)


def _format(dtype: torch.dtype) -> str:
    name = str(dtype).removeprefix("torch.")
    if name not in STORED:
        raise AttnbenchError(
            f"x is in {name}, in which no layer is measured; give one in {', '.join(STORED)}."
        )
    return name


def _device(device: torch.device) -> str:
    if device.index:
        raise AttnbenchError(
            f"x is on {device}, and calls are made on the first {device.type} device that torch sees. Make "
            "that one the first, as CUDA_VISIBLE_DEVICES does where Python is started, or move x."
        )
    return device.type


def _geometry(sizes: Sequence[int], heads: int | None, layout: str | None) -> Geometry:
    """What layers are built for that get an input of this shape."""
    if layout == IMAGES:
        if len(sizes) != 4 or sizes[1] != COLOURS:
            raise AttnbenchError(f"The input's shape is {list(sizes)}; images are [B, 3, H, W].")
        return Geometry.image(*sizes[2:])
    if len(sizes) == 4:
        _, dim, height, width = sizes
    else:
        _, tokens, dim = sizes
        side = math.isqrt(tokens)
        height, width = (side, side) if side**2 == tokens else (1, tokens)
    return Geometry(dim, _heads(dim) if heads is None else heads, height, width)


def _heads(dim: int) -> int:
    """Heads of the usual width; one where that does not divide the channels."""
    return dim // HEAD_DIM if dim % HEAD_DIM == 0 else 1
