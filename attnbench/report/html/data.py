"""What the page's figures are drawn from: numbers with their intervals, in the units that readers see."""

from collections.abc import Sequence
from dataclasses import asdict

from attnbench.analysis.rows import Measured, Row, family, measured
from attnbench.paper import processor
from attnbench.report.colours import MarkStyle, MarkStyles
from attnbench.report.column import Quantity
from attnbench.report.columns import COLUMNS, verdict
from attnbench.report.html.settings import FACETS, RUN, MeasuredSetting, differing

Json = dict[str, object]
MIB = 2**20


def data(settings: Sequence[MeasuredSetting], styles: MarkStyles) -> Json:
    """Units by the titles of columns, and settings with their rows.

    A row leaves out what it has no value for.
    """
    rows = [row for setting in settings for row in setting.rows]
    columns = [column.fitting(rows) for column in COLUMNS]
    return {
        "units": {column.title: column.unit for column in columns},
        "settings": [_setting(setting, settings, columns, styles) for setting in settings],
    }


def front(rows: Sequence[Measured]) -> list[Measured]:
    """The rows that no other beats in FLOPs and time at once, from the fewest FLOPs on."""
    best: list[Measured] = []
    for row in sorted((row for row in rows if row.record.macs is not None), key=_macs_and_time):
        if not best or row.timing.time_s.value < best[-1].timing.time_s.value:
            best.append(row)
    return best


def _macs_and_time(row: Measured) -> tuple[int, float]:
    return row.record.macs or 0, row.timing.time_s.value


def _setting(
    setting: MeasuredSetting,
    settings: Sequence[MeasuredSetting],
    columns: Sequence[Quantity],
    styles: MarkStyles,
) -> Json:
    record, of_run = setting.record, [other for other in settings if other.run is setting.run]
    with_time = measured(setting.rows)
    floors = [floor for row in with_time if (floor := row.timing.noise_floor) is not None]
    baselines = {row.timing.baseline for row in with_time}
    return {
        "run": setting.run.name,
        "name": setting.name(differing(FACETS, of_run)) or RUN.text(setting),
        "title": setting.title,
        "machine": record.conditions.machine.describe(record.case.device, record.conditions.threads),
        "family": f"{setting.run.name} {family(setting.rows[0])} {record.case.workload.mode}",
        "size": setting.size,
        "side": setting.rows[0].side,
        "batch": record.case.workload.batch,
        "paper": processor(record.case.device),
        "noise_floor": max(floors, default=None),
        "baseline": next(
            (row.record.case.title for row in with_time if row.record.case.label in baselines), None
        ),
        "front": [setting.rows.index(row) for row in front(with_time)],
        "rows": [_row(row, columns, styles[row.record.case.label]) for row in setting.rows],
    }


def _row(row: Row, columns: Sequence[Quantity], style: MarkStyle) -> Json:
    record = row.record
    row_data = {
        "label": record.case.label,
        "title": record.case.title,
        "ink": asdict(style),
        "outcome": row.outcome,
        "reason": record.reason,
        "verdict": verdict(row),
        "total_mib": record.memory.total_bytes / MIB if record.memory else None,
        "need_mib": None if record.predicted_bytes is None else record.predicted_bytes / MIB,
        "values": {
            column.title: {
                **asdict(estimate),
                "published": column.published_in_unit(row),
                "text": column.text(row),
            }
            for column in columns
            if (estimate := column.in_unit(row))
        },
    }
    return {name: value for name, value in row_data.items() if value is not None}
