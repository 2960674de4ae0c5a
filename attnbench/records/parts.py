"""The blocks of a run that are measured elsewhere, each in a folder of its own until its rows are collected.

What a block's folder holds says how far it is, whoever asks and whoever was killed meanwhile: `asked.json`
from the beginning; `run/`, a run of its own, while it is measured; `done/` when that is renamed at its end;
and `collected` when its rows are in the records of the whole.
"""

import hashlib
import json
import secrets
import shutil
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from attnbench.cases.case import Case
from attnbench.cases.request import Request
from attnbench.errors import AttnbenchError, reading, writing
from attnbench.file_marks import SPARSE
from attnbench.records import journal, lines, record_file
from attnbench.records.block_state import BlockState
from attnbench.records.codec import from_row, to_row
from attnbench.records.heads import CompleteKeys, heads
from attnbench.records.journal import Fact, Priced
from attnbench.records.readers import Misfit
from attnbench.records.record import Record
from attnbench.records.record_file import RECORDS, append_lines

BLOCKS = "blocks"
PRICED = "priced.jsonl"
SAMPLE = b'{"fact": "Timed"'  # how the line of a sample begins in a shard
BLAMELESS = frozenset(
    {"CANCELLED", "PREEMPTED", "NODE_FAIL", "BOOT_FAIL", "REVOKED", "REQUEUED", "COMPLETED"}
)
"""What ends a job through no fault of what it measured."""
MOST_TRIES = 3  # of a block whose jobs end without a sample more


@dataclass(frozen=True, slots=True)
class End:
    """How a job ended that did not finish its block: the scheduler's word for it, and what more it said."""

    submission: str
    state: str
    reason: str
    samples: int = field(default=0, metadata=SPARSE)


