"""Runs of many machines: what reading and showing them takes grows no faster than their rows."""

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import FrameType

import pytest

import attnbench
from attnbench.analysis.analysis import Analysis, analysis_of
from attnbench.analysis.selection import Selection
from attnbench.records.parts import BLOCKS, collect, parts
from attnbench.records.record import Record
from attnbench.records.record_file import RECORDS, append, read
from attnbench.report.export import table_csv
from attnbench.report.formats.json_object import json_object
from attnbench.report.formats.long_csv import long_csv
from attnbench.report.notes import disturbances, notes
from attnbench.report.objects import run_json
from tests.fakes import MACHINE, block, changed

FEW = 60
LINEAR = 2.1  # of twice the rows
OURS = str(Path(attnbench.__file__).parent)


def of_machines(count: int) -> list[list[Record]]:
    """A block of each of so many machines, of a batch of its own."""
    return [
        block(
            {"msa": [0.4, 0.4]},
            block=f"b{number}",
            batch=number + 1,
            machine=replace(MACHINE, cpu=f"Abacus {number}"),
        )
        for number in range(count)
    ]


def opened(folder: Path, count: int) -> Analysis:
    """The run of so many machines, as a command opens it."""
    folder.mkdir()
    append(folder, [row for rows in of_machines(count) for row in rows])
    return analysis_of(read(folder))


def calls_of(work: Callable[[], object]) -> int:
    """How many functions of attnbench are called, and methods that are made for its classes."""
    calls = 0

    def count(frame: FrameType, event: str, _: object) -> None:
        nonlocal calls
        code = frame.f_code.co_filename
        calls += event == "call" and (code.startswith(OURS) or code == "<string>")

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        work()
    finally:
        sys.setprofile(before)
    return calls


@pytest.mark.parametrize(
    "show",
    [
        lambda run: read(run.file.folder),
        lambda run: analysis_of(run.file),
        lambda run: run_json(run),
        lambda run: json_object([run]),
        lambda run: long_csv([run]),
        lambda run: table_csv(Selection(("msa",)).of(run).rows),
        lambda run: [*notes(run.rows), *disturbances(run.rows)],
    ],
    ids=["read", "analysis", "compare json", "report json", "report csv", "compare only", "notes"],
)
def test_twice_the_machines_are_twice_the_work(show: Callable[[Analysis], object], tmp_path: Path):
    few, many = opened(tmp_path / "few", FEW), opened(tmp_path / "many", 2 * FEW)
    assert calls_of(lambda: show(many)) <= LINEAR * calls_of(lambda: show(few))


def test_twice_the_blocks_are_twice_the_work_to_collect(tmp_path: Path):
    few, many = finished(tmp_path / "few", FEW), finished(tmp_path / "many", 2 * FEW)
    assert calls_of(lambda: collect(many, parts(many))) <= LINEAR * calls_of(lambda: collect(few, parts(few)))
    assert len(read(few).records) == 2 * FEW


def finished(run: Path, count: int) -> Path:
    """A run of which so many blocks were measured elsewhere."""
    for number, rows in enumerate(of_machines(count)):
        done = run / BLOCKS / f"{number:03}" / "done"
        done.mkdir(parents=True)
        (done.parent / "asked.json").touch()
        append(done, [changed(row, key=f"k{number}{index}") for index, row in enumerate(rows)])
    (run / RECORDS).touch()
    return run
