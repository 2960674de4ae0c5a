"""What the harness itself costs, and whether its times are those of other timers."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from statistics import median

import pytest
import torch
from torch.utils.benchmark import Timer

from attnbench import Geometry
from attnbench.cases.case import Role
from attnbench.cases.protocol import QUICK
from attnbench.cases.registry import discover
from attnbench.cases.sweep import sweep
from attnbench.machine.devices import device_of
from attnbench.measuring.layers import Call, build, make_call, make_data
from attnbench.measuring.timing import sample
from attnbench.records import record_file
from attnbench.records.record import Record
from attnbench.run.plan import Setup
from attnbench.run.runner import measure, survey
from attnbench.statistics import MARGIN, median_with_interval

pytestmark = [pytest.mark.slow, pytest.mark.alone]

NOTHING = Path(__file__).parents[1] / "nothing.py"
THREADS = 2
ROUNDS = 15
TIMED = ["msa", "hilo", "van"]


@pytest.fixture(scope="module")
def beside_nothing(tmp_path_factory: pytest.TempPathFactory) -> list[Record]:
    """The records of a quick run of a layer that does nothing, and of two that do something."""
    folder = tmp_path_factory.mktemp("run")
    (folder / record_file.RECORDS).touch()
    registry = discover([NOTHING])
    choices = [registry.choose(name) for name in ("identity", "msa", "hilo")]
    blocks = sweep(choices, [Geometry(768, 12, 14, 14)], ["cpu"], batches=[16], threads=[THREADS])
    setup = Setup((str(NOTHING),), replace(QUICK, sessions=1, max_seconds=8))
    assert measure(survey(blocks, setup), setup, folder, lambda *_: None)
    return list(record_file.read(folder).records)


def test_a_layer_that_does_nothing_takes_less_than_five_microseconds(beside_nothing: Sequence[Record]):
    (identity,) = (row for row in beside_nothing if row.case.label == "identity")
    assert median(one.seconds for one in identity.samples) < 5e-6


def test_a_session_spends_nine_tenths_of_its_time_after_warm_up_in_samples(beside_nothing: Sequence[Record]):
    in_samples_s = sum(
        one.wall_s * row.warmups[0].calls_per_sample for row in beside_nothing for one in row.samples
    )
    (session,) = beside_nothing[0].witnesses
    assert 0.9 * session.wall_s <= in_samples_s <= session.wall_s


def call_of(name: str, device: str, batch: int) -> Call:
    """A layer of Table IV's geometry on so many images."""
    registry = discover()
    (block,) = sweep([registry.choose(name)], [Geometry(768, 12, 14, 14)], [device], batches=[batch])
    case = next(case for case in block.cases if case.role is Role.member)
    return make_call(build(registry, case, 0), case, make_data(case, 0))


@contextmanager
def threads(number: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def agree(ours_s: Sequence[float], theirs_s: Sequence[float]) -> bool:
    """Whether the interval of the median ratio meets what counts as the same."""
    ratios = [ours / theirs for ours, theirs in zip(ours_s, theirs_s, strict=True)]
    ratio = median_with_interval(ratios, [0] * len(ratios))
    assert ratio.low is not None
    assert ratio.high is not None
    return ratio.low <= 1 + MARGIN and ratio.high >= 1 - MARGIN


@pytest.mark.parametrize("name", TIMED)
def test_times_are_those_of_torchs_own_timer(name: str):
    with threads(THREADS), torch.inference_mode():
        call = call_of(name, "cpu", 4)
        clock, _ = device_of("cpu").clocks()
        timer = Timer("run()", globals={"run": call.run}, num_threads=THREADS)
        pairs = [(sample(call.run, 2, clock), timer.timeit(2).mean) for _ in range(ROUNDS)]
    ours, theirs = zip(*pairs, strict=True)
    assert agree(ours[2:], theirs[2:])


@pytest.mark.cuda
@pytest.mark.parametrize("name", TIMED)
def test_times_on_a_gpu_are_those_of_tritons_benchmark(name: str):
    testing = pytest.importorskip("triton.testing")
    with torch.inference_mode():
        call = call_of(name, "cuda", 64)
        clock, _ = device_of("cuda").clocks()
        pairs = [
            (sample(call.run, 4, clock), testing.do_bench(call.run, return_mode="median") / 1e3)
            for _ in range(ROUNDS)
        ]
    ours, theirs = zip(*pairs, strict=True)
    assert agree(ours[2:], theirs[2:])
