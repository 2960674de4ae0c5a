"""What `attnbench run` shows while it measures."""

import pytest
from rich.console import Console

from attnbench import Geometry
from attnbench.cli.progress import Progress, plan_lines
from attnbench.measure.facts import Failed, Timed, Warmed
from attnbench.record import Sample
from attnbench.registry import discover
from attnbench.sweep import Block, Protocol, sweep
from tests.fakes import FakeClock

PROTOCOL = Protocol(rounds=10, max_seconds=100, least_warmup_s=0, most_warmup_s=1, min_sample_s=0.005)


@pytest.fixture
def blocks() -> tuple[Block, ...]:
    registry = discover()
    choices = [registry.choose("msa"), registry.choose("hilo")]
    geometries = [Geometry(48, 6, 2, 2), Geometry(48, 6, 2, 3)]
    return sweep(choices, geometries, ["cpu"], batch=4, dtype="float32", kernel="explicit")


def text_of(progress: Progress) -> str:
    console = Console(width=100)
    with console.capture() as capture:
        console.print(progress.render())
    return capture.get()


def test_the_plan_says_what_and_how_long(blocks: tuple[Block, ...]):
    assert plan_lines(blocks, PROTOCOL, [100, 80]) == [
        "cpu 2x2 batch 4: 2 mechanisms, up to 10 rounds in at most 1.7 min",
        "cpu 2x3 batch 4: 2 mechanisms, up to 10 rounds in at most 1.7 min",
        "This takes about 3.0 min; Ctrl-C keeps what is measured by then.",
    ]


def test_each_mechanism_shows_its_estimate_so_far(blocks: tuple[Block, ...]):
    progress = Progress(Console(), blocks, PROTOCOL, [60, 60], FakeClock())
    progress.watch(0, Warmed(0, 2, 1, 0.5, True, 1))
    progress.watch(0, Failed(1, "unsupported", "too small"))
    for number, seconds in enumerate((0.5, 0.1, 0.2)):
        progress.watch(0, Timed(0, Sample(0, number, 0, seconds, seconds)))
    lines = text_of(progress).splitlines()
    assert next(line.split() for line in lines if line.strip().startswith("MSA")) == ["MSA", "20", "3"]
    assert next(line.split() for line in lines if line.strip().startswith("HiLo")) == [
        "HiLo",
        "unsupported",
        "0",
    ]


def test_the_time_left_follows_the_pace_of_the_rounds(blocks: tuple[Block, ...]):
    clock = FakeClock()
    progress = Progress(Console(), blocks, PROTOCOL, [60, 40], clock)
    assert progress.left_s() == 100
    progress.watch(0, Warmed(0, 2, 1, 0.5, True, 1))
    clock.now = 10
    assert progress.left_s() == 90
    progress.watch(0, Timed(0, Sample(0, 0, 0, 0.5, 0.5)))
    progress.watch(0, Timed(0, Sample(0, 1, 0, 0.5, 0.5)))
    assert progress.left_s() == 10 / 2 * 8 + 40
    clock.now = 95
    assert progress.left_s() == 5 + 40
    progress.watch(1, Warmed(0, 2, 1, 0.5, True, 1))
    assert progress.left_s() == 40
    assert "95 s gone, about 40 s left" in text_of(progress)
