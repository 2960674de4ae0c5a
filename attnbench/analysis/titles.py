"""Titles that readers can tell apart."""

from collections.abc import Sequence
from dataclasses import replace

from attnbench.cases.case import Role
from attnbench.records.record import Record


def told_apart(records: Sequence[Record]) -> Sequence[Record]:
    """The records of a run, in which layers of one title have their labels behind it: `MSA (mine)`."""
    labels: dict[str, set[str]] = {}
    for record in records:
        if record.case.role is Role.member:
            labels.setdefault(record.case.title, set()).add(record.case.label)
    if all(len(those) == 1 for those in labels.values()):
        return records
    return [
        replace(record, case=replace(record.case, title=f"{record.case.title} ({record.case.label})"))
        if len(labels.get(record.case.title, ())) > 1
        else record
        for record in records
    ]
