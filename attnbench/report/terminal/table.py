"""Tables for the terminal."""

import re
from collections.abc import Sequence
from itertools import compress

from rich.box import HEAVY_HEAD, SIMPLE_HEAD
from rich.console import JustifyMethod
from rich.table import Table

from attnbench.catalogue import Entry
from attnbench.findings import Finding
from attnbench.report.caption import CONVENTION, facts, how_measured, setting_of, verdicts, what_is_open
from attnbench.report.columns import FLOPS, LIMIT, MEMORY, PARAMS, SPEED, THROUGHPUT, verdict
from attnbench.report.difference import Change
from attnbench.report.digits import NOTHING, estimated
from attnbench.report.metrics import Row, measured
from attnbench.statistics import Verdict
from attnbench.sweep import BASELINE

PAPER = "paper"
COLOURS: dict[str, str] = {Verdict.faster: "green", Verdict.slower: "red"}
MARKS = {True: "✓", False: "✗", None: "–"}


def result_table(rows: Sequence[Row], *, narrow: bool = False) -> Table:
    """Table IV for the rows of one size: ours on each device, the published figures beside them, verdicts.

    The paper's columns are left out where no row is in the paper's setting, and in a `narrow` table. Such a
    table has intervals below their values, and no share of the limit where it has to show memory.
    """
    with_paper = not narrow and any(row.published for row in rows)
    devices = list(dict.fromkeys(row.device for row in rows))
    headings = ["Mechanism", PARAMS.heading, PAPER, FLOPS.heading, PAPER]
    for device in devices:
        relative = f"{SPEED.unit} {' / '.join(_baselines(rows, device)).upper()} [95 %]"
        memory = MEMORY.heading if len(devices) == 1 else f"{device.upper()} memory ({MEMORY.unit})"
        speed = f"{device.upper()} {THROUGHPUT.unit} [95 %]"
        headings += [memory, speed, PAPER, relative, PAPER, "verdict", LIMIT.heading.lower()]
    with_memory = any(row.record.memory for row in rows)
    asked = {PAPER: with_paper, LIMIT.heading.lower(): not (narrow and with_memory)}
    shown = [asked.get(heading, with_memory or "memory" not in heading.lower()) for heading in headings]

    table = Table(
        title=_title(rows, devices),
        caption=_caption(rows),
        caption_justify="left",
        box=SIMPLE_HEAD if narrow else HEAVY_HEAD,
        padding=(0, 0) if narrow else (0, 1),
    )
    fold = _folded if narrow else str
    for heading in compress(headings, shown):
        justify: JustifyMethod = "left" if heading == "Mechanism" else "right"
        style = "dim" if heading == PAPER else ""
        table.add_column(fold(heading), justify=justify, style=style, no_wrap=narrow or justify == "left")
    for label in dict.fromkeys(row.record.label for row in rows):
        mine = {row.device: row for row in rows if row.record.label == label}
        first = next(iter(mine.values()))
        cost = [text(first) for column in (PARAMS, FLOPS) for text in (column.text, column.published_text)]
        speeds = [cell for device in devices for cell in _speed_cells(mine.get(device))]
        cells = compress([first.record.title, *cost, *speeds], shown)
        table.add_row(*map(fold, cells))
    return table


def change_table(changes: Sequence[Change]) -> Table:
    """Two runs, case by case: counts that changed, throughputs, and how many times as fast the later is."""
    records = [change.after.record for change in changes]
    machines = dict.fromkeys(record.machine.describe(record.device, record.threads) for record in records)
    table = Table(title="\n".join(machines), caption=_change_caption(changes), caption_justify="left")
    for heading in ("Mechanism", ""):
        table.add_column(heading)
    for heading in ("Params", "FLOPs", "Memory (MiB)", "img/s before", "img/s after", "× before [95 %]"):
        table.add_column(heading, justify="right")
    table.add_column("verdict")
    for change in changes:
        before, after = change.before, change.after
        table.add_row(
            after.record.title,
            after.where,
            _changed(_count(before.record.params), _count(after.record.params)),
            _changed(_count(before.record.macs), _count(after.record.macs)),
            _changed(MEMORY.text(before), MEMORY.text(after)),
            *(THROUGHPUT.text(row) for row in (before, after)),
            estimated(change.speed),
            _coloured("control" if change.control else change.verdict or NOTHING),
        )
    return table


