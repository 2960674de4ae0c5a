"""What a page says of runs beside their numbers: machine, settings, effort, noise, notes, commands."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from attnbench.analysis.analysis import Analysis
from attnbench.analysis.rows import measured
from attnbench.cases.protocol import Protocol
from attnbench.machine.fingerprint import Machine
from attnbench.report.caption import how_measured
from attnbench.report.html.settings import FACETS, MeasuredSetting, settings_of
from attnbench.report.notes import agreement, disturbances, notes
from attnbench.words import plural


@dataclass(frozen=True, slots=True)
class Particulars:
    """What one run has for itself: its facts, notes on its rows, and the commands that measure it again."""

    name: str
    facts: Mapping[str, Sequence[str]]
    notes: Sequence[str]
    commands: str


def title(runs: Sequence[Analysis]) -> str:
    """The run's name, or how many there are."""
    return runs[0].name if len(runs) == 1 else plural(len(runs), "run")


def facts(runs: Sequence[Analysis]) -> dict[str, list[str]]:
    """What decides the numbers, each fact once for all runs of which it is true."""
    distinct = {name: list(dict.fromkeys(lines)) for name, lines in _facts(settings_of(runs)).items()}
    return {name: lines for name, lines in distinct.items() if lines}


def particulars(run: Analysis) -> Particulars:
    """What the page says of this run alone."""
    lines = [*run.file.warnings, *notes(run.rows), *disturbances(run.rows), *agreement(run.agreements)]
    return Particulars(run.name, facts([run]), lines, "\n".join(run.commands))


def _facts(settings: Sequence[MeasuredSetting]) -> Mapping[str, Iterable[str]]:
    rows = [row for setting in settings for row in setting.rows]
    records = [row.record for row in rows]
    timings = [row.timing for row in measured(rows)]
    dates = sorted({record.conditions.started_at[:10] for record in records})
    return {
        "Machine": (
            record.conditions.machine.describe(record.case.device, record.conditions.threads)
            for record in records
        ),
        "Setting": [_values(settings)],
        "Effort": (_effort(record.conditions.protocol) for record in records),
        "Numbers": [how_measured(timings)] if timings else [],
        "Software": (_software(record.conditions.machine) for record in records),
        "Environment": (
            _variables(record.conditions.machine)
            for record in records
            if record.conditions.machine.environment
        ),
        "Date": [" to ".join(dict.fromkeys((dates[0], dates[-1])))] if dates else [],
    }


def _values(settings: Sequence[MeasuredSetting]) -> str:
    """Each facet with all its values: `cpu; 7×7, 14×14 tokens; …; inference, training`."""
    values = (list(dict.fromkeys(map(facet.text, settings))) for facet in FACETS)
    return "; ".join(words for f, texts in zip(FACETS, values, strict=True) if (words := f.words(texts)))


def _effort(protocol: Protocol) -> str:
    return (
        f"{plural(protocol.sessions, 'session')} of at least {protocol.least_rounds} rounds, until intervals "
        f"are within ±{100 * protocol.precision:g} % or a block has taken {protocol.max_seconds:g} s; "
        f"seed {protocol.seed}, allocator {protocol.allocator}"
    )


def _software(machine: Machine) -> str:
    commit = f" (commit {machine.commit})" if machine.commit else ""
    cuda = f", CUDA {machine.cuda}, cuDNN {machine.cudnn}" if machine.cuda else ""
    return (
        f"attnbench {machine.attnbench}{commit}, torch {machine.torch}{cuda}, "
        f"Python {machine.python}, {machine.system}"
    )


def _variables(machine: Machine) -> str:
    return " ".join(f"{name}={value}" for name, value in machine.environment.items())
