"""What goes wrong in a stranger's layer, in words for its author: where, and what the layer wants instead."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from attnbench.cases.classes import layout_of, required
from attnbench.errors import AttnbenchError
from attnbench.measuring.execution import CannotRun
from attnbench.measuring.failures import told
from attnbench.measuring.layers import WrongOutput, without_memory
from attnbench.measuring.layouts import LAYOUTS, InLayout
from attnbench.measuring.surroundings import Meddled
from attnbench.mechanism import CHANNELS_FIRST, CHANNELS_LAST, CONTIGUOUS, Geometry

MAPS = {CHANNELS_FIRST: "[B, C, H, W]", CONTIGUOUS: "[B, C, H, W]", CHANNELS_LAST: "[B, H, W, C]"}
"""The layouts of maps, and their shapes."""


def wanted(layer: nn.Module, x: Tensor, geometry: Geometry) -> str | None:
    """What a layer wants that does not map tokens `[B, N, C]` to a tensor; None of one that does.

    None as well where that cannot be told.
    """
    if isinstance(layer, InLayout):
        return _wanted_in_its_layout(layer, x)
    names = required(layer.forward)
    if len(names) > 1:
        layout = layout_of(names)
        advice = (
            f"say layout={layout!r} in its Mechanism"
            if layout
            else "give it a forward(x) that adds the rest: its geometry has height and width"
        )
        return f"its forward wants ({', '.join(names)}), and gets the tokens alone; {advice}"
    try:
        out = layer(x)
    except (Exception, SystemExit):
        return None if geometry.images else _wanted_map(layer, x, geometry)
    return None if isinstance(out, Tensor) else _returned(out)


def _wanted_in_its_layout(layer: InLayout, x: Tensor) -> str | None:
    """The same of a layer that has said what it takes."""
    try:
        out = layer(x)
    except (Exception, SystemExit):
        return None
    return None if isinstance(out, Tensor) else _returned(out)


def built(build: Callable[[], nn.Module], label: str) -> nn.Module:
    """The layer; where it cannot be built, an `AttnbenchError` says why, and where."""
    try:
        return build()
    except AttnbenchError:
        raise
    except Exception as error:
        raise AttnbenchError(
            f"{label} cannot be built: {told(error)}. `attnbench check` says more."
        ) from error


@contextmanager
def explained(build: Callable[[], nn.Module], geometry: Geometry) -> Iterator[None]:
    """What a layer fails with that is no map of tokens is wrong output, with what it wants instead.

    It is asked on tensors without memory, for which there is room whatever its size.
    """
    try:
        yield
    except (AttnbenchError, CannotRun, Meddled, WrongOutput, MemoryError, torch.OutOfMemoryError):
        raise
    except Exception as error:
        if reason := _wanted_without_memory(build, geometry):
            raise WrongOutput(reason) from error
        raise


def _wanted_map(layer: nn.Module, x: Tensor, geometry: Geometry) -> str | None:
    """Which layout of maps a layer takes that takes no tokens."""
    for layout, shape in MAPS.items():
        (maps,) = LAYOUTS[layout].takes(x, geometry)
        try:
            out = layer(maps)
        except (Exception, SystemExit):  # not this one
            continue
        if isinstance(out, Tensor) and out.shape == maps.shape:
            return f"it takes maps {shape}, and gets tokens [B, N, C]; say layout={layout!r} in its Mechanism"
    return None


def _returned(out: object) -> str:
    if out is None:
        return "returns nothing; return the tokens"
    size = f" of {len(out)}" if isinstance(out, tuple | list | dict) else ""
    of = repr(next(iter(out))) if isinstance(out, dict) and out else "0"
    return (
        f"returns a {type(out).__name__}{size}; return the tokens alone, or say in its Mechanism which they "
        f"are: output={of}"
    )


def _wanted_without_memory(build: Callable[[], nn.Module], geometry: Geometry) -> str | None:
    with torch.no_grad(), without_memory():
        try:
            layer = build()
        except Exception:
            return None
        return wanted(layer, torch.empty(geometry.input_shape(1)), geometry)