@dataclass(frozen=True, slots=True)
class Part:
    """A block of a run, by its folder."""

    folder: Path

    @property
    def key(self) -> str:
        return self.folder.name

    @property
    def run(self) -> Path:
        """The folder in which it is measured."""
        return self.folder / "run"

    @property
    def done(self) -> Path:
        """What that is called when nothing is left to do."""
        return self.folder / "done"

    @property
    def whole(self) -> Path:
        """The folder of the run that it is a block of."""
        return self.folder.parents[1]

    @property
    def is_collected(self) -> bool:
        return (self.folder / "collected").exists()

    @property
    def is_finished(self) -> bool:
        """Whether all its rows are known, collected or not."""
        return self.is_collected or self.done.is_dir()

    @property
    def has_begun(self) -> bool:
        return self.run.is_dir()

    def looked_at_again(self) -> "Part":
        """The same, of which a file system that others write to has forgotten what it knew."""
        with writing(self.folder), tempfile.TemporaryFile(dir=self.folder):
            return self

    def ask(self, request: Request) -> None:
        """Make the folder of a block that nobody has asked for before."""
        path = self.folder / "asked.json"
        if path.exists():
            return
        with writing(path, goes_on=True):
            self.folder.mkdir(parents=True, exist_ok=True)
            new = path.with_suffix(".new")
            new.write_text(json.dumps(to_row(request)), encoding="utf-8")
            new.replace(path)

    @property
    def request(self) -> Request:
        """What was asked; a damaged file is an `AttnbenchError`."""
        path = self.folder / "asked.json"
        with reading(path):
            text = path.read_text(encoding="utf-8")
        try:
            return from_row(Request, json.loads(text))
        except (Misfit, ValueError) as error:
            raise AttnbenchError(
                f"{path} is damaged: {error}. Remove {self.folder}, and the same command asks for it again."
            ) from None

    def finish(self) -> None:
        """Say that all is measured, in one step."""
        self.run.rename(self.done)

    def plan(self, rows: Iterable[Record]) -> None:
        """Keep what is known of its rows before anything is measured."""
        shutil.rmtree(self.folder / "planned", ignore_errors=True)
        (self.folder / "planned").mkdir()
        record_file.append(self.folder / "planned", rows)

    @property
    def planned(self) -> tuple[Record, ...]:
        """The rows that it will have; none where no job has come so far."""
        there = (self.folder / "planned" / RECORDS).is_file()
        return record_file.read(self.folder / "planned").records if there else ()

    def give_up(self, rows: Iterable[Record]) -> None:
        """Finish it with these rows, which say why."""
        shutil.rmtree(new := self.folder / "given-up", ignore_errors=True)
        new.mkdir()
        record_file.append(new, rows)
        new.rename(self.done)

    def keep_priced(self, facts: Sequence[Fact]) -> None:
        """Keep what was found out of its cases on another machine than the one that measures it."""
        path = self.folder / PRICED
        with writing(path, goes_on=True):
            new = path.with_suffix(f".{secrets.token_hex(4)}")
            journal.save(new, facts)
            new.replace(path)

    @property
    def is_priced(self) -> bool:
        return (self.folder / PRICED).exists()

    @property
    def priced(self) -> list[tuple[Case, Priced]]:
        """What was found out of its cases elsewhere; nothing where nobody was asked."""
        if not self.is_priced:
            return []
        state = BlockState(journal.read(self.folder / PRICED))
        return [(state.job.cases[index], fact) for index, fact in state.priced.items()]

    @property
    def refusal(self) -> str:
        """Why a job would not measure it, which the user can mend; nothing where none refused."""
        path = self.folder / "refused"
        return path.read_text(encoding="utf-8") if path.exists() else ""

    def refuse(self, reason: str) -> None:
        with writing(self.folder, goes_on=True):
            (self.folder / "refused").write_text(reason, encoding="utf-8")

    def begin_again(self) -> None:
        """Forget that it was refused: the reason may be mended."""
        (self.folder / "refused").unlink(missing_ok=True)

    @property
    def samples(self) -> int:
        """How many samples there are of it, collected ones left out."""
        return sum(shard.read_bytes().count(SAMPLE) for shard in self.run.glob("shard-*.jsonl"))

    @property
    def ends(self) -> list[End]:
        """How its jobs ended that did not finish it, in order."""
        path = self.folder / "ends.jsonl"
        if not path.exists():
            return []
        whole, _ = lines.split(path.read_bytes(), path)
        return [from_row(End, lines.parse(line)) for line in whole if line.strip()]

    def note(self, end: End) -> None:
        """Keep how a job ended, once."""
        if any(each.submission == end.submission for each in self.ends):
            return
        with writing(self.folder, goes_on=True), (self.folder / "ends.jsonl").open("a") as file:
            file.write(json.dumps(to_row(replace(end, samples=self.samples))) + "\n")

    @property
    def tries(self) -> int:
        """How many jobs ended by fault of what they measured since one of them got further."""
        tries = most = 0
        for end in self.ends:
            if end.samples > most:
                tries, most = 0, end.samples
            elif end.state not in BLAMELESS:
                tries += 1
        return tries


def part_of(run: Path, request: Request) -> Part:
    """Where a block of the run in a folder is measured."""
    told = json.dumps(to_row(request), sort_keys=True)
    return Part(run / BLOCKS / hashlib.sha256(told.encode()).hexdigest()[:12])


def parts(run: Path) -> list[Part]:
    """All blocks of a run that were asked for elsewhere."""
    return [Part(path.parent) for path in sorted((run / BLOCKS).glob("*/asked.json"))]


def forget(run: Path) -> None:
    """Drop what there is of all blocks; rows that are collected stay in the records."""
    shutil.rmtree(run / BLOCKS, ignore_errors=True)


def collect(run: Path, those: Sequence[Part]) -> int:
    """Append the rows of blocks that are finished to the records of their run, which is held; how many."""
    ready = [part for part in those if part.done.is_dir() and not part.is_collected]
    if not ready:
        return 0
    there = CompleteKeys(run).read_on()
    finished = (head for part in ready for head in heads(part.done) if head.complete)
    new = [head.line for head in finished if (head.block, head.key) not in there]
    append_lines(run, new)
    for part in ready:
        with writing(part.folder, goes_on=True):
            (part.folder / "collected").touch()
        for path in (part.done, part.run, part.folder / "planned"):
            shutil.rmtree(path, ignore_errors=True)
        (part.folder / PRICED).unlink(missing_ok=True)
    return len(new)
