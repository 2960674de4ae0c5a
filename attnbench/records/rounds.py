"""Samples by the round in which they were taken: what is paired, and what is drawn together."""

from collections.abc import Mapping, Sequence
from itertools import chain, compress, cycle, islice

import numpy as np
from numpy.typing import NDArray

from attnbench.records.columns import column_of
from attnbench.records.record import Sample
from attnbench.statistics import ratios_of_pairs

Round = tuple[int, int]
"""The number of a session, and that of a round in it."""
ByRound = Mapping[Round, tuple[float, ...]]
"""Seconds per call of each sample of each round; of the baseline there are several."""
Values = tuple[NDArray[np.float64], list[int]]
"""Numbers `[rounds, samples]`, and the session of each round."""


def by_round(samples: Sequence[Sample]) -> ByRound:
    """Seconds per call in each round of each session, of samples that count."""
    columns = (column_of(samples, name) for name in ("session", "round", "seconds", "settling"))
    sessions, numbers, taken_s, settling = columns
    if True in settling:
        counts = [not is_settling for is_settling in settling]
        sessions, numbers, taken_s = (list(compress(each, counts)) for each in (sessions, numbers, taken_s))
    keys = list(zip(sessions, numbers, strict=True))
    seconds: dict[Round, tuple[float, ...]] = dict(zip(keys, zip(taken_s, strict=True), strict=True))
    if len(seconds) < len(keys):
        seconds = dict.fromkeys(keys, ())
        for key, each in zip(keys, taken_s, strict=True):
            seconds[key] += (each,)
    return seconds


def all_rounds(seconds: ByRound) -> Values:
    """The samples of every round, in order, and the rounds' sessions."""
    keys = sorted(seconds)
    return _rectangle(seconds, keys), [session for session, _ in keys]


def paired(first: ByRound, second: ByRound) -> tuple[NDArray[np.float64], NDArray[np.float64], list[int]]:
    """The samples of both in the rounds that both have, and the rounds' sessions."""
    shared = sorted(first.keys() & second.keys())
    return _rectangle(first, shared), _rectangle(second, shared), [session for session, _ in shared]


def ratios(numerators: ByRound, denominators: ByRound) -> Values:
    """Each of a round's numerators over each of its denominators, in the rounds that have both."""
    above, below, sessions = paired(numerators, denominators)
    return ratios_of_pairs(above, below), sessions


def _rectangle(seconds: ByRound, keys: list[Round]) -> NDArray[np.float64]:
    """`[rounds, samples]`; a round that was cut short repeats the samples that it has."""
    rounds = [seconds[key] for key in keys]
    lengths = set(map(len, rounds))
    most = max(lengths, default=1)
    if len(lengths) > 1:
        rounds = [tuple(islice(cycle(each), most)) for each in rounds]
    return np.fromiter(chain.from_iterable(rounds), float, len(keys) * most).reshape(len(keys), most)
