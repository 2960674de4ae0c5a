"""Choices with prices: what each costs at a geometry, counted on its layer or by its closed form."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

from attnbench.cases.case import TABLE_IV
from attnbench.cases.registry import Choice, Registry, unique
from attnbench.errors import AttnbenchError, UnsupportedGeometry
from attnbench.mechanism import Geometry, OperatorMacs
from attnbench.paper import in_table_order, published
from attnbench.records.cost import BranchCost, Entry, Point

if TYPE_CHECKING:
    from torch import nn

    from attnbench.measure.cost import Count

# What a layer runs on in less time than torch takes to import what it needs for tensors without memory.
FEW_TOKENS, FEW_CHANNELS = 28**2, 1024


def chosen(registry: Registry, texts: Sequence[str] | None) -> list[Choice]:
    """What texts and sweeps ask for, each once; without any, every mechanism with its default settings."""
    return unique(
        choice for text in texts or in_table_order(registry) for choice in registry.choose_all(text)
    )


def entries(choices: Iterable[Choice], geometry: Geometry) -> list[Entry]:
    """The choices with what they cost, counted, and the published rows beside them; imports torch."""
    return [_entry(choice, geometry) for choice in choices]


def points(choices: Sequence[Choice], geometries: Sequence[Geometry]) -> list[Point]:
    """Every choice on every map, from closed forms alone."""
    return [_point(choice, geometry) for choice in choices for geometry in geometries]


def _entry(choice: Choice, geometry: Geometry) -> Entry:
    paper = published().get(choice.label) if geometry == TABLE_IV.geometry else None
    try:
        build = partial(choice.mechanism.build, geometry, **choice.settings)
        cost = _cost(build, geometry, choice.mechanism.operators)
    except UnsupportedGeometry as refusal:
        return Entry(choice, None, None, (), paper, refusal=str(refusal))
    except AttnbenchError:
        raise
    except Exception as error:  # what a layer raises is its author's
        from attnbench.measure.failures import told

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


def _cost(build: Callable[[], nn.Module], geometry: Geometry, operators: Mapping[str, OperatorMacs]) -> Count:
    from attnbench.measure.cost import count, count_on_meta
    from attnbench.measure.layers import weights_undrawn

    if geometry.tokens <= FEW_TOKENS and geometry.dim <= FEW_CHANNELS:
        with weights_undrawn:
            layer = build()
        return count(layer, geometry, operators)
    return count_on_meta(build, geometry, operators) or count(build(), geometry, operators)


def _point(choice: Choice, geometry: Geometry) -> Point:
    try:
        _refuse(choice, geometry)
        macs = choice.mechanism.macs(geometry, **choice.settings)
        return Point(choice, geometry, macs, _branches(choice, geometry))
    except UnsupportedGeometry as refusal:
        return Point(choice, geometry, None, (), str(refusal))


def _refuse(choice: Choice, geometry: Geometry) -> None:
    """Raise what the layer raises for settings or a map without a meaning; closed forms need not know."""
    from attnbench.measure.layers import without_memory

    try:
        with without_memory():
            choice.mechanism.build(geometry, **choice.settings)
    except AttnbenchError:
        raise
    except Exception:  # a layer that looks at values while it is built may be fine with real ones
        return


def _branches(choice: Choice, geometry: Geometry) -> tuple[BranchCost, ...]:
    return tuple(
        BranchCost(
            branch.title,
            branch.macs(geometry, **choice.settings),
            branch.channels(geometry, **choice.settings) * geometry.heads // geometry.dim,
        )
        for branch in choice.mechanism.branches
    )
