"""Put faults into runs, one each, and see that nothing is lost.

python -m tests.faults --times 100 --out faults
"""

import platform
import tempfile
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from random import Random
from typing import Annotated

import typer

from tests.faults.catalogue import FAULTS, Fault
from tests.faults.command import ARGUMENTS
from tests.faults.table import append, read, table
from tests.faults.trial import Try, attempt, left_alone

TABLE, TRIES = "faults.txt", "tries.csv"


def main(
    times: Annotated[int, typer.Option(min=1, help="How many runs get a fault.")] = 100,
    seed: Annotated[int, typer.Option(help="Fixes which faults come, in which order and when.")] = 0,
    out: Annotated[Path | None, typer.Option(help="A folder for the table and a line a try.")] = None,
    only: Annotated[str, typer.Option(help="Take the faults with this word in their name alone.")] = "",
) -> None:
    """Put a fault into runs of three tiny layers: kills, signals, full disks, damaged and missing files.

    Each run gets one, at a random moment; then the same command is started again until it ends well, and its
    folder is compared with that of a run that was left alone. Exit status 1 where anything was lost, doubled,
    stuck or left behind. What is in the folder of --out already is gone on with.
    """
    faults = [fault for fault in FAULTS if only in fault.name]
    if not faults:
        raise typer.BadParameter(f"no fault has {only!r} in its name", param_hint="--only")
    if out:
        out.mkdir(parents=True, exist_ok=True)
    tries = read(out / TRIES) if out else []
    if {trial.seed for trial in tries} - {seed}:
        raise typer.BadParameter(f"{out} has tries of another seed; name another folder", param_hint="--out")
    for trial in more_tries(faults, seed, range(len(tries), times)):
        tries.append(trial)
        print(_told(trial), flush=True)
        if out:
            append(out / TRIES, trial)
    text = f"{table(tries, [fault.name for fault in faults])}\n\n{_conditions(tries, seed)}\n"
    print(f"\n{text}", end="")
    if out:
        (out / TABLE).write_text(text, encoding="utf-8")
    raise typer.Exit(int(any(each.is_bad for each in tries)))


def more_tries(faults: list[Fault], seed: int, numbers: Sequence[int]) -> Iterator[Try]:
    """The tries of these numbers, one after the other, each beside a run that is left alone."""
    if not numbers:
        return
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        expected = left_alone(place / "alone")
        print(f"A run that is left alone has {len(expected.outcomes)} rows after {expected.seconds:.1f} s.")
        for number in numbers:
            yield attempt(number, chosen(faults, seed, number), seed, place / f"{number}", expected)


def chosen(faults: list[Fault], seed: int, number: int) -> Fault:
    """The fault of a number: all come in turn, each time in another order."""
    turn, place = divmod(number, len(faults))
    return Random(f"{seed}/turn {turn}").sample(faults, len(faults))[place]


def _told(trial: Try) -> str:
    verdict = "BAD" if trial.is_bad else "ok"
    return (
        f"{trial.number:4} {verdict:3} {trial.seconds:5.1f} s  {trial.fault}: {trial.statuses} {trial.said}"
    )


def _conditions(tries: list[Try], seed: int) -> str:
    versions = (
        f"attnbench {version('attnbench')}, torch {version('torch')}, Python {platform.python_version()}"
    )
    minutes = sum(each.seconds for each in tries) / 60
    return (
        f"{len(tries)} runs of `attnbench {' '.join(ARGUMENTS)}`, each with one fault, seed {seed}; "
        f"{minutes:.0f} minutes; {versions}, {platform.system()}."
    )


if __name__ == "__main__":
    typer.run(main)
