"""What goes wrong in a stranger's layer, in words for its author: where, and what the layer wants instead."""

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from attnbench.errors import AttnbenchError
from attnbench.measure.execution import CannotRun
from attnbench.measure.failures import told
from attnbench.measure.layers import WrongOutput, without_memory
from attnbench.mechanism import Geometry

LAYOUTS: dict[str, tuple[Callable[[Tensor, Geometry], Tensor], str]] = {
    "[B, C, H, W]": (
        lambda x, geometry: x.mT.unflatten(2, (geometry.height, geometry.width)),
        "give it x.mT.unflatten(2, (geometry.height, geometry.width)) and return its .flatten(2).mT",
    ),
    "[B, H, W, C]": (
        lambda x, geometry: x.unflatten(1, (geometry.height, geometry.width)),
        "give it x.unflatten(1, (geometry.height, geometry.width)) and return its .flatten(1, 2)",
    ),
}
"""How maps are laid out, how tokens become such, and what an author writes for it."""


def wanted(layer: nn.Module, x: Tensor, geometry: Geometry) -> str | None:
    """What a layer wants that does not map tokens `[B, N, C]` to a tensor; None of one that does.

    None as well where that cannot be told.
    """
    names = list(_required(layer))
    if len(names) > 1:
        return (
            f"its forward wants ({', '.join(names)}), and gets the tokens alone; give it a forward(x) that "
            "adds the rest: the geometry that it is built for has height and width"
        )
    try:
        out = layer(x)
    except (Exception, SystemExit):
        return _wanted_map(layer, x, geometry)
    return None if isinstance(out, Tensor) else f"{_returned(out)}; return the tokens alone"


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
    except (AttnbenchError, CannotRun, WrongOutput, MemoryError, torch.OutOfMemoryError):
        raise
    except Exception as error:
        if reason := _wanted_without_memory(build, geometry):
            raise WrongOutput(reason) from error
        raise


def _required(layer: nn.Module) -> Iterator[str]:
    """The arguments that a forward pass has no defaults for; none where it has no signature."""
    try:
        parameters = inspect.signature(layer.forward).parameters
    except (TypeError, ValueError):  # one that is compiled, as those of TorchScript are
        return
    for name, parameter in parameters.items():
        is_one = parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
        if is_one and parameter.default is parameter.empty:
            yield name


def _wanted_map(layer: nn.Module, x: Tensor, geometry: Geometry) -> str | None:
    """Which layout of maps a layer takes that takes no tokens."""
    for layout, (as_map, advice) in LAYOUTS.items():
        maps = as_map(x, geometry)
        try:
            out = layer(maps)
        except (Exception, SystemExit):  # not this one
            continue
        if isinstance(out, Tensor) and out.shape == maps.shape:
            return f"it takes maps {layout}, and gets tokens [B, N, C]; {advice}"
    return None


def _returned(out: object) -> str:
    size = f" of {len(out)}" if isinstance(out, tuple | list | dict) else ""
    return "returns nothing" if out is None else f"returns a {type(out).__name__}{size}"


def _wanted_without_memory(build: Callable[[], nn.Module], geometry: Geometry) -> str | None:
    with torch.no_grad(), without_memory():
        try:
            layer = build()
        except Exception:
            return None
        return wanted(layer, torch.empty(1, geometry.tokens, geometry.dim), geometry)
