"""One session of a block: every case that is alive is warmed up, and then timed in rounds."""

import time
from collections.abc import Callable
from functools import partial

import torch

from attnbench.cases.case import Mode, Role
from attnbench.cases.protocol import WARMUP_SHARE
from attnbench.cases.registry import Registry
from attnbench.machine.clock import Clock
from attnbench.machine.devices import device_of
from attnbench.machine.witness import Watch
from attnbench.measuring.attendance import Attendance, Checks, imprecise
from attnbench.measuring.ceiling import ceiling
from attnbench.measuring.energy import kept_busy, spent
from attnbench.measuring.execution import dtype_of, running
from attnbench.measuring.fidelity import compare_with_new_layers
from attnbench.measuring.journal_writer import (
    JournalWriter,
    ProcessSpent,
    failure_as_fact,
    failure_ends_process,
    write_changes,
)
from attnbench.measuring.layers import Call, build, check_results, make_call, make_data_by_dtype, untouched
from attnbench.measuring.strangers import explained
from attnbench.measuring.surroundings import Surroundings
from attnbench.measuring.timing import Member, calls_per_sample, collector_paused, rounds, warm_up
from attnbench.records.block_state import BlockState
from attnbench.records.journal import Began, Ended, Powered, Started, Timed, Warmed
from attnbench.records.record import Energy, Sample, Warmup


def time_session(state: BlockState, registry: Registry, writer: JournalWriter) -> None:
    """Warm every case that is alive, then time them in rounds until all are precise or time is over.

    Where nobody has been examined yet, and a case fails before the first round, the others are timed in a
    fresh process, in which it has left nothing behind: `ProcessSpent`.
    """
    job, session = state.job, state.next_session
    protocol, device = job.protocol, job.cases[0].device
    deadline = time.perf_counter() + state.next_session_s
    clock, witness = device_of(device).clocks()
    meter = device_of(device).energy_meter() if protocol.energy_s else None
    idle = meter and spent(_rest, meter, protocol.energy_s)
    writer.write(Began(session))

    with torch.inference_mode(state.job.cases[0].workload.mode is Mode.inference):
        surroundings = Surroundings()
        ready, calls = _warm(state, registry, witness, session, writer, surroundings)
        if state.without_memory and len(ready) < len(state.alive):
            raise ProcessSpent
        indices, checks = list(ready), Checks(protocol.least_rounds)
        attendance = Attendance(state, indices, protocol.least_rounds)
        with collector_paused(), failure_ends_process(state.job.cases, writer):
            watch, surroundings = Watch(session, device), Surroundings()  # with a collector that is off
            suspicious = False
            for turn in rounds(
                list(ready.values()),
                clock,
                witness,
                attend=attendance.of,
                announce=lambda member: writer.write(Started(indices[member], "a sample")),
                seed=f"{protocol.seed}/{session}",
                deadline=deadline,
            ):
                sample = Sample(
                    session,
                    turn.round,
                    turn.position,
                    turn.seconds,
                    turn.wall_s,
                    turn.host_paced,
                    paused=turn.paused,
                )
                writer.write(Timed(indices[turn.member], sample))
                changes = surroundings.require_as_before(thorough=suspicious)
                write_changes(writer, indices[turn.member], changes)
                if turn.is_last:
                    suspicious |= bool(surroundings.put_right())  # whose doing it was, the next rounds say
                    writer.sync()
                    if checks.due(turn.round + 1):
                        attendance.wanted = imprecise(BlockState([*state.facts, *writer.written]))
                        if not attendance.wanted:
                            break
            seen = watch.witness()
        if meter:
            for index, member in ready.items():
                writer.write(Started(index, "its energy"))
                with failure_as_fact(index, writer, job.cases[index].variant):
                    used = spent(kept_busy(member, device_of(device).mark), meter, protocol.energy_s)
                    if used:
                        idle_w = idle.joules / idle.seconds if idle else None
                        energy = Energy(session, used.joules, used.seconds, used.calls, idle_w)
                        writer.write(Powered(index, energy))
        compare_with_new_layers(state, registry, calls, writer)
    if ready:
        writer.write(Ended(seen))


def _rest() -> int:
    time.sleep(0.005)
    return 1


def _warm(
    state: BlockState,
    registry: Registry,
    clock: Clock,
    session: int,
    writer: JournalWriter,
    surroundings: Surroundings,
) -> tuple[dict[int, Member], dict[int, Call]]:
    """Build, check and warm up all cases that are alive; what fails is told, and left out.

    Calls are those of layers.
    """
    job, ready, calls = state.job, dict[int, Member](), dict[int, Call]()
    protocol = job.protocol.within(WARMUP_SHARE * state.next_session_s / len(state.alive))
    data = make_data_by_dtype(job.cases, job.protocol.seed)
    for index in state.alive:
        case = job.cases[index]
        dtype, around = dtype_of(case.variant), partial(running, case.variant)
        make = partial(build, registry, case, job.protocol.seed)
        with failure_as_fact(index, writer, case.variant), explained(make, case.workload.geometry):
            writer.write(Started(index, "its construction"))
            run: Callable[[], object]
            first_s = 0.0
            if case.role is Role.ceiling:
                run = ceiling(case.mechanism, case.device, dtype, job.threads).call
            else:
                changes: list[str] = []
                layer = make(changes=changes)
                write_changes(writer, index, changes)
                call = make_call(layer, case, data[dtype])
                writer.write(Started(index, "its first call", case.variant.patience))
                with untouched(data[dtype]):
                    started = time.perf_counter()
                    check_results(call(), layer, case)
                    if device_of(case.device).on_host and not case.variant.compiled:
                        first_s = time.perf_counter() - started
                run = call.run
                write_changes(writer, index, surroundings.require_as_before())
            writer.write(Started(index, "its warm-up"))
            with around():
                pace = warm_up(run, clock, protocol, first_s)
            ready[index] = Member(run, calls_per_sample(pace.per_call_s, protocol), around)
            calls |= {index: call} if case.role is not Role.ceiling else {}
            warmup = Warmup(session, pace.calls, pace.seconds, pace.stable, ready[index].calls)
            writer.write(Warmed(index, warmup))
        surroundings.put_right()  # what one left that failed
    return ready, calls
