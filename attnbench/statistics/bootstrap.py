"""Medians over rounds and sessions, and their bootstrap: whole rounds are resampled within their sessions.

A run of thousands of rows asks for all of this several times a row, of a dozen to some hundred values each;
what depends on nothing but the number of rounds is worked out once.
"""

import math
from functools import lru_cache
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 2000
MOST_SHAPES = 16  # the rows of a block have the same rounds; each size has a seed of its own


def median(values: NDArray[np.float64]) -> float:
    """The median of all values, NaN of none: `numpy.median`, in a fraction of its time for a few."""
    return float(medians_of_rows(values.reshape(1, -1))[0]) if values.size else math.nan


def medians_of_rows(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The median of each row of `[rows, columns]`."""
    ordered = np.sort(values, axis=1)
    middle = ordered.shape[1] // 2
    above = ordered[:, middle]
    return above if ordered.shape[1] % 2 else (ordered[:, middle - 1] + above) / 2


def medians_of_sessions(
    values: NDArray[np.float64], sessions: NDArray[np.int_], least: int
) -> dict[int, float]:
    """The median of each session that has so many rounds at least, by its number."""
    members = _members(tuple(sessions.tolist()))
    return {number: median(values[rounds]) for number, rounds in members.items() if len(rounds) >= least}


def resampled_medians(
    values: NDArray[np.float64], sessions: NDArray[np.int_], seed: int = 0
) -> NDArray[np.float64]:
    """The median of all values of each resample.

    Values are sorted once. How often a resample drew those up to each says which of them is in its middle.
    """
    flat, samples = values.ravel(), values.size // len(values)
    order = flat.argsort()
    times = _times_drawn(tuple(sessions.tolist()), seed, RESAMPLES)
    drawn = times.take(order // samples, axis=0).astype(np.min_scalar_type(len(flat)), copy=False)
    for before, here in pairwise(drawn):
        here += before
    ordered, middle = flat[order], len(flat) // 2
    medians = ordered.take(_ranks(drawn, middle), mode="clip")  # all are there: "clip" alone looks no further
    if len(flat) % 2 == 0:
        medians += ordered.take(_ranks(drawn, middle - 1), mode="clip")
        medians /= 2
    return medians


def _ranks(drawn: NDArray[Any], place: int) -> NDArray[Any]:
    """Which of the sorted values is at a place of each resample, which `drawn` so many up to each."""
    up_to = (drawn <= place).view(np.uint8)
    ranks: NDArray[Any] = np.add.reduce(up_to, axis=0, dtype=np.min_scalar_type(len(drawn)))
    return ranks


@lru_cache(maxsize=MOST_SHAPES)
def _times_drawn(sessions: tuple[int, ...], seed: int, count: int) -> NDArray[Any]:
    """How often `[rounds, count]` each resample draws each round: from its session, with replacement."""
    random, rounds = np.random.default_rng(seed), len(sessions)
    drawn = [random.choice(mine, (count, len(mine))) for mine in _members(sessions).values()]
    places = np.concatenate(drawn, axis=1) + rounds * np.arange(count)[:, None]
    times = np.bincount(places.ravel(), minlength=rounds * count).reshape(count, rounds)
    return np.ascontiguousarray(times.T, dtype=np.min_scalar_type(rounds))


@lru_cache(maxsize=MOST_SHAPES)
def _members(sessions: tuple[int, ...]) -> dict[int, NDArray[np.int_]]:
    """The indices of each session's rounds, by its number in growing order; nobody may change it."""
    numbers = np.array(sessions)
    return {int(number): np.flatnonzero(numbers == number) for number in np.unique(numbers)}
