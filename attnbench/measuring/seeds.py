"""The random numbers that all code of a process shares, and whether somebody has seeded them anew.

Who seeds them in a layer takes `--seed` from it, and gives all others the same numbers again and again. Who
only draws some, as dropout does, changes their state too, and is right to.

torch's generator is told apart by a mark: its state bears a seed that nobody takes, beside numbers that go on
as they were, and `torch.manual_seed` writes another one. So every reseeding is seen, with the run's own seed
as well. Whoever puts the state back that there was, as `torch.random.fork_rng` does, changes nothing.

The generators of Python and NumPy have no place for a mark. What is seen is one that has been seeded and not
drawn from since; one that was seeded and then drawn from looks as if it had been drawn from alone. Neither
are the generators of other devices looked at, which `torch.manual_seed` seeds along with the CPU's.
"""

import ctypes
from typing import Any

import numpy as np
import torch

SEED_BYTES = 8  # with which the state of torch's generator begins
MARK = b"attnbnch"
SEEDED_BY_LIST = 1 << 31  # the first word of such a state, until numbers are drawn; otherwise it is the seed


def seed_torch(seed: int) -> None:
    """Seed torch's random numbers, and go on seeing who else does."""
    torch.manual_seed(seed)
    mark_torch()


def mark_torch() -> None:
    """Let torch's generator bear the mark; its numbers stay what they are."""
    write_torch(MARK + read_torch()[SEED_BYTES:])


def read_torch() -> bytes:
    """The state of torch's generator on the CPU."""
    state = torch.get_rng_state()
    return ctypes.string_at(state.data_ptr(), state.numel())  # no operator, which could be a fake tensor's


def write_torch(content: bytes) -> None:
    """Make it the state of torch's generator."""
    state = torch.get_rng_state()
    ctypes.memmove(state.data_ptr(), content, len(content))
    torch.set_rng_state(state)


def is_torch_reseeded(_before: bytes, now: bytes) -> bool:
    """Whether torch's generator has lost its mark."""
    return not now.startswith(MARK)


def is_python_reseeded(before: Any, now: Any) -> bool:
    """Whether Python's generator has been seeded, and not drawn from since; of its two states."""
    return bool(now != before and now[1][0] == SEEDED_BY_LIST)


def read_numpy() -> tuple[Any, ...]:
    """The state of NumPy's generator, as values that can be compared."""
    state: Any = np.random.get_state()
    name, words, *rest = state
    return name, tuple(words.tolist()), *rest


def is_numpy_reseeded(before: Any, now: Any) -> bool:
    """Whether NumPy's generator has been seeded, and not drawn from since; of its two states."""
    if now == before:
        return False
    words = now[1]
    seeded: Any = np.random.RandomState(words[0]).get_state()
    return bool(words[0] == SEEDED_BY_LIST or words == tuple(seeded[1].tolist()))