def registry_table(entries: Sequence[Entry]) -> Table:
    """The registry: each mechanism with its settings, paper and cost, the published cost beside ours."""
    table = Table(caption=CONVENTION, caption_justify="left")
    for heading in ("Name", "Mechanism", "Settings", "Published in"):
        table.add_column(heading, no_wrap=heading == "Name")
    for heading in ("Params (M)", "paper", "FLOPs (M)", "paper"):
        table.add_column(heading, justify="right", style="dim" if heading == "paper" else "")
    for entry in entries:
        mechanism, settings = entry.choice.mechanism, entry.choice.settings
        table.add_row(
            mechanism.name,
            mechanism.title,
            ", ".join(f"{key}={value}" for key, value in settings.items()),
            f"{mechanism.paper.venue} {mechanism.paper.year}",
            *_cost_cells(entry),
        )
    return table


def contract_table(findings: Sequence[Finding]) -> Table:
    """A line a question, a column a size: ✓ kept, ✗ broken, – the size is refused."""
    sizes = list(dict.fromkeys(finding.geometry.size for finding in findings))
    answers = {(finding.question, finding.geometry.size): finding.passed for finding in findings}
    table = Table(box=None)
    for heading in ("", *sizes):
        table.add_column(heading, justify="center" if heading else "left")
    for question in dict.fromkeys(finding.question for finding in findings):
        table.add_row(question, *(MARKS[answers.get((question, size))] for size in sizes))
    return table


def _title(rows: Sequence[Row], devices: Sequence[str]) -> str:
    record = rows[0].record
    machines = "; ".join(record.machine.describe(device, record.threads) for device in devices)
    return f"{machines}\n{setting_of(record)}"


def _caption(rows: Sequence[Row]) -> str:
    timings = [row.timing for row in measured(rows)]
    how = [how_measured(timings), verdicts(timings)] if timings else []
    return "\n".join([*facts(rows), *how, *what_is_open(rows)])


def _folded(text: str) -> str:
    """Two short lines of one long: intervals and units below what they belong to."""
    return re.sub(r" ([\[(]|limit)", r"\n\1", text).replace(", ", "–")


def _baselines(rows: Sequence[Row], device: str) -> list[str]:
    """What the speeds on a device are relative to; more than one where blocks differ."""
    found = [row.timing.baseline for row in measured(rows) if row.device == device and row.timing.baseline]
    return list(dict.fromkeys(found)) or [BASELINE]


def _changed(before: str, after: str) -> str:
    """A value, or both where they differ."""
    return after if before == after else f"{before} → {after}"


def _count(count: int | None) -> str:
    return "—" if count is None else f"{count:,}"


def _change_caption(changes: Sequence[Change]) -> str:
    compared = [change for change in changes if change.speed]
    if not compared:
        return "counts only"
    both = [row for change in compared for row in (change.before, change.after)]
    controls = sorted({change.after.record.title for change in changes if change.control})
    relative = f" relative to {', '.join(controls)}, whose code is the same in both" if controls else ""
    floors = [change.noise_floor for change in compared]
    timings = [row.timing for row in measured(both)]
    meaning = f"× before: how many times as fast the later run is{relative}"
    return "\n".join([meaning, how_measured(timings, floors), verdicts(timings), *what_is_open(both)])


def _cost_cells(entry: Entry) -> list[str]:
    paper = entry.published
    return [
        NOTHING if entry.params is None else f"{entry.params / 1e6:.2f}",
        f"{paper.params_m:.2f}" if paper else "",
        NOTHING if entry.macs is None else f"{entry.macs / 1e6:.1f}",
        f"{paper.flops_m:.1f}" if paper else "",
    ]


def _speed_cells(row: Row | None) -> list[str]:
    if row is None:
        return [""] * 7
    speeds = [text(row) for column in (THROUGHPUT, SPEED) for text in (column.text, column.published_text)]
    share = LIMIT.shown(row)
    return [MEMORY.text(row), *speeds, _coloured(verdict(row)), share.value if share else NOTHING]


def _coloured(verdict: str) -> str:
    """A verdict, in its colour where it has one; tables print that only where there are colours."""
    return f"[{COLOURS[verdict]}]{verdict}[/]" if verdict in COLOURS else verdict
