"""What runs there are in a folder: when and on which machine, in which setting, and how complete."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from attnbench.analysis.block import has_time
from attnbench.analysis.rows import latest
from attnbench.errors import AttnbenchError
from attnbench.records.folder import is_unfinished
from attnbench.records.parts import parts
from attnbench.records.record import Record
from attnbench.records.record_file import RECORDS, read


@dataclass(frozen=True, slots=True)
class Overview:
    """One folder of results; where it cannot be read, `problem` says why and nothing else is known.

    `blocks` are those that jobs on a cluster were asked for.
    """

    folder: Path
    started_at: str = ""
    machines: tuple[str, ...] = ()
    setting: str = ""
    rows: int = 0
    measured: int = 0
    complete: bool = False
    blocks: int = 0
    blocks_done: int = 0
    problem: str = ""

    def line(self) -> dict[str, object]:
        """The same under names for programs."""
        return {
            "folder": str(self.folder),
            "started_at": self.started_at,
            "machines": "; ".join(self.machines),
            "setting": self.setting,
            "rows": self.rows,
            "measured": self.measured,
            "complete": self.complete,
            "blocks": self.blocks,
            "blocks_done": self.blocks_done,
            "problem": self.problem or None,
        }


def overview(results: Path) -> list[Overview]:
    """The runs in a folder, the one that was begun last first; those that cannot be read at the end.

    A folder without any is an `AttnbenchError`.
    """
    folders = sorted(path.parent for path in results.glob(f"*/{RECORDS}"))
    if not folders and (results / RECORDS).is_file():
        raise AttnbenchError(
            f"{results} is a run itself; `attnbench compare {results}` shows it, and `attnbench runs "
            f"{results.parent}` those beside it."
        )
    if not folders:
        raise AttnbenchError(f"There is no run in {results}. `attnbench run` makes one, or name its folder.")
    return sorted(map(_overview, folders), key=lambda each: each.started_at, reverse=True)


def _overview(folder: Path) -> Overview:
    try:
        records = read(folder).records
    except AttnbenchError as error:
        return Overview(folder, problem=str(error))
    elsewhere = parts(folder)
    members = latest(records).values()
    machines = dict.fromkeys(
        each.conditions.machine.describe(each.case.device, each.conditions.threads) for each in members
    )
    return Overview(
        folder,
        started_at=min((each.conditions.started_at for each in records), default=""),
        machines=tuple(machines),
        setting=_setting(list(members)),
        rows=len(members),
        measured=sum(map(has_time, members)),
        complete=bool(members) and not is_unfinished(folder),
        blocks=len(elsewhere),
        blocks_done=sum(part.is_finished for part in elsewhere),
    )


def _setting(records: Sequence[Record]) -> str:
    """What differs and what does not, in few words: `cpu, 7x7 to 56x56, batch 1, inference, 2 variants`."""
    cases = [each.case for each in records]
    variants = {each.variant for each in cases}
    batches = sorted({each.workload.batch for each in cases})
    words = [
        _listed(each.device for each in cases),
        _listed(each.workload.geometry.size for each in cases),
        f"batch {_listed(map(str, batches))}" if batches else "",
        _listed(each.workload.mode.value for each in cases),
        f"{len(variants)} variants" if len(variants) > 1 else "",
    ]
    return ", ".join(filter(None, words))


def _listed(texts: Iterable[str]) -> str:
    """A few texts, or the first and the last of many."""
    each = list(dict.fromkeys(texts))
    return f"{each[0]} … {each[-1]}" if len(each) > 3 else " ".join(each)
