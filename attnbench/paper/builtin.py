"""The claims that come with attnbench: the paper's sentences, and what its Table IV says row by row."""

from dataclasses import replace
from decimal import Decimal
from functools import cache
from importlib.resources import files

from attnbench.machine.devices import device_of
from attnbench.paper import FORMATS, Published, published
from attnbench.paper.claims import Claim, Metric, Relation
from attnbench.paper.claims_file import ClaimsFile, parse

FILE = "claims.toml"
SUBJECT = "hilo"


@cache
def builtin() -> tuple[Claim, ...]:
    """All claims: the sentences, HiLo against each other row of Table IV, and every count of it."""
    table = published().values()
    params = [_count(row, Metric.params, Decimal(f"{row.params_m:.2f}"), "parameters") for row in table]
    flops = [_count(row, Metric.flops, Decimal(f"{row.flops_m:.1f}"), "FLOPs", row.note) for row in table]
    return (*sentences(), *_orders("cpu"), *_orders("cuda"), *params, *flops)


def sentences() -> tuple[Claim, ...]:
    """What the paper says in words."""
    return _file().claims


@cache
def _file() -> ClaimsFile:
    return parse((files(__package__) / FILE).read_text(encoding="utf-8"), FILE)


def _orders(device: str) -> list[Claim]:
    others = [row for row in published().values() if row.name != SUBJECT]
    return [_order(published()[SUBJECT], other, device) for other in others]


def _order(row: Published, other: Published, device: str) -> Claim:
    conditions = _file().conditions
    return Claim(
        id=f"table-iv-{device.replace('cuda', 'gpu')}-{other.name}",
        sentence=f"{row.title} is faster than {other.title} on a {device_of(device).title}.",
        source="Table IV",
        mechanism=row.name,
        metric=Metric.speed,
        relation=Relation.faster,
        than=(other.name,),
        device=device,
        reported=row.imgs_per_s(device) / other.imgs_per_s(device),
        conditions=replace(conditions, variant=replace(conditions.variant, dtype=FORMATS[device])),
    )


def _count(row: Published, metric: Metric, millions: Decimal, noun: str, note: str = "") -> Claim:
    return Claim(
        id=f"table-iv-{metric}-{row.name}",
        sentence=f"{row.title} has {millions} M {noun}.",
        source="Table IV",
        mechanism=row.name,
        metric=metric,
        relation=Relation.equal,
        millions=millions,
        note=note,
        conditions=_file().conditions,
    )
