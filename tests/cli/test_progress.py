"""What `attnbench run` shows while it measures."""

from dataclasses import replace
from pathlib import Path

from rich.console import Console

from attnbench.cases.case import Block
from attnbench.cli.progress import Progress, plan_lines
from attnbench.records.journal import Allocated, Began, Failed
from attnbench.run.plan import Forecast, Planned
from tests.fakes import FakeClock, changed
from tests.shards import CASES, ENVIRONMENT, HILO, PROTOCOL, allocated, counted, timed, warmed

FIRST = Block(CASES)
SECOND = Block(tuple(changed(case, batch=4) for case in CASES))
BLOCKS = [FIRST, SECOND]
PLAN = [Planned(block, ENVIRONMENT, {case.row: (counted(0),) for case in block.cases}) for block in BLOCKS]
RUN = Path("results/run")


def text_of(progress: Progress) -> str:
    console = Console(width=100)
    with console.capture() as capture:
        console.print(progress.render())
    return capture.get()


def line_of(progress: Progress, title: str) -> list[str]:
    """The cells of one mechanism."""
    cells = [[cell for cell in line.split("  ") if cell] for line in text_of(progress).splitlines()]
    return next([cell.strip() for cell in line] for line in cells if line and line[0].strip() == title)


def test_the_plan_says_what_and_how_long():
    assert plan_lines(PLAN, PLAN, PROTOCOL, [Forecast(100, 20), Forecast(80, 1)], RUN) == [
        "cpu 2x2 batch 2: 2 rows, 2 sessions, until ±2 % or 1.7 min of timing: about 20 rounds in 1.7 min",
        "cpu 2x2 batch 4: 2 rows, 2 sessions, until ±2 % or 1.7 min of timing: about 1 round in 80 s",
        "This takes about 3.0 min; Ctrl-C keeps what is measured by then, and the same command goes on.",
    ]


def test_the_plan_says_what_is_there_already():
    one = replace(PLAN[0], block=FIRST.of(FIRST.members[1:]))
    protocol = replace(PROTOCOL, sessions=1, precision=0.005, max_seconds=9)
    assert plan_lines(PLAN, [one], protocol, [Forecast(99, 7)], RUN)[:2] == [
        "Already in results/run: 3 rows of this plan; --fresh measures them again.",
        "cpu 2x2 batch 2: 1 row, 1 session, until ±0.5 % or 9 s of timing: about 7 rounds in 99 s",
    ]


def test_a_plan_without_anything_left_takes_no_time():
    assert plan_lines(PLAN, [], PROTOCOL, [], RUN) == [
        "Already in results/run: 4 rows of this plan; --fresh measures them again.",
    ]


def test_the_plan_names_what_will_not_be_timed_and_why():
    failed = Failed(0, "out_of_memory", "it needs 9 GiB")
    plan = [replace(PLAN[0], found={**PLAN[0].found, HILO.row: (counted(0), failed)})]
    lines = plan_lines(plan, plan, PROTOCOL, [Forecast(9, 3)], RUN)
    assert lines[1] == "  not timed: HILO, out_of_memory: it needs 9 GiB"


def test_each_mechanism_shows_its_estimate_so_far():
    progress = Progress(Console(), BLOCKS, PROTOCOL, [Forecast(60, 9)] * 2, FakeClock())
    progress.watch(1, warmed(0))
    progress.watch(1, Failed(1, "unsupported", "too small"))
    for number, seconds in enumerate((0.5, 0.1, 0.2)):
        progress.watch(1, timed(0, number=number, seconds=seconds))
    progress.watch(1, warmed(2))
    assert line_of(progress, "MSA") == ["MSA", "20", "3"]
    assert line_of(progress, "HILO") == ["HILO", "0", "unsupported"]
    assert line_of(progress, "MSA again") == ["MSA again", "0", "warm"]
    assert "Large matmul" not in text_of(progress)


def test_the_twin_is_explained():
    progress = Progress(Console(), BLOCKS, PROTOCOL, [Forecast(60, 9)] * 2, FakeClock())
    progress.watch(0, warmed(0))
    assert "MSA again: an identical layer; how far its ratio is from 1 is noise" in text_of(progress)


