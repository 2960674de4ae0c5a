"""A claim as data: how a mechanism stands to others, what that is about, and where it is said."""

from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum

from attnbench.cases.case import TABLE_IV
from attnbench.cases.variant import PLAIN, Variant


class Metric(StrEnum):
    """What a claim is about."""

    speed = "speed"
    params = "params"
    flops = "flops"
    memory = "memory"

    @property
    def is_count(self) -> bool:
        """Whether it is a number that device, batch and variant leave alone."""
        return self in (Metric.params, Metric.flops)


class Relation(StrEnum):
    """How a mechanism stands to others."""

    faster = "faster"
    slower = "slower"
    more = "more"
    less = "less"
    about = "about"
    equal = "equal"

    @property
    def is_order(self) -> bool:
        """Whether it says which is ahead."""
        return self not in (Relation.about, Relation.equal)

    @property
    def is_upward(self) -> bool:
        """Whether it says that the mechanism has the larger number, which for speeds is that of calls."""
        return self in (Relation.faster, Relation.more)


RELATIONS = {
    Metric.speed: (Relation.faster, Relation.slower, Relation.about),
    Metric.params: (Relation.less, Relation.more, Relation.about, Relation.equal),
    Metric.flops: (Relation.less, Relation.more, Relation.about, Relation.equal),
    Metric.memory: (Relation.less, Relation.more, Relation.about),
}


@dataclass(frozen=True, slots=True)
class Conditions:
    """What a claim is about: a shape, a way to run layers, a machine.

    The defaults are Table IV's. A `torch`, `cpu` or `gpu` of None is no part of the claim.
    """

    size: str = TABLE_IV.geometry.size
    dim: int = TABLE_IV.geometry.dim
    heads: int = TABLE_IV.geometry.heads
    mode: str = TABLE_IV.mode
    batch: int = TABLE_IV.batch
    variant: Variant = PLAIN
    torch: str | None = None
    cpu: str | None = None
    gpu: str | None = None

    def machine(self, device: str | None) -> str | None:
        """What computes on a device."""
        return self.cpu if device == "cpu" else self.gpu


@dataclass(frozen=True, slots=True)
class Claim:
    """A sentence that a run can test.

    It compares `mechanism` with every label of `than`, or its count with the published `millions`. The
    mechanism is ahead by at least `times`, or at all where that is None; with the relation `about` it differs
    by no more than the share `within`. `reported` is the ratio in the source, where that is not judged.
    `device` is None for counts. `note` says why the claim fails, where that is known.
    """

    id: str
    sentence: str
    source: str
    mechanism: str
    metric: Metric
    relation: Relation
    than: tuple[str, ...] = ()
    millions: Decimal | None = None
    times: float | None = None
    within: float | None = None
    device: str | None = None
    reported: float | None = None
    note: str = ""
    conditions: Conditions = field(default=Conditions())

    @property
    def number(self) -> float | None:
        """What the source says: millions, or a ratio to the other; None where that is an order alone."""
        if self.millions is not None:
            return float(self.millions)
        if self.times is not None:
            return self.times if self.relation.is_upward else 1 / self.times
        return self.reported

    @property
    def labels(self) -> tuple[str, ...]:
        """All that must be measured."""
        return (self.mechanism, *self.than)
