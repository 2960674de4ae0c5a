"""A class of somebody's package as a mechanism: `timm.layers.attention:Attention`.

Its constructor gets channels and heads under the names that people give them, and the size of the map where
it asks for that. What else it must have, a plugin of three lines gives it.
"""

import importlib
import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from attnbench.errors import AttnbenchError, InvalidSetting
from attnbench.mechanism import QKV, SIDES, SIZE, TOKENS, Geometry, Mechanism, Setting

CLASS = re.compile(r"(?P<module>[A-Za-z_]\w*(\.[A-Za-z_]\w*)*):(?P<name>[A-Za-z_]\w*)")
CHANNELS = ("dim", "embed_dim", "in_channels", "d_model", "channels", "hidden_size", "in_dim")
HEADS = ("num_heads", "heads", "n_heads", "nhead")
MAP = ("input_resolution", "resolution", "size", "input_size", "img_size", "feat_size", "window_size")
HEIGHTS, WIDTHS = ("h", "height"), ("w", "width")
SIZES = ("size", "feat_size", "hw", "hw_shape", "resolution", "input_resolution", "grid_size", "shape")


def is_class(text: str) -> bool:
    """Whether a text names a class of a module; `name:key=value` does not."""
    return CLASS.fullmatch(text) is not None


def mechanism_of(text: str) -> Mechanism:
    """The class that a text names, as a mechanism; an `AttnbenchError` says why it cannot be one."""
    found = CLASS.fullmatch(text)
    if found is None:
        raise AttnbenchError(f"{text!r} names no class; write package.module:Class.")
    try:
        module = importlib.import_module(found["module"])
    except ImportError as error:
        raise AttnbenchError(
            f"{text!r}: the module {found['module']!r} cannot be imported: {error}. Install its package, or "
            "mend the name."
        ) from error
    layer: Any = getattr(module, found["name"], None)
    if not inspect.isclass(layer) or not callable(getattr(layer, "forward", None)):
        raise AttnbenchError(f"{text!r}: {found['module']} has no layer {found['name']!r}. Mend the name.")
    package = found["module"].partition(".")[0]
    forward = required(getattr(layer, "forward"))[1:]  # without self  # noqa: B009
    return Mechanism(
        name=_word(f"{package}-{found['name']}"),
        title=f"{found['name']} ({package})",
        build=OfClass(layer, text),
        layout=layout_of(forward) or TOKENS,
    )


@dataclass(frozen=True, slots=True)
class OfClass:
    """Builds layers of a class by the names of its constructor's arguments."""

    layer: Callable[..., Any]
    text: str

    def __call__(self, geometry: Geometry, **_settings: Setting) -> Any:
        """The layer for a geometry; raises `InvalidSetting` where its constructor wants what nobody gave."""
        given = self.arguments(geometry)
        missing = [name for name in required(self.layer) if name not in given]
        if missing:
            raise InvalidSetting(
                f"{self.text}: its constructor also wants {', '.join(missing)}. Write a plugin of three "
                f"lines: Mechanism(name, title, build=lambda g: {self.layer.__name__}(g.dim, …))."
            )
        return self.layer(**given)

    def arguments(self, geometry: Geometry) -> dict[str, Any]:
        """What of the geometry the constructor takes, and the size of the map where it must have it."""
        values: Mapping[str, Any] = {
            **dict.fromkeys(CHANNELS, geometry.dim),
            **dict.fromkeys(HEADS, geometry.heads),
        }
        wanted = dict.fromkeys(MAP, (geometry.height, geometry.width))
        must = set(required(self.layer))
        names = inspect.signature(self.layer).parameters
        return {name: value for name, value in values.items() if name in names} | {
            name: value for name, value in wanted.items() if name in must
        }


def required(function: Callable[..., Any]) -> list[str]:
    """The arguments that a call has to give; none where there is no signature."""
    try:
        parameters = inspect.signature(function).parameters
    except (TypeError, ValueError):  # one that is compiled, as those of TorchScript are
        return []
    return [
        name
        for name, each in parameters.items()
        if each.kind not in (each.VAR_POSITIONAL, each.VAR_KEYWORD) and each.default is each.empty
    ]


def layout_of(arguments: list[str]) -> str | None:
    """The layout whose forward has these arguments, as people name them; None where none has."""
    match [name.lower() for name in arguments]:
        case [_]:
            return TOKENS
        case [_, height, width] if height in HEIGHTS and width in WIDTHS:
            return SIDES
        case [_, size] if size in SIZES:
            return SIZE
        case [query, key, value] if (query[0], key[0], value[0]) == ("q", "k", "v"):
            return QKV
    return None


def _word(name: str) -> str:
    """A name as a word of the command line: `timm-WindowAttention` is `timm-window-attention`."""
    parts = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "-", name)
    return re.sub("[-_]+", "-", parts).strip("-").lower()
