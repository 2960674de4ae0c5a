"""Runs of many machines: reading and showing them takes little, and grows no faster than their rows."""

import sys
import tracemalloc
from collections import deque
from collections.abc import Callable, Iterator
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
from attnbench.report.formats.json_object import json_object, json_object_pieces
from attnbench.report.formats.long_csv import long_csv, long_csv_pieces
from attnbench.report.notes import disturbances, notes
from attnbench.report.objects import run_json, run_json_pieces
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


def on_one_machine(folder: Path, rows: int) -> Analysis:
    """The run of so many rows of twelve samples, each in a block of its own."""
    folder.mkdir()
    blocks = (
        block({"msa": [0.4 + number * 1e-6] * 12}, block=f"b{number}", batch=number + 1)
        for number in range(rows)
    )
    append(folder, [row for each in blocks for row in each])
    return analysis_of(read(folder))


def bytes_of(work: Callable[[], object]) -> tuple[int, int]:
    """What is left of the memory that some work takes while its result is there, and the most of it."""
    tracemalloc.start()
    try:
        result = work()
        left, most = tracemalloc.get_traced_memory()
        del result
    finally:
        tracemalloc.stop()
    return left, most


def test_a_row_of_twelve_samples_is_read_into_less_than_its_line(tmp_path: Path):
    run = on_one_machine(tmp_path / "run", FEW)
    left, _ = bytes_of(lambda: read(run.file.folder))
    assert left < 0.6 * (run.file.folder / RECORDS).stat().st_size


@pytest.mark.parametrize(
    "pieces",
    [
        lambda run: long_csv_pieces([run]),
        lambda run: json_object_pieces([run]),
        lambda run: run_json_pieces(run),
    ],
    ids=["report csv", "report json", "compare json"],
)
def test_a_long_answer_is_nowhere_whole_in_memory(
    pieces: Callable[[Analysis], Iterator[str]], tmp_path: Path
):
    run = on_one_machine(tmp_path / "run", 5 * FEW)
    length = sum(map(len, pieces(run)))
    _, most = bytes_of(lambda: deque(pieces(run), maxlen=0))
    assert most < 0.5 * length