def test_what_a_call_takes_is_shown_where_its_device_keeps_that():
    progress = Progress(Console(), BLOCKS, PROTOCOL, [Forecast(60, 9)] * 2, FakeClock())
    progress.watch(0, allocated(0))
    progress.watch(0, Allocated(1, None))
    assert line_of(progress, "MSA") == ["MSA", "0", "1,000.0 MiB"]
    assert line_of(progress, "HILO") == ["HILO", "0", "called"]


def test_several_samples_of_a_round_are_one_round():
    progress = Progress(Console(), BLOCKS, PROTOCOL, [Forecast(60, 9)] * 2, FakeClock())
    for seconds in (0.5, 0.1, 0.2):
        progress.watch(1, timed(0, number=0, seconds=seconds))
    assert line_of(progress, "MSA") == ["MSA", "20", "1"]


def test_the_session_is_shown_and_its_samples_add_to_those_before():
    progress = Progress(Console(), BLOCKS, PROTOCOL, [Forecast(60, 9)] * 2, FakeClock())
    progress.watch(0, timed(0, session=0))
    assert "cpu 2x2 batch 2, session 1 of 2" in text_of(progress)
    progress.watch(0, Began(1))
    progress.watch(0, timed(0, session=1))
    assert "cpu 2x2 batch 2, session 2 of 2" in text_of(progress)
    assert line_of(progress, "MSA") == ["MSA", "20", "2"]


def test_a_new_block_begins_with_nothing():
    progress = Progress(Console(), BLOCKS, PROTOCOL, [Forecast(60, 9)] * 2, FakeClock())
    assert "starting the worker" in text_of(progress)
    progress.watch(0, Began(1))
    progress.watch(0, timed(0))
    progress.watch(1, warmed(1))
    assert "cpu 2x2 batch 4, session 1 of 2" in text_of(progress)
    assert line_of(progress, "MSA") == ["MSA", "0", "…"]


def test_the_time_left_is_the_estimate_less_what_is_gone():
    clock = FakeClock(now=5)
    progress = Progress(Console(), BLOCKS, PROTOCOL, [Forecast(60, 9), Forecast(40, 9)], clock)
    assert progress.left_s() == 100
    progress.watch(0, warmed(0))
    clock.now = 15
    assert progress.left_s() == 90
    clock.now = 100
    assert progress.left_s() == 40
    progress.watch(1, warmed(0))
    clock.now = 110
    assert progress.left_s() == 30
    assert "1.8 min gone, about 30 s left" in text_of(progress)


def test_without_a_terminal_a_block_is_named_once_when_it_begins():
    console = Console(width=100, force_terminal=False)
    progress = Progress(console, BLOCKS, PROTOCOL, [Forecast(60, 9), Forecast(40, 9)], FakeClock())
    with console.capture() as capture:
        for block in (0, 0, 1):
            progress.watch(block, warmed(0))
    assert capture.get().splitlines() == ["measuring cpu 2x2 batch 2 …", "measuring cpu 2x2 batch 4 …"]


def test_blocks_are_named_with_their_threads_where_these_differ():
    both = [replace(block, threads=count) for block, count in ((FIRST, 1), (FIRST, 2))]
    plan = [replace(PLAN[0], block=block) for block in both]
    lines = plan_lines(plan, plan[1:], PROTOCOL, [Forecast(100, 20)], RUN)
    assert lines[1].startswith("cpu 2x2 batch 2, 2 threads: 2 rows")
    progress = Progress(Console(), both, PROTOCOL, [Forecast(60, 9)] * 2, FakeClock())
    progress.watch(0, timed(0))
    assert "cpu 2x2 batch 2, 1 thread, session 1 of 2" in text_of(progress)


def test_the_plan_says_what_set_a_batch_that_was_found():
    plan = [replace(PLAN[0], block=FIRST.filled(2, "batch 2 is what fits"))]
    assert plan_lines(plan, plan, PROTOCOL, [Forecast(100, 20)], RUN)[1] == "  batch 2 is what fits"
