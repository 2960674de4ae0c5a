"""What a job does: measure one block, as a local run in a folder of its own, and say when it is done.

    python -m attnbench.cluster.job SUBMISSION INDEX

What ends a job on its way costs no sample: the next one goes on with what is in the folder.
"""

import json
import sys
from pathlib import Path

from attnbench.cases.case import Block
from attnbench.cases.places import opened
from attnbench.cases.registry import Registry
from attnbench.cases.request import Request, mean_models
from attnbench.cases.sweep import sweep
from attnbench.cluster.kind import AnotherKind, require_same
from attnbench.cluster.submission import Submission
from attnbench.errors import AttnbenchError, InvalidSetting
from attnbench.machine import devices
from attnbench.machine.node import Allocation, allocation, fingerprint
from attnbench.machine.system import physical_cores
from attnbench.measuring.catalogue import chosen
from attnbench.records import folder
from attnbench.records.codec import from_row
from attnbench.records.parts import Part
from attnbench.run import runner
from attnbench.run.block_records import rows_to_be
from attnbench.run.fitting import fill
from attnbench.run.plan import Setup

TROUBLED, REFUSED = 1, 2  # exit statuses: of what may pass, and of what the user can mend


class Refused(Exception):  # noqa: N818
    """What a user asked for cannot be, wherever and however often it is tried."""


def work(part: Part, *, shared: bool, same_machine: bool = False) -> None:
    """Measure what is left of a block.

    What its user can mend is `Refused`; what may pass, such as a worker that could not begin, is an
    `AttnbenchError`.
    """
    if part.is_finished:
        return
    try:
        block, setup = understood(part, allocation(), shared=shared)
    except AttnbenchError as mistake:
        raise Refused(str(mistake)) from mistake
    with folder.held(part.run):
        try:
            block = filled(block, setup, part)
            rows = rows_to_be(block, setup)
            if same_machine:
                require_same(part.whole, rows[0].conditions.machine, block.device)
            part.plan(rows)
            plan = runner.survey([block], setup, part.priced)
        except (InvalidSetting, AnotherKind) as mistake:
            raise Refused(str(mistake)) from mistake
        if not runner.measure(runner.pending(plan, setup, part.run), setup, part.run, lambda *_: None):
            raise KeyboardInterrupt
    part.finish()


def count(part: Part) -> None:
    """Find out what needs no quiet, for the job that measures; what fails here is that one's to say."""
    request = part.request
    there = opened(request.words, [Path(plugin) for plugin in request.plugins])
    setup = Setup(there.plugins, request.protocol, request.memory_limit_bytes)
    part.keep_priced(runner.price(block_of(request, there.registry, there.words), setup))


def understood(part: Part, given: Allocation | None, *, shared: bool) -> tuple[Block, Setup]:
    """The block that is asked for, and what its workers share, in a job that was given so much of a node."""
    request = part.request
    require_alone(given, request, shared=shared)
    devices.require(request.device)
    there = opened(request.words, [Path(plugin) for plugin in request.plugins])
    setup = Setup(
        plugins=there.plugins,
        protocol=request.protocol,
        memory_limit_bytes=request.memory_limit_bytes,
        node=fingerprint(folder.salt(part.whole)),
        allocation=given,
    )
    return block_of(request, there.registry, there.words), setup


def block_of(request: Request, registry: Registry, words: list[str]) -> Block:
    """The block that a request means, among these mechanisms; an `AttnbenchError` where there is none."""
    choices = chosen(registry, words)
    models = [choice.label for choice in choices if choice.mechanism.is_model]
    if models and not mean_models(request.words):
        raise AttnbenchError(
            f"{models[0]} is a whole model, which nobody knows by a file or a folder where a run is "
            "submitted: name it, and what it is in with --plugin, so that it gets images."
        )
    blocks = sweep(
        choices,
        [request.workload.geometry],
        [request.device],
        batches=[None if request.is_open else request.workload.batch],
        threads=[request.threads or physical_cores()],
        modes=[request.workload.mode],
        variants=request.variants,
        baseline=registry.choose(request.baseline) if request.baseline else None,
    )
    if not blocks:
        kind = "whole model" if request.workload.geometry.images else "layer"
        raise AttnbenchError(f"{', '.join(words)}: no {kind} is among them to measure {request.name} with.")
    return blocks[0]


def filled(block: Block, setup: Setup, part: Part) -> Block:
    """The block with as many images as fit where that is open, or as an earlier job here has found out."""
    before = next((row for row in part.planned if row.conditions.node == setup.node), None)
    if block.is_open and before:
        return block.filled(before.case.workload.batch, before.batch_note or "")
    (whole,) = fill([block], setup)
    return whole


def require_alone(given: Allocation | None, request: Request, *, shared: bool) -> None:
    """Raise `AttnbenchError` for a job that others can disturb, or that has fewer cores than it needs."""
    if given is None:
        raise AttnbenchError("This is no job of Slurm's; `attnbench run` measures here.")
    if not (given.exclusive or shared):
        raise AttnbenchError(
            f"The job has some of the {given.node_cores} cores of its node, and others may use the rest, "
            "which its times would show. Name a partition that gives whole nodes, or say shared=yes in --on: "
            "the rows tell it then."
        )
    if given.affinity and request.threads and len(given.affinity) < request.threads:
        raise AttnbenchError(
            f"The job may run on {len(given.affinity)} of its node's cores, and --threads asks for "
            f"{request.threads}; ask Slurm for more with cpus-per-task in --on, or for fewer threads."
        )


def main(submission: Path, index: int) -> int:
    """Do the work of one member of an array, and return its exit status."""
    told = from_row(Submission, json.loads(submission.read_text(encoding="utf-8")))
    part = Part(submission.parent / told.parts[index])
    try:
        if told.counts:
            count(part)
            return 0
        work(part, shared=told.shared, same_machine=told.same_machine)
    except Refused as mistake:
        part.refuse(str(mistake))
        return REFUSED
    except AttnbenchError as trouble:
        print(f"{trouble}", file=sys.stderr)
        return TROUBLED
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), int(sys.argv[2])))
