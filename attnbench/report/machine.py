"""What `attnbench doctor` shows of a machine."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from rich.table import Table

from attnbench.machine import Machine
from attnbench.record import Record
from attnbench.report.digits import estimated
from attnbench.statistics import Estimate, median_with_interval

UNITS = {"matmul": "G multiply-adds/s", "copy": "GB/s, read and written"}


@dataclass(frozen=True, slots=True)
class Seen:
    """What was found on one device: a record for each ceiling, and what will disturb a measurement."""

    ceilings: Sequence[Record]
    advice: Sequence[str]


def machine_table(machine: Machine) -> Table:
    """The fingerprint that every record carries, a line a field that the system tells."""
    table = Table(box=None, show_header=False)
    table.add_column(style="dim")
    table.add_column()
    for name, value in asdict(machine).items():
        if value not in (None, {}):
            table.add_row(*_readable(name, value))
    return table


def ceiling_lines(records: Sequence[Record]) -> list[str]:
    """The rate of each ceiling with its interval, or why it has none."""
    return [
        f"{record.title} on {record.device} in {record.dtype}, {record.threads} threads: {_rate(record)}"
        for record in records
    ]


def rate_per_s(record: Record) -> Estimate | None:
    """Multiply-adds, or bytes read and written, in a second at a ceiling; None where it was not measured."""
    if record.outcome != "measured":
        return None
    work = (record.macs if record.mechanism == "matmul" else record.least_bytes) or 0
    rates = [work / sample.seconds for sample in record.samples]
    return median_with_interval(rates, [sample.session for sample in record.samples])


def _rate(record: Record) -> str:
    rate = rate_per_s(record)
    if rate is None:
        return f"{record.outcome}, {record.reason}"
    return f"{estimated(rate.scaled(1e-9))} {UNITS[record.mechanism]}"


def _readable(name: str, value: object) -> tuple[str, str]:
    heading = name.replace("_", " ").removesuffix(" bytes").removesuffix(" w").removesuffix(" mhz")
    if name.endswith("_bytes") and isinstance(value, int):
        return heading, f"{value / 2**20:,.0f} MiB"
    if isinstance(value, dict):
        return heading, ", ".join(f"{key}={text}" for key, text in value.items())
    unit = {"w": " W", "mhz": " MHz"}.get(name.rpartition("_")[2], "")
    return heading, f"{value}{unit}"
