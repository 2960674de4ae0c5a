"""What disturbed a measurement, or will: the cause, its size and a remedy.

attnbench itself changes no setting of a machine.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from attnbench.machine.device import IDLE
from attnbench.machine.devices import device_of
from attnbench.machine.fingerprint import Machine
from attnbench.machine.witness import Witness
from attnbench.records.record import emulation_of
from attnbench.words import plural


@dataclass(frozen=True, slots=True)
class _Session:
    """What was seen of a session, and the threads that it was asked to use."""

    seen: Witness
    threads: int

    def cores(self, cpu_s: float | None) -> float:
        """How many cores a time adds up to over the session; 0 for an unknown time."""
        return (cpu_s or 0.0) / self.seen.wall_s


@dataclass(frozen=True, slots=True)
class _Cause:
    """One disturbance: it matters where its size in a session is over the limit."""

    size: Callable[[_Session], float]
    limit: float
    line: Callable[[_Session], str]


def advice(witnesses: Sequence[Witness], threads: int) -> list[str]:
    """A line for each disturbance that mattered, from the session where it was worst; often none."""
    sessions = [_Session(witness, threads) for witness in witnesses]
    lines = []
    for cause in CAUSES if sessions else ():
        worst = max(sessions, key=cause.size)
        if cause.size(worst) > cause.limit:
            where = f"in session {worst.seen.session + 1}, " if len(sessions) > 1 else ""
            line = where + cause.line(worst)
            lines.append(line[0].upper() + line[1:])
    return lines


def standing_advice(machine: Machine, device: str, threads: int) -> list[str]:
    """A line for each property of the machine that will disturb a measurement on `device`; often none."""
    own = _cpu_advice(machine, threads) if device_of(device).on_host else []
    return own + _common_advice(machine, threads)


def _cpu_advice(machine: Machine, threads: int) -> list[str]:
    lines = []
    if machine.governor not in (None, "performance"):
        lines.append(
            f"The clock governor is '{machine.governor}', which slows idle cores down: "
            "choose another with `sudo cpupower frequency-set --governor performance`."
        )
    if machine.turbo == "on":
        lines.append(
            "Turbo is on, so the clock depends on heat and on how many cores work: switch it off in the "
            "firmware or with `sudo cpupower set --turbo-boost 0`, or measure with --rigorous."
        )
    if (machine.threads_per_core or 1) > 1 and threads > machine.cores:
        lines.append(
            f"{threads} threads share {plural(machine.cores, 'physical core')} as hyper-threads: "
            f"use --threads {machine.cores}."
        )
    return lines


def emulation(flags: Mapping[str, str], formats: Collection[str], device: str) -> list[str]:
    """Which of these number formats a device computes in another, as a run has found."""
    on_host = device_of(device).on_host
    this, more = ("CPU", ", and other operators more") if on_host else ("GPU", "")
    return [
        f"{name} is emulated on this {this}: a product takes {flags[flag]} times as long as in float32"
        f"{more}. Its speeds say nothing of a processor that has it."
        for name in formats
        if (flag := emulation_of(device, name)) in flags
    ]


def _common_advice(machine: Machine, threads: int) -> list[str]:
    lines = []
    if machine.virtual:
        lines.append(
            f"This is a virtual machine ({machine.virtual}), whose neighbours take time that it cannot see: "
            "use a machine of your own, or measure with --rigorous."
        )
    if machine.cpu_quota is not None and machine.cpu_quota < threads:
        lines.append(
            f"A control group allows {machine.cpu_quota:.3g} cores to {plural(threads, 'thread')} and stops "
            f"them when that is used up: raise the quota, or use --threads {max(1, int(machine.cpu_quota))}."
        )
    if machine.environment:
        names = ", ".join(f"{name}={value}" for name, value in machine.environment.items())
        lines.append(
            f"The environment changes how torch computes ({names}): unset what you did not mean to set, "
            "and keep the rest the same wherever you compare."
        )
    return lines


def _others(session: _Session) -> float:
    """What others used, as a share of the cores in use; 0 where there was room for both.

    With twice as many logical cores as busy ones, each has a physical core to itself, hyper-threads or not.
    """
    others = session.cores(session.seen.others_cpu_s)
    room = 2 * (session.threads + others) <= session.seen.logical_cores
    return 0.0 if room else others / session.threads


def _others_line(session: _Session) -> str:
    in_use = "core" if session.threads == 1 else f"{session.threads} cores"
    fewer = ", or leave them a core with fewer --threads" if session.threads > 1 else ""
    return (
        f"other processes used {_percent(_others(session))} of the {in_use} in use{_switches(session.seen)}: "
        f"close them or wait until they are done{fewer}."
    )


def _switches(seen: Witness) -> str:
    if seen.involuntary_switches is None:
        return ""
    return f" and attnbench lost its core {seen.involuntary_switches / seen.wall_s:.0f} times a second"


def _stolen(session: _Session) -> float:
    return session.cores(session.seen.steal_s) / session.seen.logical_cores


def _stolen_line(session: _Session) -> str:
    return (
        f"the hypervisor gave {_percent(_stolen(session))} of the cores' time to other virtual machines: "
        "use a machine of your own, or measure with --rigorous."
    )


def _throttled(session: _Session) -> float:
    return session.cores(session.seen.throttled_s)


def _throttled_line(session: _Session) -> str:
    fewer = ", or use fewer --threads" if session.threads > 1 else ""
    return (
        f"the control group's CPU quota held attnbench back for {session.seen.throttled_s or 0.0:.3g} s "
        f"({_percent(_throttled(session))} of the session): raise the quota{fewer}."
    )


def _swapped(session: _Session) -> float:
    return session.seen.swapped_bytes or 0


def _swapped_line(session: _Session) -> str:
    return (
        f"the system swapped {_swapped(session) / 2**20:.0f} MiB to or from the disk: "
        "free some memory, or use a smaller --batch."
    )


def _own(session: _Session) -> float:
    """The cores that this process kept busy, for each one that it was asked to use."""
    return session.cores(session.seen.cpu_s) / session.threads


def _own_line(session: _Session) -> str:
    return (
        f"the measuring process used {session.cores(session.seen.cpu_s):.1f} cores with --threads "
        f"{session.threads}: a mechanism starts threads of its own, so stop it from that, or raise --threads."
    )


def _unused(session: _Session) -> float:
    """The share of the asked-for cores that neither this process, nor others, nor a hypervisor used."""
    seen = session.seen
    if not device_of(seen.device).on_host or session.threads == 1:
        return 0.0
    taken = sum(session.cores(cpu_s) for cpu_s in (seen.others_cpu_s, seen.steal_s, seen.throttled_s))
    return 1 - _own(session) - taken / session.threads


def _unused_line(session: _Session) -> str:
    return (
        f"the measuring process kept only {session.cores(session.seen.cpu_s):.1f} of {session.threads} cores "
        "busy: the layers are too small for so many threads, so use fewer --threads or a larger --batch."
    )


def _gpu_slowed(session: _Session) -> float:
    """The share of its clock that the GPU lost, and 1 more where it said why."""
    return _clock_loss(session.seen) + bool(_reasons(session.seen))


def _gpu_slowed_line(session: _Session) -> str:
    loss, reasons = _clock_loss(session.seen), _reasons(session.seen)
    start, end = session.seen.gpu_clock_mhz_start, session.seen.gpu_clock_mhz_end
    fell = f"the GPU's clock fell by {_percent(loss)}, from {start:.0f} to {end:.0f} MHz" if loss else ""
    held = f"the GPU was held back by {', '.join(reasons)}" if reasons else ""
    command = device_of(session.seen.device).clock_lock
    how = f" with `{command}`" if command else ""
    return (
        f"{' and '.join(filter(None, (fell, held)))}: cool it better, or lock a lower clock that it can "
        f"hold{how}."
    )


def _clock_loss(seen: Witness) -> float:
    """The share of its clock that the GPU lost from start to end; 0 where it rose or was idle at either."""
    start, end = seen.gpu_clock_mhz_start, seen.gpu_clock_mhz_end
    if not start or not end or IDLE in (seen.gpu_throttle_reasons or ""):
        return 0.0
    return max(0.0, 1 - end / start)


def _reasons(seen: Witness) -> list[str]:
    reasons = (seen.gpu_throttle_reasons or "").split(", ")
    return [reason for reason in reasons if reason not in ("", IDLE)]


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


CAUSES = (
    _Cause(_others, 0.05, _others_line),
    _Cause(_stolen, 0.01, _stolen_line),
    _Cause(_throttled, 0.01, _throttled_line),
    _Cause(_swapped, 2**20, _swapped_line),
    _Cause(_own, 1.2, _own_line),
    _Cause(_unused, 0.4, _unused_line),
    _Cause(_gpu_slowed, 0.1, _gpu_slowed_line),
)
