"""Whether there is memory for layers that are called in this process, asked before anything is allocated.

A worker predicts it, as it does for a run: what a layer keeps of the tensors without memory that it is
predicted on ends with that process. Small layers are not worth its start.
"""

from collections.abc import Mapping, Sequence

from attnbench.cases.case import Block, Case
from attnbench.machine.devices import device_of
from attnbench.run.plan import Setup
from attnbench.run.runner import survey

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
