"""The registry with prices: what each mechanism costs at a geometry."""

from dataclasses import dataclass

from attnbench.errors import UnsupportedGeometry
from attnbench.mechanism import Geometry
from attnbench.paper import Published, in_table_order, published
from attnbench.registry import Choice, Registry


@dataclass(frozen=True, slots=True)
class Entry:
    """One mechanism with its cost; `refusal` says why there is none."""

    choice: Choice
    params: int | None
    macs: int | None
    published: Published | None
    refusal: str | None = None


def entries(registry: Registry, geometry: Geometry) -> list[Entry]:
    """All mechanisms with their default settings, in Table IV's order; imports torch."""
    return [_entry(choice, geometry) for choice in all_choices(registry)]


def all_choices(registry: Registry) -> list[Choice]:
    """Every mechanism with its default settings: those of Table IV in its order, then the others."""
    return [registry.choose(name) for name in in_table_order(registry)]


def _entry(choice: Choice, geometry: Geometry) -> Entry:
    from attnbench.measure.cost import count

    paper = published().get(choice.mechanism.name)
    try:
        cost = count(choice.mechanism.build(geometry, **choice.settings), geometry)
    except UnsupportedGeometry as refusal:
        return Entry(choice, None, None, paper, str(refusal))
    return Entry(choice, cost.params, cost.macs, paper)
