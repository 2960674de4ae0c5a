"""A machine's fingerprint and the rates of its ceilings."""

from collections.abc import Sequence
from dataclasses import asdict

from attnbench.analysis.ceilings import rate_per_s
from attnbench.machine.fingerprint import Machine
from attnbench.records.record import Record
from attnbench.report.digits import estimated
from attnbench.report.terminal.grid import Grid, GridColumn
from attnbench.words import plural

UNITS = {"matmul": "G multiply-adds/s", "copy": "GB/s, read and written"}


def machine_table(machine: Machine) -> Grid:
    """The fingerprint that every record carries, a line a field that the system tells."""
    fields = {name: value for name, value in asdict(machine).items() if value not in (None, {})}
    names, values = zip(*(_readable(name, value) for name, value in fields.items()), strict=True)
    columns = [GridColumn("", names, justify="left", style="dim"), GridColumn("", values, wraps=True)]
    return Grid(columns, ruled=False)


def ceiling_lines(records: Sequence[Record]) -> list[str]:
    """The rate of each ceiling with its interval, or why it has none."""
    return [
        f"{record.case.title} on {record.case.device} in {record.case.variant.dtype}, "
        f"{plural(record.conditions.threads, 'thread')}: {_rate(record)}"
        for record in records
    ]


def _rate(record: Record) -> str:
    rate = rate_per_s(record)
    if rate is None:
        return f"{record.outcome}, {record.reason}"
    return f"{estimated(rate.scaled(1e-9))} {UNITS[record.case.mechanism]}"


def _readable(name: str, value: object) -> tuple[str, str]:
    heading = name.replace("_", " ").removesuffix(" bytes").removesuffix(" w").removesuffix(" mhz")
    if name.endswith("_bytes") and isinstance(value, int):
        return heading, f"{value / 2**20:,.0f} MiB"
    if isinstance(value, dict):
        return heading, ", ".join(f"{key}={text}" for key, text in value.items())
    unit = {"w": " W", "mhz": " MHz"}.get(name.rpartition("_")[2], "")
    return heading, f"{value}{unit}"
