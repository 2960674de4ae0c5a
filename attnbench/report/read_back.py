"""Rows again, from the lines that programs read of them: as much of each as figures draw.

Such rows have no samples, so that nothing can be paired anew, and know their machine by its processor alone.
"""

from ast import literal_eval
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from attnbench.analysis.rows import Measured, Row, Timing, is_paper_setting, printed_of
from attnbench.cases.case import Case, Mode, Role, Workload
from attnbench.cases.protocol import Protocol
from attnbench.cases.variant import AXES, Variant
from attnbench.machine.fingerprint import Machine
from attnbench.mechanism import Geometry, Setting
from attnbench.records.record import Conditions, Cost, Energy, Memory, Prediction, Record
from attnbench.report.columns import ENERGY, FLOPS, MEMORY, PARAMS, POWER, SPEED, THROUGHPUT, TIME
from attnbench.report.data import names_of
from attnbench.report.fields import CASE
from attnbench.statistics import Estimate, Verdict
from attnbench.words import plural

NEEDED = (
    *names_of(CASE),
    *("threads", "outcome", "macs_closed_form", "memory_entry_bytes", "predicted_bytes"),
    *(column.name for column in (PARAMS, FLOPS, MEMORY, ENERGY, POWER)),
    *(f"{column.name}{end}" for column in (TIME, THROUGHPUT, SPEED) for end in ("", "_low", "_high")),
    *("baseline", "verdict", "noise_floor", "rounds", "sessions", "precision", "converged", "impossible"),
    *("processor", "torch", "attnbench", "started_at"),
)
"""The names that a line must have; None is what was not measured."""
Told = Mapping[str, Any]
"""A line whose cells are as files and frames have them."""


@dataclass(frozen=True, slots=True)
class KnownByName(Machine):
    """A machine of which nothing is known but its processor and the software."""

    def describe(self, device: str, threads: int) -> str:
        """One line for under a figure: the processor of `device` and the software."""
        software = [f"torch {self.torch.partition('+')[0]}", f"attnbench {self.attnbench}"]
        return ", ".join([self.processor(device), plural(threads, "thread"), *software])


def row_from(line: Told) -> Row:
    """The row that a line stands for, which has all names that are `NEEDED`."""
    record = _record(line)
    paper = printed_of(record.case.label, record.case.workload) if is_paper_setting(record) else None
    timing = _timing(line)
    return Measured(record, timing, paper) if timing else Row(record, None, paper)


def _record(line: Told) -> Record:
    case = _case(line)
    params, need = line[PARAMS.name], line["predicted_bytes"]
    return Record(
        key="",
        block="",
        case=case,
        outcome=line["outcome"],
        reason=None,
        complete=True,
        cost=None if params is None else Cost(int(params), _whole(line[FLOPS.name]), {}, (), 0),
        macs_closed_form=_whole(line["macs_closed_form"]),
        prediction=None if need is None else Prediction(int(need), 0),
        memory=_memory(line),
        check=None,
        samples=(),
        warmups=(),
        witnesses=(),
        conditions=_conditions(line),
        energies=_energies(line, case.workload.batch),
    )


def _case(line: Told) -> Case:
    return Case(
        role=Role.member,
        mechanism=line["mechanism"],
        label=line["label"],
        title=line["title"],
        settings=_settings(line["settings"]),
        source="",
        workload=Workload(_geometry(line), int(line["batch"]), Mode(line["mode"])),
        device=line["device"],
        variant=Variant(**{name: line[name] for name in AXES}),
    )


def _geometry(line: Told) -> Geometry:
    """A map of tokens, or, where there are no channels of a token, of pixels."""
    size = int(line["height"]), int(line["width"])
    if line["dim"] is None:
        return Geometry.image(*size)
    return Geometry(int(line["dim"]), int(line["heads"]), *size)


def _settings(cell: str | None) -> dict[str, Setting]:
    """Those of `alpha=0.9,window=2`; what is no number and no truth is a word."""
    pairs = (item.partition("=") for item in (cell or "").split(",") if item)
    return {key: _setting(value) for key, _, value in pairs}


def _setting(text: str) -> Setting:
    try:
        value: Setting = literal_eval(text)
    except (SyntaxError, ValueError):
        return text
    return value


def _memory(line: Told) -> Memory | None:
    peak, entry = line[MEMORY.name], line["memory_entry_bytes"]
    if peak is None or entry is None:
        return None
    return Memory(int(peak), int(entry), line["device"], True, None, None)


def _energies(line: Told, batch: int) -> tuple[Energy, ...]:
    """One session in which a call took what calls took in the median of all."""
    joules, watts = line[ENERGY.name], line[POWER.name]
    if joules is None or watts is None:
        return ()
    return (Energy(0, joules * batch, joules * batch / watts, calls=1, idle_w=None),)


def _conditions(line: Told) -> Conditions:
    unknown: dict[str, Any] = {field.name: None for field in fields(Machine)}
    told = {name: line[name] for name in ("torch", "attnbench")}
    told |= dict.fromkeys(("cpu", "gpu"), line["processor"])
    machine = KnownByName(**unknown | told)
    protocol = Protocol(int(line["sessions"]), float(line["precision"]), max_seconds=0.0)
    return Conditions(int(line["threads"]), protocol, {}, str(line["started_at"]), machine)


def _timing(line: Told) -> Timing | None:
    time_s, throughput = _estimate(line, TIME.name), _estimate(line, THROUGHPUT.name)
    verdict = line["verdict"]
    if time_s is None or throughput is None:
        return None
    return Timing(
        time_s=time_s,
        throughput=throughput,
        baseline=line["baseline"],
        speed=None if line["baseline"] == line["label"] else _estimate(line, SPEED.name),
        verdict=None if verdict is None else Verdict(verdict),
        noise_floor=line["noise_floor"],
        rounds=int(line["rounds"]),
        sessions=int(line["sessions"]),
        session_spread=None,
        speed_spread=None,
        scatter=None,
        converged=bool(line["converged"]),
        limit=None,
        launch_bound=False,
        impossible=bool(line["impossible"]),
    )


def _estimate(line: Told, name: str) -> Estimate | None:
    value = line[name]
    return None if value is None else Estimate(value, line[f"{name}_low"], line[f"{name}_high"])


def _whole(value: float | None) -> int | None:
    return None if value is None else int(value)
