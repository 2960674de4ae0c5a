"""What a run has to say about a claim: the layers that it names, where they may be compared."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace

from attnbench.analysis.block import Block, blocks, both, compared
from attnbench.analysis.rows import grouped, latest
from attnbench.cases.case import Case, Role
from attnbench.cases.labels import find, nearest
from attnbench.cases.variant import AXES, PLAIN, Variant
from attnbench.errors import AttnbenchError
from attnbench.machine.devices import device_of
from attnbench.paper import published
from attnbench.paper.claims import Claim, Metric
from attnbench.records.codec import to_row
from attnbench.records.record import Record
from attnbench.statistics import Comparison, Estimate, Scatter

MOST_NAMES = 3
ABSENT = "not measured here"
SHAPE = ("size", "dim", "heads")
SETTING = ("device", *SHAPE, "mode")  # where these differ from a claim's, a run cannot test it


@dataclass(frozen=True, slots=True)
class Group:
    """Records that may be compared with each other in one metric, by label.

    `noise_floor` is how far from 1 the ratio of two identical layers may lie, `scatters` how far each is from
    session to session. Those that are `impossible` took less time than their work needs.
    """

    records: Mapping[str, Record]
    noise_floor: float = 0.0
    scatters: Mapping[str, Scatter] = field(default_factory=dict)
    impossible: Collection[str] = ()
    _compared: dict[tuple[Metric, str, str], Comparison | None] = field(default_factory=dict, repr=False)

    def comparison(self, ours: Record, other: Record, metric: Metric) -> Comparison | None:
        """How many times the other's number ours is, worked out once for all claims that ask."""
        asked = metric, ours.case.label, other.case.label
        if asked not in self._compared:
            self._compared[asked] = _comparison(ours, other, metric, self.scatters)
        return self._compared[asked]

    @property
    def example(self) -> Record:
        """One of them, for what all share."""
        return next(iter(self.records.values()))


@dataclass(frozen=True, slots=True)
class Difference:
    """What was measured in another way than a claim is about."""

    field: str
    ours: str
    claimed: str

    def __str__(self) -> str:
        return f"{self.field} {self.ours}, not {self.claimed}"


@dataclass(frozen=True, slots=True)
class Evidence:
    """What was measured of a claim.

    `comparisons` have the mechanism's number over that of each other one; `count` is what a published count
    is compared with. `lacking` says what was not measured and why, `doubt` why a number is not certain.
    """

    claim: Claim
    comparisons: Mapping[str, Comparison] = field(default_factory=dict)
    count: int | None = None
    lacking: str = ""
    doubt: str = ""
    noise_floor: float = 0.0
    differences: tuple[Difference, ...] = ()
    variant: Variant | None = None
    titles: Mapping[str, str] = field(default_factory=dict)

    def called(self, labels: Sequence[str]) -> str:
        """The first of these layers by their titles, and how many others there are."""
        return listed([self.titles.get(label, label) for label in labels])


def groups(records: Sequence[Record], metric: Metric) -> list[Group]:
    """The records of a run that may be compared in a metric.

    Times may within a block and variant, memory within one setting, and counts within a shape.
    """
    in_blocks = blocks(records) if metric is Metric.speed else {}
    names = SHAPE if metric.is_count else (*SETTING, "batch", *AXES)
    comparable = grouped(
        _current(records),
        lambda record: (
            record.block if in_blocks else None,
            record.machine_kind if metric is Metric.memory else None,
            *map(_ours(record).get, names),
        ),
    )
    return [_group(_by_label(together, metric), in_blocks.get(together[0].block)) for together in comparable]


def _group(records: Mapping[str, Record], block: Block | None) -> Group:
    """The records, with what their block tells of its noise, where times are compared."""
    if block is None:
        return Group(records)
    scatters = {label: scatter for label, record in records.items() if (scatter := block.scatter_of(record))}
    impossible = {label for label, record in records.items() if block.is_impossible(record)}
    return Group(records, block.noise_floor or 0.0, scatters, impossible)


def as_labelled(claims: Iterable[Claim], records: Sequence[Record]) -> list[Claim]:
    """The claims with the labels of a run for what they name in other words."""
    known = {record.case.label: record.case for record in _current(records)}.values()
    return [_labelled(claim, known) for claim in claims]


