"""How far the blocks of a run are, by their files and by Slurm; and what follows from it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

from attnbench.cluster import slurm
from attnbench.cluster.slurm import JobState, NoAnswer
from attnbench.cluster.submission import COUNTING, MEASURING, Submission, end_of, states, submissions
from attnbench.errors import AttnbenchError
from attnbench.records import folder
from attnbench.records.heads import heads
from attnbench.records.parts import MOST_TRIES, End, Part, collect, parts
from attnbench.records.record import Record
from attnbench.records.record_file import RECORDS
from attnbench.run.block_records import give_up
from attnbench.words import plural

PATIENCE_S = 60.0  # for another command that submits or collects
OUTCOMES = {"OUT_OF_MEMORY": "out_of_memory", "TIMEOUT": "timed_out", "DEADLINE": "timed_out"}


class Phase(StrEnum):
    """How far a block is."""

    new = "not submitted"
    waiting = "waiting"
    running = "running"
    done = "done"
    refused = "refused"
    lost = "ended early"


@dataclass(frozen=True, slots=True)
class Standing:
    """A block, how far it is, and what Slurm says of its newest job, the `index`th of a submission."""

    part: Part
    phase: Phase
    submission: Submission | None = None
    index: int = 0
    state: JobState | None = None


def standings(run: Path, parts: Sequence[Part]) -> list[Standing]:
    """How far each block is; `NoAnswer` where Slurm does not say and files alone do not tell."""
    made = submissions(run)
    newest = {key: (one, index) for one in made for index, key in enumerate(one.parts)}
    told = states(made) if any(not part.is_finished for part in parts) else {}
    return [_standing(part, newest.get(part.key), told.get(part.key)) for part in parts]


def _standing(
    part: Part,
    newest: tuple[Submission, int] | None,
    told: tuple[Submission, int, JobState] | None,
) -> Standing:
    """Slurm was asked before the files are looked at: what a job has left is there when it has ended."""
    if part.is_finished:
        return Standing(part, Phase.done)
    if told and not told[2].is_final:
        return Standing(part, Phase.running if told[2].is_running else Phase.waiting, *told)
    if newest is None:
        return Standing(part, Phase.new)
    if part.looked_at_again().is_finished:
        return Standing(part, Phase.done)
    if part.refusal:
        return Standing(part, Phase.refused, *newest)
    return Standing(part, Phase.lost, *newest)


def settle(run: Path, those: Iterable[Standing]) -> list[Standing]:
    """Note how jobs ended, give up what was tried too often, and collect what is finished.

    The run is held. Returns the same blocks as they are then.
    """
    found = [_noted(run, each) for each in those]
    collect(run, [each.part for each in found if each.phase is Phase.done])
    return found


def _noted(run: Path, standing: Standing) -> Standing:
    if standing.phase is not Phase.lost or standing.submission is None:
        return standing
    part = standing.part
    part.note(end_of(run, standing.submission, standing.index))
    if part.tries < MOST_TRIES or not (rows := _rows_without(part, part.ends[-1])):
        return standing
    part.give_up(rows)
    return replace(standing, phase=Phase.done)


def _rows_without(part: Part, end: End) -> list[Record]:
    """The rows of a block that no job could finish, with Slurm's reason; none where no job came so far."""
    outcome = OUTCOMES.get(end.state, "crashed")
    reason = f"{plural(part.tries, 'job')} of Slurm's ended before it was measured: {in_words(end)}"
    shards = sorted(part.run.glob("shard-*.jsonl"))
    if shards:
        return [row for shard in shards for row in give_up(shard, outcome, reason)]
    return [replace(row, outcome=outcome, reason=reason, complete=True) for row in part.planned]


def in_words(end: End) -> str:
    """How a job ended, as a sentence has it: `TIMEOUT, time limit 00:01:00`."""
    return ", ".join(filter(None, [end.state, end.reason]))


def collected(run: Path) -> tuple[int, list[Standing]]:
    """Collect what is finished of the run in a folder: how many rows, and how far each block is.

    A run that no cluster measures is an `AttnbenchError`.
    """
    those = parts(run)
    if not those:
        raise AttnbenchError(
            f"The run in {run} has no blocks on a cluster; `attnbench run --on` makes such a run."
        )
    with folder.held(run, patience_s=PATIENCE_S):
        before = (run / RECORDS).stat().st_size
        try:
            found = settle(run, standings(run, those))
        except NoAnswer:
            found = by_files(those)
            collect(run, those)
        if all(part.is_collected for part in those):
            folder.forget_plan(run)
        return sum(1 for _ in heads(run, since=before)), found


def by_files(those: Sequence[Part]) -> list[Standing]:
    """How far blocks are as far as their files tell, where Slurm does not say."""
    return [
        Standing(part, Phase.done if part.is_finished else Phase.running if part.has_begun else Phase.waiting)
        for part in those
    ]


def cancel(run: Path) -> None:
    """End all jobs of a run that wait or run; an `AttnbenchError` where Slurm does not say that it did."""
    try:
        slurm.cancel(one.name for kind in (COUNTING, MEASURING) for one in submissions(run, kind))
    except NoAnswer as error:
        raise AttnbenchError(
            f"Slurm does not answer: {error}. The jobs of {run} may go on; try again when it does."
        ) from error
