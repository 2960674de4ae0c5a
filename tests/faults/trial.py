"""One try: a command with a fault, the same command until it ends well, and what became of its folder."""

import re
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random

from tests.faults.catalogue import LIMITS_KIB, Fault, Scene
from tests.faults.command import Command, Stuck
from tests.faults.comparison import Place, Whole, complete, doubled, left_behind, lost, samples_there, whole

MOST_STARTS = 5  # of the same command again, before it counts as stuck
AT_LEAST_S, SLOWER = 100.0, 10.0  # how long a command may take, and that beside one that is left alone
REMEDY = re.compile(r"Error: (\S+\.jsonl)\b[^\n]* Remove the file")
TRACEBACK = "Traceback (most recent call last)"


@dataclass(frozen=True, slots=True)
class Try:
    """What became of a run with a fault: how often it was started, and what was lost, doubled or left.

    `statuses` are those of its starts, of what was started beside it first; `said` is what was wrong.
    """

    seed: int
    number: int
    fault: str
    moment_s: float
    statuses: str
    resumed: int
    lost: int
    doubled: int
    stuck: int
    left_behind: int
    tracebacks: int
    seconds: float
    said: str

    @property
    def is_bad(self) -> bool:
        """Whether anything is not as in a run that was left alone."""
        return any((self.lost, self.doubled, self.stuck, self.left_behind, self.tracebacks))


def left_alone(place: Path) -> Whole:
    """A run that nothing happens to."""
    command, began = Command(place), time.monotonic()
    if status := command.status(command.start(), AT_LEAST_S):
        raise RuntimeError(f"without a fault, the command ended with status {status}: {command.said[-1]}")
    return whole(command.folder, time.monotonic() - began)


def attempt(number: int, fault: Fault, seed: int, place: Path, expected: Whole, earlier: float = 1.0) -> Try:
    """A command of this number with a fault; its moment and all else that is random follow from the seed.

    Where the command was over before, the fault comes earlier into another one.
    """
    chance, began = Random(f"{seed}/{number}"), time.monotonic()
    moment_s = chance.uniform(0, fault.latest) * earlier * expected.seconds
    command = Command(place)
    scene = Scene(
        command, command.start(_limit(fault, chance)), chance, AT_LEAST_S + SLOWER * expected.seconds
    )
    there: set[Place] = set()
    statuses: list[int] = []
    stuck = ""
    try:
        if not _struck(fault, scene, moment_s):
            command.status(scene.process, scene.longest_s)
            return attempt(number, fault, seed, place / "earlier", expected, earlier / 2)
        statuses += [command.status(each, scene.longest_s) for each in (*scene.beside, scene.process)]
        there = samples_there(command.folder)
        statuses += list(_starts_until_it_ends_well(command, statuses[-1], scene.longest_s))
        stuck = f"status {statuses[-1]} after {MOST_STARTS} more starts" if statuses[-1] else ""
    except Stuck as reason:
        stuck = f"{reason}"
    rows, left = complete(command.folder), left_behind(command, expected)
    command.end()
    tracebacks = sum(words.count(TRACEBACK) for words in command.said)
    return Try(
        seed,
        number,
        fault.name,
        round(moment_s, 2),
        " ".join(map(str, statuses)),
        int(len(statuses) > 1 + len(scene.beside) and not stuck),
        lost(rows, expected, there),
        doubled(rows, expected.outcomes),
        int(bool(stuck)),
        len(left),
        tracebacks,
        round(time.monotonic() - began, 1),
        " ".join([stuck, *left, *(command.said if tracebacks or stuck else ())]).strip(),
    )


def _limit(fault: Fault, chance: Random) -> int | None:
    return chance.randint(*LIMITS_KIB) if fault.limited else None


def _struck(fault: Fault, scene: Scene, moment_s: float) -> bool:
    """Whether the fault came in time; where files are limited, it is there from the start."""
    if fault.limited:
        return True
    try:
        scene.process.wait(moment_s)
    except subprocess.TimeoutExpired:
        return fault.strike(scene)
    return False


def _starts_until_it_ends_well(command: Command, status: int, longest_s: float) -> Iterator[int]:
    """The exit statuses of the same command, again and again, with what it asks for done before."""
    for _ in range(MOST_STARTS):
        if status == 0:
            return
        for shard in REMEDY.findall(command.said[-1]):
            Path(shard).unlink(missing_ok=True)
        command.abandon()
        status = command.status(command.start(), longest_s)
        yield status
