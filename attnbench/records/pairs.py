"""The samples of two cases in the rounds that both have."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from attnbench.records.record import Sample
from attnbench.statistics import steadied


@dataclass(frozen=True, slots=True)
class Pairs:
    """Seconds of two cases, round for round, and the session of each round.

    Where probes ran beside all of them, `first` is corrected to the speed that the machine had for `second`:
    `share` of what the probes differ by is taken out.
    """

    first: Sequence[float]
    second: Sequence[float]
    sessions: Sequence[int]
    share: float


def paired(first: Iterable[Sample], second: Iterable[Sample]) -> Pairs:
    """The pairs of two cases; rounds of a session that had not settled are in none."""
    ours, theirs = (
        {(s.session, s.round): s for s in samples if not s.settling} for samples in (first, second)
    )
    pairs = [(ours[key], theirs[key]) for key in sorted(ours.keys() & theirs.keys())]
    sessions = [one.session for one, _ in pairs]
    seconds, others = [one.seconds for one, _ in pairs], [other.seconds for _, other in pairs]
    probes = [(one.probe_s, other.probe_s) for one, other in pairs if one.probe_s and other.probe_s]
    if not probes or len(probes) < len(pairs):
        return Pairs(seconds, others, sessions, 0.0)
    corrected, share = steadied(seconds, others, *zip(*probes, strict=True))
    return Pairs(corrected.tolist(), others, sessions, share)
