"""What fits into memory, asked of a worker before anything is allocated: layers here, and images in a call.

A worker predicts it, as it does for a run: what a layer keeps of the tensors without memory that it is
predicted on ends with that process. Small layers are not worth its start.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from attnbench.cases.case import Block, Case
from attnbench.machine.devices import device_of
from attnbench.run.plan import Setup
from attnbench.run.runner import answered, survey

SAFE = 1 / 8  # of what is free: who needs less by a guess is not asked


def shortages(cases: Sequence[Case], setup: Setup) -> Mapping[str, str]:
    """Why there is no memory for a case, by its label; the cases have one workload, on one device."""
    if not any(map(_may_be_large, cases)):
        return {}
    (planned,) = survey([Block(tuple(cases))], setup)
    return {
        case.label: f"out of memory: {failed.reason}"
        for case, failed in planned.unfit
        if failed.outcome == "out_of_memory"
    }


def _may_be_large(case: Case) -> bool:
    return case.workload.guessed_bytes > SAFE * device_of(case.device).free_bytes()


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
