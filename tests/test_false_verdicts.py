"""How often equal layers are told apart, and unequal ones found, on machines of many kinds."""

from collections import defaultdict
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from random import Random

import numpy as np
import pytest
from numpy.random import Generator
from numpy.typing import NDArray

from attnbench.analysis.block import blocks
from attnbench.measuring.timing import spread
from attnbench.records.record_file import read
from attnbench.statistics import (
    Verdict,
    bootstrap,
    compare_pairs,
    noise_floor,
    session_ratios,
    session_scatter,
    verdicts,
)

RESULTS = Path(__file__).parent.parent / "results"
RECORDED = ("table-iv-cpu", "table-iv-avx2-cpu", "kernels-cpu", "against-plain-cpu", "identical-cpu")
MEMBERS, SESSIONS, ROUNDS = 14, 3, 12  # a default run of Table IV; the last member is the twin of the first
BASELINE_SAMPLES = 3  # in each round, as `samples_in_round` has it for so many members
MOMENTS = (MEMBERS - 1 + BASELINE_SAMPLES) * ROUNDS
MEMBER_OF_SAMPLE = [0] * BASELINE_SAMPLES + list(range(1, MEMBERS))
SAID = {Verdict.faster, Verdict.slower}
Trace = Callable[[Generator], NDArray[np.float64]]


def autoregressive(random: Generator) -> NDArray[np.float64]:
    """A speed that wanders: half of its deviation is left after a second, which is two samples."""
    trace = np.zeros(MOMENTS)
    for moment in range(1, MOMENTS):
        trace[moment] = 0.7 * trace[moment - 1] + random.normal(0, 0.1)
    return trace


def steps(random: Generator) -> NDArray[np.float64]:
    """A neighbour that comes and goes, and takes a third of the machine."""
    return np.cumsum(random.random(MOMENTS) < 0.05) % 2 * 0.4 + random.normal(0, 0.02, MOMENTS)


def heavy_tails(random: Generator) -> NDArray[np.float64]:
    """Samples that are now and then far too slow."""
    return np.abs(random.standard_t(2, MOMENTS)) * 0.05


@cache
def recorded() -> list[NDArray[np.float64]]:
    """How far each sample of each session of kept runs was from what is usual of its layer, in order."""
    return [trace for name in RECORDED for trace in _traces(RESULTS / name) if len(trace) >= MOMENTS]


def _traces(run: Path) -> Iterator[NDArray[np.float64]]:
    for block in blocks(read(run).records).values():
        sessions: dict[int, list[tuple[int, int, float]]] = defaultdict(list)
        for record in block.records:
            usual = np.median([sample.seconds for sample in record.samples] or [1.0])
            for each in record.samples:
                sessions[each.session].append(
                    (each.round, each.position, float(np.log(each.seconds / usual)))
                )
        yield from (np.array([far for *_, far in sorted(samples)]) for samples in sessions.values())


def replayed(random: Generator) -> NDArray[np.float64]:
    """A piece of what was recorded of a real machine."""
    trace = recorded()[random.integers(len(recorded()))]
    start = random.integers(len(trace) - MOMENTS + 1)
    return trace[start : start + MOMENTS]


def verdicts_on_block(random: Generator, trace: Trace, offset: float, effect: float = 1.0) -> list[Verdict]:
    """What is said of twelve members that are faster than the first by `effect`.

    Each sample of a round meets the machine at a moment of its own, in random order, and each session makes
    each member slower or faster by about `offset`.
    """
    rounds = [_round_by_round(trace(random), random) for _ in range(SESSIONS)]
    numbers = np.repeat(range(SESSIONS), ROUNDS)
    offsets = random.normal(0, offset, (MEMBERS, SESSIONS))[:, numbers]
    times = np.exp(np.concatenate(rounds) + offsets[MEMBER_OF_SAMPLE].T)
    first, others = times[:, :BASELINE_SAMPLES], times[:, BASELINE_SAMPLES:].T
    others[:-1] /= effect
    ratios = [list(session_ratios(first, other, numbers).values()) for other in others]
    reference, scatters = session_scatter(np.array(ratios))
    *members, twin = (
        compare_pairs(first, other, numbers, reference + scatter)
        for other, scatter in zip(others, scatters, strict=True)
    )
    return verdicts(members, [noise_floor(twin.ratio) or 0.0] * len(members))


def _round_by_round(trace: NDArray[np.float64], random: Generator) -> NDArray[np.float64]:
    """A session's samples `[rounds, samples]` in the order of their members, each at a random moment."""
    moments = trace.reshape(ROUNDS, -1)
    orders = [spread(MEMBER_OF_SAMPLE, Random(int(number))) for number in random.integers(2**31, size=ROUNDS)]
    return np.array(
        [each[np.argsort(order, kind="stable")] for each, order in zip(moments, orders, strict=True)]
    )


@pytest.mark.slow
@pytest.mark.parametrize("offset", [0.0, 0.03, 0.1])
@pytest.mark.parametrize("trace", [autoregressive, steps, heavy_tails, replayed])
def test_equal_layers_are_told_apart_in_at_most_one_block_of_twenty(
    monkeypatch: pytest.MonkeyPatch, trace: Trace, offset: float
):
    monkeypatch.setattr(bootstrap, "RESAMPLES", 100)
    random = np.random.default_rng(0)
    wrong = [bool(SAID & set(verdicts_on_block(random, trace, offset))) for _ in range(100)]
    assert np.mean(wrong) <= 0.05


@pytest.mark.slow
def test_a_difference_of_a_tenth_is_found_on_the_machines_that_were_recorded(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(bootstrap, "RESAMPLES", 100)
    random = np.random.default_rng(0)
    said = [verdicts_on_block(random, replayed, 0.0, effect=1.1) for _ in range(60)]
    assert np.mean([[each is Verdict.faster for each in block] for block in said]) >= 0.8
