"""What figures say of the run that they are from: in the names of their files, and at their feet."""

from collections.abc import Collection, Iterable, Sequence

from attnbench.records.record import Record
from attnbench.report.caption import sentence

MISFIT = "× = out of memory, at the predicted need or at the axis' edge."


def suffix(record: Record, among: Iterable[Record], without: Collection[str] = ()) -> str:
    """The end of a figure's name, from what differs `among` the run's records: `-14x14-batch4-training`."""
    mine, others = _words(record), [_words(other) for other in among]
    telling = [
        word
        for name, word in mine.items()
        if word and name not in without and any(other[name] != word for other in others)
    ]
    return "".join(f"-{word}" for word in telling)


def note(
    records: Sequence[Record],
    *,
    size: bool = True,
    variant: bool = True,
    mode: bool = True,
    crosses: bool = True,
) -> str:
    """The setting that records share, but for what is left out, their machines, and what a cross is."""
    setting = setting_words(records[0], size=size, variant=variant, mode=mode)
    says = f"{sentence(setting)} {machines(records)}"
    misfits = crosses and any(record.outcome == "out_of_memory" for record in records)
    return f"{says} {MISFIT}" if misfits else says


def setting_words(record: Record, *, size: bool = True, variant: bool = True, mode: bool = True) -> str:
    """How a record was measured: `14×14 tokens, dim 768, 12 heads, batch 64, float32, explicit kernel`."""
    words = [
        record.case.workload.map_words * size,
        record.case.workload.geometry.layer_words,
        f"batch {record.case.workload.batch}",
        record.case.variant.title * variant,
        record.case.workload.mode * mode,
    ]
    return ", ".join(filter(None, words))


def machines(records: Iterable[Record]) -> str:
    """A sentence for each machine."""
    descriptions = dict.fromkeys(
        each.conditions.machine.describe(each.case.device, each.conditions.threads) for each in records
    )
    return " ".join(f"{description}." for description in descriptions)


def _words(record: Record) -> dict[str, str]:
    return {
        "device": record.case.device,
        "machine": f"machine-{record.machine_kind}",
        "size": record.case.workload.geometry.size,
        "batch": f"batch{record.case.workload.batch}",
        "dim": f"dim{record.case.workload.geometry.dim}",
        "heads": f"heads{record.case.workload.geometry.heads}",
        "threads": f"threads{record.conditions.threads}",
        **record.case.variant.slugs,
        "mode": "training" if record.case.workload.mode == "training" else "",
    }