def evidence(claim: Claim, candidates: Sequence[Group]) -> Evidence:
    """What the groups of a claim's metric say about it.

    Of those that have its shape, device and mode, that one is asked whose variant is nearest to the claim's,
    then that which has most of its mechanisms.
    """
    fitting = [group for group in candidates if not _differences(claim, group.example, _setting(claim))]
    if not fitting:
        return Evidence(claim, lacking=_why_nothing_fits(claim, candidates))
    group = max(fitting, key=lambda each: _nearness(claim, each))
    known, titles = _known(claim, group), _titles(claim, group)
    if claim.mechanism not in known:
        unknown = [label for label in claim.labels if label not in known]
        return Evidence(claim, lacking=_why_lacking(unknown, claim, group, fitting))
    ours = known[claim.mechanism]
    comparisons = {
        label: comparison
        for label in claim.than
        if label in known and (comparison := group.comparison(ours, known[label], claim.metric))
    }
    return Evidence(
        claim=claim,
        comparisons=comparisons,
        count=_number(ours, claim.metric) if claim.millions is not None else None,
        lacking=_why_lacking(
            [label for label in claim.than if label not in comparisons], claim, group, fitting
        ),
        doubt=_doubt(known, claim.metric, group.impossible, titles),
        noise_floor=group.noise_floor,
        differences=_differences(claim, ours, _way(claim)),
        variant=None if claim.metric.is_count else ours.case.variant,
        titles=titles,
    )


def _current(records: Iterable[Record]) -> list[Record]:
    """The last record of each case, and what cases were compared with in their blocks."""
    records = list(records)
    return [*(record for record in records if record.case.role is Role.control), *latest(records).values()]


def _labelled(claim: Claim, known: Iterable[Case]) -> Claim:
    """A claim of labels, in which no mechanism is compared with itself."""
    mechanism, *others = (name if name in published() else find(name, known) or name for name in claim.labels)
    than = tuple(label for label in dict.fromkeys(others) if label != mechanism)
    if claim.than and not than:
        raise AttnbenchError(f"Claim {claim.id!r}: than names {mechanism} itself; it must name others.")
    return replace(claim, mechanism=mechanism, than=than)


def _by_label(records: Iterable[Record], metric: Metric) -> dict[str, Record]:
    """One record of each label, where there is one with a number that one."""
    return {record.case.label: record for record in sorted(records, key=lambda each: _is_known(each, metric))}


def _known(claim: Claim, group: Group) -> dict[str, Record]:
    """The records of a claim's mechanisms that have a number in a group."""
    present = {label: group.records[label] for label in claim.labels if label in group.records}
    return {label: record for label, record in present.items() if _is_known(record, claim.metric)}


def _is_known(record: Record, metric: Metric) -> bool:
    if not metric.is_count and record.outcome != "measured":
        return False
    return bool(record.samples if metric is Metric.speed else _number(record, metric))


def _number(record: Record, metric: Metric) -> int:
    """What the record holds of a metric other than speed; 0 where that is not known."""
    peak = record.memory.peak_bytes if record.memory else 0
    return {Metric.params: record.params, Metric.flops: record.macs, Metric.memory: peak}[metric] or 0


def _comparison(
    ours: Record, other: Record, metric: Metric, scatters: Mapping[str, Scatter]
) -> Comparison | None:
    """How many times the other's number ours is, of counts and bytes exactly; None without a common round."""
    if metric is Metric.speed:
        return compared(ours, other, both(scatters.get(ours.case.label), scatters.get(other.case.label)))
    ratio = _number(ours, metric) / _number(other, metric)
    return Comparison(Estimate(ratio, ratio, ratio), p_value=0.0, by_session=())


def _doubt(
    records: Mapping[str, Record], metric: Metric, impossible: Collection[str], titles: Mapping[str, str]
) -> str:
    """Why a number is not certain."""
    open_ones = [
        titles[label] for label, record in records.items() if metric is Metric.flops and record.uncounted
    ]
    if open_ones:
        return f"a lower bound of FLOPs: {listed(open_ones)}"
    too_fast = [titles[label] for label in records if label in impossible]
    return f"faster than this machine allows: {listed(too_fast)}" if too_fast else ""


