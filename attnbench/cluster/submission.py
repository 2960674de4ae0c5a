"""Jobs for the blocks that are left: one array at a time, whose file is there before Slurm hears of it.

A job's name says which submission it belongs to, so that one whose number nobody could write down, because
its submitter was killed, is found all the same and not submitted again.
"""

import json
import re
import secrets
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from attnbench.cluster import slurm
from attnbench.cluster.site import Site
from attnbench.cluster.slurm import JobState
from attnbench.errors import writing
from attnbench.file_marks import SPARSE
from attnbench.records.codec import from_row, to_row
from attnbench.records.parts import BLOCKS, End, Part

MOST_MEMBERS = 1000  # of an array, where a site has not changed MaxArraySize
NAME = "attnbench-"  # how the names of jobs begin
LOGS = "logs"
SLURMS_OWN = re.compile(r"(slurmstepd\S*|srun): ")  # how lines of a job's log begin that are not its own
MEASURING, COUNTING = "submitted", "counting"  # how the names of their files begin
ANYWHERE = ("account", "qos", "reservation", "time")  # what a site says that holds for counting too


@dataclass(frozen=True, slots=True)
class Submission:
    """One array of jobs: a block each, in the order of their indices. `job` is Slurm's number for it.

    One that `counts` measures nothing: it finds out what needs no quiet and no machine of its own.
    """

    token: str
    parts: tuple[str, ...]
    shared: bool = False
    same_machine: bool = field(default=False, metadata=SPARSE)
    counts: bool = field(default=False, metadata=SPARSE)
    job: str = field(default="", metadata=SPARSE)

    @property
    def name(self) -> str:
        return f"{NAME}{self.token}"


def submissions(run: Path, kind: str = MEASURING) -> list[Submission]:
    """All that was submitted for the run in a folder, in order: to measure, or to count."""
    paths = sorted((run / BLOCKS).glob(f"{kind}-*.json"))
    return [from_row(Submission, json.loads(path.read_text(encoding="utf-8"))) for path in paths]


def submit(
    run: Path, parts: Sequence[Part], site: Site, *, threads: int | None, at_most: int | None
) -> list[Submission]:
    """Submit a job for each of these blocks, of which so many run at once.

    Where a site has a partition for counting, jobs there come before.
    """
    made: list[Submission] = []
    counts = _submit_counts(run, parts, site) if site.counts else []
    for start in range(0, len(parts), MOST_MEMBERS):
        keys = tuple(part.key for part in parts[start : start + MOST_MEMBERS])
        number = len(submissions(run)) + 1
        new = Submission(f"{number:04}{secrets.token_hex(4)}", keys, site.shared, site.same_machine)
        before = [*counts, *(made[-1:] if at_most else [])]
        after = [f"--dependency=afterany:{':'.join(one.job for one in before)}"] if before else []
        made.append(_submitted(run, new, site, [*_options(run, new, site, threads, at_most), *after]))
    return made


def _submit_counts(run: Path, parts: Sequence[Part], site: Site) -> list[Submission]:
    """Submit a job of one core for each block whose size is known, and which nobody has counted."""
    left = [part.key for part in parts if not (part.is_priced or part.request.is_open)]
    made: list[Submission] = []
    for start in range(0, len(left), MOST_MEMBERS):
        number = len(submissions(run, COUNTING)) + 1
        keys = tuple(left[start : start + MOST_MEMBERS])
        new = Submission(f"{number:04}{secrets.token_hex(4)}", keys, counts=True)
        theirs = {name: value for name, value in site.options.items() if name in ANYWHERE}
        options = {**_every_jobs(run, new, None), "partition": site.counts, **theirs}
        made.append(_submitted(run, new, site, ["--requeue", *_as_words(options)]))
    return made


def _submitted(run: Path, new: Submission, site: Site, options: Sequence[str]) -> Submission:
    """The same with Slurm's number; what Slurm refuses leaves nothing behind."""
    path = _save(run, new)
    (run / BLOCKS / LOGS).mkdir(exist_ok=True)
    try:
        found = replace(new, job=slurm.submit(_script(path, site), options))
    except BaseException:
        path.unlink()
        raise
    _save(run, found)
    return found


def states(those: Iterable[Submission]) -> dict[str, tuple[Submission, int, JobState]]:
    """How Slurm says that the newest job of each block is, by the block's key."""
    each = list(those)
    known = slurm.members([one.name for one in each])
    found: dict[str, tuple[Submission, int, JobState]] = {}
    for one in each:
        for index, key in enumerate(one.parts):
            if told := known.get((one.name, index)):
                found[key] = one, index, told
    return found


def end_of(run: Path, one: Submission, index: int) -> End:
    """How a job ended that Slurm no longer waits for, and what it said last."""
    told = slurm.ended(one.job, index) if one.job else JobState(slurm.FORGOTTEN)
    log = run / BLOCKS / LOGS / f"{one.token}-{index}.txt"
    said = log.read_text(encoding="utf-8", errors="replace").strip().splitlines() if log.exists() else []
    last = [line for line in said if not SLURMS_OWN.match(line)][-1:]
    return End(one.token, told.state, ": ".join(filter(None, [told.reason, *last])))


def _options(run: Path, new: Submission, site: Site, threads: int | None, at_most: int | None) -> list[str]:
    """What sbatch is told; what a site says comes last, and wins."""
    usual = {} if site.shared else {"mem": "0"}
    if site.shared and threads:
        usual["cpus-per-task"] = str(threads)
    flags = ["--requeue", *([] if site.shared else ["--exclusive"])]
    return [*flags, *_as_words(_every_jobs(run, new, at_most) | usual | dict(site.options))]


def _every_jobs(run: Path, new: Submission, at_most: int | None) -> dict[str, str]:
    return {
        "job-name": new.name,
        "array": f"0-{len(new.parts) - 1}{f'%{at_most}' if at_most else ''}",
        "output": str((run / BLOCKS / LOGS).resolve() / f"{new.token}-%a.txt"),
        "nodes": "1",
        "ntasks": "1",
        "open-mode": "append",
    }


def _as_words(options: Mapping[str, str]) -> list[str]:
    return [f"--{name}={value}" for name, value in options.items()]


def _script(path: Path, site: Site) -> str:
    command = [site.python, "-P", "-m", "attnbench.cluster.job", str(path.resolve())]
    return "\n".join(["#!/bin/sh", *site.setup, f'exec {shlex.join(command)} "$SLURM_ARRAY_TASK_ID"', ""])


def _save(run: Path, one: Submission) -> Path:
    path = run / BLOCKS / f"{COUNTING if one.counts else MEASURING}-{one.token}.json"
    with writing(path, goes_on=True):
        new = path.with_suffix(".new")
        new.write_text(json.dumps(to_row(one)), encoding="utf-8")
        new.replace(path)
    return path
