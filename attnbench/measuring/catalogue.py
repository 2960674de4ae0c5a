"""Choices with prices: what each costs at a geometry, counted on its layer or by its closed form."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attnbench.cases.case import TABLE_IV, Mode, Workload
from attnbench.cases.choice import Choice, Choices, Chosen, Kind, unique
from attnbench.cases.declared import Declarations, are_declared
from attnbench.cases.labels import closest, did_you_mean
from attnbench.cases.models import Model, mixing_macs, parts_of
from attnbench.cases.places import ALL, MODELS, SET, TABLE, Opened, is_place, opened, slug
from attnbench.errors import AttnbenchError, UnsupportedGeometry
from attnbench.machine import system
from attnbench.mechanism import FAMILIES, Geometry, OperatorMacs
from attnbench.paper import Printed, in_table_order, published
from attnbench.paper.models import published_model
from attnbench.records.cost import BranchCost, Entry, Point

if TYPE_CHECKING:
    from torch import nn

    from attnbench.measuring.cost import Count

# What a layer runs on in less time than torch takes to import what it needs for tensors without memory.
FEW_TOKENS, FEW_CHANNELS = 28**2, 1024
IMAGE = Geometry.image(224, 224)
MIXERS = "Mixers"  # what is called so of a model: the layers in its slots
WILD = "*?"  # in a word that stands for all names that it fits


def opened_to_plan(
    words: Sequence[str], plugins: Sequence[Path], baseline: str | None
) -> Opened[Choices[Any]]:
    """What words mean, as far as a plan must know it; without torch where they name built-in layers alone.

    A file or a package of anybody else has to be imported for that, and so have the backbones of models.
    """
    if not plugins and not any(map(is_place, words)):
        said = Declarations()
        named = [name for word in [*words, *filter(None, [baseline])] for name in words_of(said, word)]
        if are_declared(named):
            return Opened(said, (), list(words))
    return opened(words, plugins)


def chosen(registry: Choices[Kind], texts: Sequence[str] | None) -> list[Chosen[Kind]]:
    """What texts, sets and sweeps ask for, each once.

    Without any, every mechanism of Table IV and every one that does not come with attnbench, with its default
    settings.
    """
    usual = [name for name in in_table_order(registry) if name in published() or name not in registry.builtin]
    words = (word for text in texts or usual for word in words_of(registry, text))
    return unique(choice for word in words for choice in registry.choose_all(word))


def words_of(registry: Choices[Any], text: str) -> list[str]:
    """The mechanisms of a set such as `@linear`, or those that `litv2-*` fits; other texts are themselves."""
    if any(sign in text for sign in WILD) and not text.startswith(SET):
        every = [*in_table_order(registry), *registry.backbones]
        fitting = [name for name in every if fnmatchcase(name, text)]
        if not fitting:
            raise AttnbenchError(f"No mechanism and no backbone is called as {text!r} has it.")
        return fitting
    if not text.startswith(SET):
        return [text]
    known, name = sets(registry), text.removeprefix(SET)
    if name not in known:
        names = ", ".join(f"{SET}{each}" for each in known)
        nearest = closest(name, known)
        raise AttnbenchError(
            f"No set of mechanisms is called {text!r}.{did_you_mean(nearest and SET + nearest)} "
            f"There are {names}."
        )
    return known[name]


def sets(registry: Choices[Any]) -> dict[str, list[str]]:
    """The names of several mechanisms: those of Table IV, all, families, models, and what plugins name."""
    every = in_table_order(registry)
    known = {ALL: every, TABLE: [name for name in every if name in published()]}
    for family in FAMILIES:
        known[slug(family)] = [name for name in every if registry[name].family == family]
    known |= {name: list(members) for name, members in registry.sets.items()}
    known[MODELS] = list(registry.backbones)
    return {name: members for name, members in known.items() if members}


def entries(
    choices: Iterable[Choice],
    geometry: Geometry,
    image: Geometry = IMAGE,
    believed: Collection[str] = (),
) -> list[Entry]:
    """The choices with what they cost, and the published rows beside them; imports torch.

    Layers are those of the `geometry`, models those for the `image`. Of mechanisms that are `believed` the
    closed form is taken, as of those that come with attnbench, whose tests hold it to the count. All others
    are counted.
    """
    return [
        _entry(
            choice,
            image if choice.mechanism.is_model else geometry,
            believed=all(part.name in believed for part in parts_of(choice.mechanism)),
        )
        for choice in choices
    ]


def points(choices: Sequence[Choice], geometries: Sequence[Geometry]) -> list[Point]:
    """Every choice on every map, or of every image where it is a model, from closed forms alone."""
    return [
        _point(choice, geometry)
        for choice in choices
        for geometry in geometries
        if geometry.images == choice.mechanism.is_model
    ]


def _entry(choice: Choice, geometry: Geometry, *, believed: bool) -> Entry:
    from attnbench.measuring.layouts import layer_of
    from attnbench.measuring.prediction import TooLarge

    paper = _printed(choice, geometry)
    try:
        build = partial(layer_of, choice.mechanism, geometry, choice.settings)
        macs = choice.mechanism.closed_form(geometry, **choice.settings) if believed else None
        if macs is not None and (params := _params(build)) is not None:
            return Entry(choice, params, macs, _branches(choice, geometry), paper)
        cost = _cost(build, geometry, choice.mechanism.operators)
    except UnsupportedGeometry as refusal:
        return Entry(choice, None, None, (), paper, refusal=str(refusal))
    except TooLarge as shortage:
        return Entry(choice, _params(build), None, (), paper, refusal=f"out of memory: {shortage}")
    except AttnbenchError:
        raise
    except Exception as error:  # what a layer raises is its author's
        from attnbench.measuring.failures import told

        known = getattr(error, "params", None)
        cause = error.__cause__ if known is not None else None
        return Entry(choice, known, None, (), paper, refusal=told(cause or error))
    return Entry(
        choice,
        cost.params,
        cost.macs,
        _branches(choice, geometry),
        paper,
        cost.uncounted,
        cost.macs_of_another,
    )


def _printed(choice: Choice, geometry: Geometry) -> Printed | None:
    """What the paper printed of it at this size."""
    if geometry.images:
        return published_model(choice.label, geometry)
    return published().get(choice.label) if geometry == TABLE_IV.geometry else None


def _cost(build: Callable[[], nn.Module], geometry: Geometry, operators: Mapping[str, OperatorMacs]) -> Count:
    from attnbench.measuring.cost import count, count_on_meta
    from attnbench.measuring.layers import weights_undrawn

    if geometry.tokens <= FEW_TOKENS and geometry.dim <= FEW_CHANNELS and not geometry.images:
        with weights_undrawn:
            layer = build()
        return count(layer, geometry, operators)
    if cost := count_on_meta(build, geometry, operators):
        return cost
    _require_room(build, geometry)
    return count(build(), geometry, operators)


def _require_room(build: Callable[[], nn.Module], geometry: Geometry) -> None:
    """Raise `TooLarge` for a layer that needs more memory for one image than there is, by prediction."""
    import torch

    from attnbench.measuring.prediction import TooLarge, predicted_peak_bytes, shortage

    image, there = Workload(geometry, 1, Mode.inference), system.available_memory_bytes()
    if image.guessed_bytes > there:
        need = predicted_peak_bytes(build, image.shape, torch.float32)
        if need is not None and need > there:
            raise TooLarge(shortage("one image", need, there))


def _params(build: Callable[[], nn.Module]) -> int | None:
    """How many numbers of a layer train, whatever its size; None where that cannot be told without memory."""
    from attnbench.measuring.layers import without_memory

    try:
        with without_memory():
            return sum(each.numel() for each in build().parameters() if each.requires_grad)
    except AttnbenchError:
        raise
    except Exception:  # a layer may look at values while it is built, or be larger than any tensor
        return None


def _point(choice: Choice, geometry: Geometry) -> Point:
    try:
        _refuse(choice, geometry)
        macs = choice.mechanism.closed_form(geometry, **choice.settings)
        refusal = "it has no closed form; `attnbench list` counts it" if macs is None else None
        return Point(choice, geometry, macs, _branches(choice, geometry), refusal)
    except UnsupportedGeometry as refusal:
        return Point(choice, geometry, None, (), str(refusal))


def _refuse(choice: Choice, geometry: Geometry) -> None:
    """Raise what the layer raises for settings or a map without a meaning; closed forms need not know."""
    from attnbench.measuring.layers import without_memory
    from attnbench.measuring.layouts import layer_of

    try:
        with without_memory():
            layer_of(choice.mechanism, geometry, choice.settings)
    except AttnbenchError:
        raise
    except Exception:  # a layer that looks at values while it is built may be fine with real ones
        return


def _branches(choice: Choice, geometry: Geometry) -> tuple[BranchCost, ...]:
    if isinstance(choice.mechanism, Model):
        macs = mixing_macs(choice.mechanism.mixing(geometry, choice.settings))
        return () if macs is None else (BranchCost(MIXERS, macs, None),)
    return tuple(
        BranchCost(
            branch.title,
            branch.macs(geometry, **choice.settings),
            branch.channels(geometry, **choice.settings) * geometry.heads // geometry.dim,
        )
        for branch in choice.mechanism.branches
    )
