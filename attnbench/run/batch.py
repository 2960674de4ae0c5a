"""How many images a call gets where the user leaves that open: as many as fit."""

from collections.abc import Sequence
from dataclasses import replace

from attnbench.cases.case import Block
from attnbench.run.plan import Setup
from attnbench.run.runner import answered


def fill(blocks: Sequence[Block], setup: Setup) -> list[Block]:
    """The blocks, those that are open with as many images as fit; of two that are alike then the first."""
    kept: list[Block] = []
    for block in (_filled(block, setup) if block.is_open else block for block in blocks):
        if not any((block.cases, block.threads) == (other.cases, other.threads) for other in kept):
            kept.append(block)
    return kept


def _filled(block: Block, setup: Setup) -> Block:
    """An open block with the largest batch that all of its members can be called with.

    Those that cannot run at all, or not even with one image, do not count: they are rows that say so.
    """
    asked = replace(block, cases=block.members)
    state = answered("fit", asked, setup, lambda state: state.unfitted)
    fitting = [fact for fact in state.fitted.values() if fact.images]
    if not fitting:
        return block.filled(1, "batch 1, because no layer fits with more images")
    least = min(fitting, key=lambda fact: fact.images)
    note = f"batch {least.images} is the largest power of two with which all layers fit"
    return block.filled(least.images, f"{note}: {least.limit}")
