"""A recurrence with decay over many steps, in few calls and with nothing lost.

Dividing by cumulative products would do it in one pass, and underflow: 196 steps that keep 0.2 each leave
1e-137. So the steps are cut into blocks of about √N. All blocks advance together, from zero, which tells what
each adds; what they keep is known beforehand; so the state before each block is found block by block, and all
advance once more from there: 2√N short calls and √N very short ones, and two passes over the numbers.
"""

from functools import reduce
from itertools import accumulate
from math import isqrt

import torch
from torch import Tensor

Step = tuple[Tensor, Tensor]  # what is kept of the state, and what is added to it


def scan(delta: Tensor, rates: Tensor, added: Tensor, *, backwards: bool = False) -> Tensor:
    """h_t = e^(−rates Δ_t) ⊙ h_{t−1} + added_t from h = 0, or with h_{t+1} for h_{t−1} if `backwards`.

    Steps Δ are `[..., N, 1, E]` and rates `[..., 1, S, E]`, none below 0; added and h are `[..., N, S, E]`.
    """
    blocks_of = (-1, block_length(added.shape[-3]))
    kept = (delta * -rates).exp_()
    kept_by_block = (delta.unflatten(-3, blocks_of).sum(dim=-3) * -rates).exp()  # [..., blocks, S, E]
    turn = -1 if backwards else 1
    each = (x.unflatten(-3, blocks_of).unbind(-3) for x in (kept, added))
    steps = list(zip(*each, strict=True))[::turn]  # `length` times [..., blocks, S, E]

    added_by_block = reduce(advance, steps, torch.zeros_like(kept_by_block))
    blocks = list(zip(kept_by_block.unbind(-3), added_by_block.unbind(-3), strict=True))[::turn]
    before = list(accumulate(blocks[:-1], advance, initial=torch.zeros_like(blocks[0][0])))
    states = list(accumulate(steps, advance, initial=torch.stack(before[::turn], dim=-3)))[1:]
    return torch.stack(states[::turn], dim=-3).flatten(-4, -3)


def advance(state: Tensor, step: Step) -> Tensor:
    """The state after a step: kept ⊙ state + added."""
    kept, added = step
    return torch.addcmul(added, kept, state)


def block_length(steps: int) -> int:
    """The shortest length of equal blocks that is not below their number."""
    return next(length for length in range(isqrt(steps - 1) + 1, steps + 1) if steps % length == 0)