def _titles(claim: Claim, group: Group) -> dict[str, str]:
    """What tables call the layers of a claim, as far as anyone knows them."""
    theirs = {label: row.title for label, row in published().items() if label in claim.labels}
    return theirs | {label: record.case.title for label, record in group.records.items()}


def _setting(claim: Claim) -> tuple[str, ...]:
    return SHAPE if claim.metric.is_count else SETTING


def _way(claim: Claim) -> tuple[str, ...]:
    return () if claim.metric.is_count else ("batch", *AXES, "machine", "torch")


def _nearness(claim: Claim, group: Group) -> tuple[int, bool, int, int]:
    """How near a group is to a claim: by variant, in doubt float32, by its mechanisms, by the rest."""
    variant = () if claim.metric.is_count else AXES
    apart = [len(_differences(claim, group.example, names)) for names in (variant, _way(claim))]
    is_plain = group.example.case.variant.dtype == PLAIN.dtype
    return -apart[0], is_plain, len(_known(claim, group)), -apart[1]


def _differences(claim: Claim, record: Record, names: Iterable[str]) -> tuple[Difference, ...]:
    """Which of these fields are other than the claim's, where that says what they are."""
    ours, claimed = _ours(record), _claimed(claim)
    return tuple(
        Difference(name, str(ours[name]), str(claimed[name]))
        for name in names
        if claimed[name] is not None and ours[name] != claimed[name]
    )


def _ours(record: Record) -> dict[str, object]:
    return {
        **to_row(record.case),
        **asdict(record.case.variant),
        "size": record.case.workload.geometry.size,
        "machine": record.conditions.machine.processor(record.case.device),
        "torch": record.conditions.machine.torch.partition("+")[0],
    }


def _claimed(claim: Claim) -> dict[str, object]:
    return {
        **asdict(claim.conditions),
        **asdict(claim.conditions.variant),
        "device": claim.device,
        "machine": claim.conditions.machine(claim.device),
    }


def _why_nothing_fits(claim: Claim, candidates: Sequence[Group]) -> str:
    """What keeps the nearest group from testing a claim."""
    on_device = [group for group in candidates if claim.device in (None, group.example.case.device)]
    if not on_device:
        return (
            f"nothing was measured on a {device_of(claim.device).title}"
            if claim.device
            else "nothing was measured"
        )
    nearest = min((_differences(claim, group.example, _setting(claim)) for group in on_device), key=len)
    return f"measured with {', '.join(map(str, nearest))}"


def _why_lacking(labels: Iterable[str], claim: Claim, group: Group, fitting: Sequence[Group]) -> str:
    """Why a group has no number of these labels: each reason with those that it is true of."""
    reasons: dict[str, list[str]] = {}
    for label in labels:
        reasons.setdefault(_why(label, claim.metric, group, fitting), []).append(label)
    titles = _titles(claim, group)
    lines = [
        f"{reason}: {listed([titles.get(label, label) for label in those])}"
        for reason, those in reasons.items()
    ]
    near = _meant(reasons.get(ABSENT, ()), group)
    return "; ".join([*lines, f"did you mean {listed(near)}?"] if near else lines)


def _meant(labels: Iterable[str], group: Group) -> list[str]:
    """The labels of a group that look like these, but for those of Table IV, which are well written."""
    known = [record.case for record in group.records.values()]
    lookalikes = (nearest(label, known) for label in labels if label not in published())
    return list(dict.fromkeys(filter(None, lookalikes)))


def _why(label: str, metric: Metric, group: Group, fitting: Sequence[Group]) -> str:
    record = group.records.get(label)
    if record is None:
        elsewhere = (other.records[label] for other in fitting if label in other.records)
        is_elsewhere = any(_is_known(other, metric) for other in elsewhere)
        return "measured apart" if is_elsewhere else ABSENT
    if record.outcome != "measured":
        return record.outcome
    return "no round in common" if _is_known(record, metric) else f"no {metric} in this run"


def listed(names: Sequence[str]) -> str:
    """The first of the names, and how many others there are."""
    others = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
    return ", ".join(names[:MOST_NAMES]) + others
