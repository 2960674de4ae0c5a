"""Which part of a model an operator runs in: its stage, and what kind of module it is in."""

from collections.abc import Iterator
from contextlib import contextmanager
from weakref import WeakKeyDictionary

from torch import nn
from torch.utils.hooks import RemovableHandle

from attnbench.backbone import Slot

MIXERS = "mixers"
KINDS: tuple[tuple[type[nn.Module], str], ...] = (
    (nn.Linear, "linear layers"),
    (nn.modules.conv._ConvNd, "convolutions"),
    (nn.modules.batchnorm._NormBase, "norms"),
    (nn.LayerNorm, "norms"),
    (nn.GroupNorm, "norms"),
)
DEPTHWISE = "depthwise convolutions"
OTHERS = "sums and activations"
PART = "part"  # the attribute by which a module says what it is in a model: "token merging"

slots: WeakKeyDictionary[nn.Module, Slot] = WeakKeyDictionary()
"""The slot that a layer was built for, of all models that there are."""


class Whereabouts:
    """Where in a model its forward pass is: the modules that have begun and not ended, outermost first."""

    def __init__(self) -> None:
        self.inside: list[tuple[str, nn.Module]] = []

    @property
    def stage(self) -> str:
        """The first part of the name of the innermost module: `stage3`."""
        return self.inside[-1][0].partition(".")[0] if self.inside else ""

    @property
    def kind(self) -> str:
        """What is being done there: mixers, what a module says of itself, or what torch's module is."""
        modules = [module for _, module in self.inside]
        if any(module in slots for module in modules):
            return MIXERS
        said = [part for module in modules if isinstance(part := getattr(module, PART, None), str)]
        if said:
            return said[0]
        return _kind(modules[-1]) if modules else OTHERS


@contextmanager
def followed(model: nn.Module) -> Iterator[Whereabouts]:
    """Follow a model's calls inside."""
    where = Whereabouts()
    handles: list[RemovableHandle] = []
    for name, module in model.named_modules():
        if name:
            handles += _followed(where, name, module)
    try:
        yield where
    finally:
        for handle in handles:
            handle.remove()


def _followed(where: Whereabouts, name: str, module: nn.Module) -> list[RemovableHandle]:
    def begins(*_: object) -> None:
        where.inside.append((name, module))

    def ends(*_: object) -> None:
        where.inside.pop()

    return [module.register_forward_pre_hook(begins), module.register_forward_hook(ends, always_call=True)]


def _kind(module: nn.Module) -> str:
    if isinstance(module, nn.modules.conv._ConvNd) and module.groups == module.in_channels > 1:
        return DEPTHWISE
    return next((kind for of, kind in KINDS if isinstance(module, of)), OTHERS)
