"""How many images a call may have: a power of two that is predicted to fit, and that is no endless work.

The answer must be the same tomorrow, for what was measured to be found again: it follows from the memory that
there is in all, whoever uses it now, and from work that is counted, not timed.
"""

from collections.abc import Callable

from attnbench.cases.case import Case
from attnbench.cases.registry import Registry
from attnbench.machine.devices import device_of
from attnbench.measuring.counting import macs_of, predicted_bytes
from attnbench.measuring.execution import require_runnable
from attnbench.measuring.journal_writer import JournalWriter, failure_as_fact
from attnbench.measuring.prediction import gib
from attnbench.records.block_state import BlockState
from attnbench.records.journal import Began, Fitted, Started

MOST_IMAGES = 2**16
MOST_ON_HOST = 2**10  # some layers take images few by few there, and as long to predict
MOST_MATMULS = 64  # of those that ceilings time: layers need a second or two for the work of so many
SHARE = 0.75  # of all memory; the rest is for what is not predicted, and for others
Need = Callable[[int], int | None]


def fit_cases(state: BlockState, registry: Registry, writer: JournalWriter) -> None:
    """Write how many images fit of each case, no more than of those before it, or why it cannot run."""
    writer.write(Began(0))
    for index in state.unfitted:
        case = state.job.cases[index]
        with failure_as_fact(index, writer):
            require_runnable(case.variant, case.device)
            writer.write(Started(index, "the search for its largest batch"))
            known = [fact for fact in [*state.facts, *writer.written] if isinstance(fact, Fitted)]
            before = min((fact for fact in known if fact.images), key=lambda fact: fact.images, default=None)
            most = _within_work(state, registry, index)
            if before and before.images <= most.images:
                most = Fitted(index, before.images, before.limit)
            writer.write(_within_memory(state, registry, most))


def _within_work(state: BlockState, registry: Registry, index: int) -> Fitted:
    """So many images that their work is bounded; one at least."""
    case = state.job.cases[index]
    side = device_of(case.device).matmul_side(state.job.threads)
    macs = case.workload.mode.passes * (macs_of(state, registry, index) or 0)
    ever = MOST_ON_HOST if device_of(case.device).on_host else MOST_IMAGES
    if ever * macs <= MOST_MATMULS * side**3:
        return Fitted(index, ever, f"no more than {ever} are tried")
    images = power_of_two(MOST_MATMULS * side**3 // macs)
    limit = f"{2 * images} of {case.title} are more work than {MOST_MATMULS} matmuls of {side}×{side}"
    return Fitted(index, images, limit)


def _within_memory(state: BlockState, registry: Registry, most: Fitted) -> Fitted:
    """As many of these images as fit in a share of the memory; 0 where not even one does."""
    case = state.job.cases[most.case]
    there = room_bytes(case, state.job.memory_limit_bytes)

    def need(images: int) -> int | None:
        return predicted_bytes(state, registry, case, images, case.workload.mode, case.device)

    images, beyond = largest(most.images, there, need)
    if beyond is None:
        return most
    return Fitted(
        most.case,
        images,
        f"{2 * images or 1} of {case.title} need {gib(beyond)} GiB, and {gib(there)} GiB may be used",
    )


def largest(most: int, there: int, need: Need) -> tuple[int, int | None]:
    """The most images, halved until they fit, and what twice as many need; None where all of them fit.

    A need of None is one that nobody can tell, and that is tried.
    """
    images, beyond = most, None
    while images and (needed := need(images)) is not None and needed > there:
        images, beyond = images // 2, needed
    return images, beyond


def room_bytes(case: Case, limit: int | None) -> int:
    """What a call may need: a share of all memory of its device, or the limit that was asked for if less."""
    share = int(SHARE * device_of(case.device).total_bytes())
    return share if limit is None else min(share, limit)


def power_of_two(number: int) -> int:
    """The largest that is no more than the number; 1 at least."""
    return 1 << max(0, number.bit_length() - 1)
