"""Tables for the terminal. Scaling to millions and rounding happen here, not before."""

from collections.abc import Sequence
from itertools import compress

from rich.box import HEAVY_HEAD, SIMPLE_HEAD
from rich.table import Table

from attnbench.catalogue import Entry
from attnbench.findings import Finding
from attnbench.paper import DEVICES, Published
from attnbench.record import Record
from attnbench.report.difference import Change
from attnbench.report.metrics import Row, Timing, measured, published_ratio
from attnbench.statistics import MARGIN, Estimate, Verdict
from attnbench.sweep import BASELINE, Mode
from attnbench.words import many

PAPER = "paper"
INTERVAL_LETTERS = len("[0.67–0.70]")
OPEN = "~"
COLOURS: dict[str, str] = {Verdict.faster: "green", Verdict.slower: "red"}
MARKS = {True: "✓", False: "✗", None: "–"}
MEMORY = "memory = the most that one call allocates beyond weights and input, by torch's allocator"
TRAINING = "training = forward and backward to parameters and input; FLOPs stay those of the forward pass"
CONVENTION = "1 FLOP = 1 multiply-add, forward pass of one image"
VERDICTS = (
    f"same = within ±{100 * MARGIN:g} %; faster and slower are corrected for all rows together and agree in "
    "all sessions"
)


def result_table(rows: Sequence[Row], *, narrow: bool = False) -> Table:
    """Table IV for the rows of one size: ours on each device, the published figures beside them, verdicts.

    The paper's columns are left out where no row is in the paper's setting, and in a `narrow` table.
    """
    with_paper = not narrow and any(row.published for row in rows)
    devices = list(dict.fromkeys(row.device for row in rows))
    headings = ["Mechanism", "Params (M)", PAPER, "FLOPs (M)", PAPER]
    for device in devices:
        relative = f"× {' / '.join(_baselines(rows, device)).upper()} [95 %]"
        memory = "Memory (MiB)" if len(devices) == 1 else f"{device.upper()} memory (MiB)"
        speed = f"{device.upper()} img/s [95 %]"
        headings += [memory, speed, PAPER, relative, PAPER, "verdict", "of limit"]
    with_memory = any(row.record.memory for row in rows)
    shown = [
        with_paper if heading == PAPER else with_memory or "memory" not in heading.lower()
        for heading in headings
    ]

    table = Table(
        title=_title(rows, devices),
        caption=_caption(rows),
        caption_justify="left",
        box=SIMPLE_HEAD if narrow else HEAVY_HEAD,
        padding=(0, 0) if narrow else (0, 1),
    )
    for heading in compress(headings, shown):
        if heading == "Mechanism":
            table.add_column(heading, no_wrap=True)
        else:
            least = INTERVAL_LETTERS if narrow and "95 %" in heading else None
            style = "dim" if heading == PAPER else ""
            table.add_column(heading, justify="right", style=style, min_width=least)
    for label in dict.fromkeys(row.record.label for row in rows):
        mine = {row.device: row for row in rows if row.record.label == label}
        first = next(iter(mine.values()))
        cost = _cost_cells(
            first.record.params, first.record.macs, first.published, bool(first.record.uncounted)
        )
        speeds = [cell for device in devices for cell in _speed_cells(mine.get(device))]
        cells = compress([first.record.title, *cost, *speeds], shown)
        table.add_row(*(cell.replace(", ", "–") if narrow else cell for cell in cells))
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
            _changed(_memory(before.record), _memory(after.record)),
            *(_throughput(row) for row in (before, after)),
            estimated(change.speed) if change.speed else "—",
            _coloured("control" if change.control else change.verdict or "—"),
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
            *_cost_cells(entry.params, entry.macs, entry.published),
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
    setting = (
        f"{record.height}×{record.width} tokens, dim {record.dim}, {record.heads} heads, "
        f"batch {record.batch}, {record.variant.title}, {record.mode}"
    )
    return f"{machines}\n{setting}"


def _caption(rows: Sequence[Row]) -> str:
    lines = [CONVENTION]
    if any(row.published for row in rows):
        lines[0] += f"; paper: Table IV, batch 64, {' and '.join(DEVICES.values())}"
    if any(row.record.memory for row in rows):
        lines.append(MEMORY)
    if any(row.record.mode is Mode.training for row in rows):
        lines.append(TRAINING)
    timings = [row.timing for row in measured(rows)]
    if timings:
        floors = [timing.noise_floor for timing in timings if timing.noise_floor is not None]
        lines += [how_measured(timings, floors), VERDICTS]
    return "\n".join(lines + what_is_open(rows))


def how_measured(timings: Sequence[Timing], floors: Sequence[float]) -> str:
    rounds = _span([timing.rounds for timing in timings], "paired round")
    sessions = _span([timing.sessions for timing in timings], "session")
    floor = f"; noise floor ±{100 * max(floors):.1f} %, from the baseline's twin" if floors else ""
    return f"medians of {rounds} in {sessions}, 95 % bootstrap intervals{floor}"


def what_is_open(rows: Sequence[Row]) -> list[str]:
    """What the mark of a row that did not converge means, where there is one."""
    wide = [row.record.protocol.precision for row in measured(rows) if not row.timing.converged]
    return [f"{OPEN} = not within ±{100 * min(wide):g} % when time was over"] if wide else []


def _span(numbers: Sequence[int], noun: str) -> str:
    fewest, most = min(numbers), max(numbers)
    return many(most, noun) if fewest == most else f"{fewest} to {many(most, noun)}"


def _baselines(rows: Sequence[Row], device: str) -> list[str]:
    """What the speeds on a device are relative to; more than one where blocks differ."""
    found = [row.timing.baseline for row in measured(rows) if row.device == device and row.timing.baseline]
    return list(dict.fromkeys(found)) or [BASELINE]


def _changed(before: str, after: str) -> str:
    """A value, or both where they differ."""
    return after if before == after else f"{before} → {after}"


def _count(count: int | None) -> str:
    return "—" if count is None else f"{count:,}"


def _memory(record: Record) -> str:
    """MiB to the tenth: what a call allocates at most."""
    return f"{record.memory.peak_bytes / 2**20:,.1f}" if record.memory else "—"


def _change_caption(changes: Sequence[Change]) -> str:
    compared = [change for change in changes if change.speed]
    if not compared:
        return "counts only"
    both = [row for change in compared for row in (change.before, change.after)]
    floors = [change.noise_floor for change in compared if change.noise_floor is not None]
    controls = sorted({change.after.record.title for change in changes if change.control})
    relative = f" relative to {', '.join(controls)}, whose code is the same in both" if controls else ""
    how = how_measured([row.timing for row in measured(both)], floors)
    meaning = f"× before: how many times as fast the later run is{relative}"
    return "\n".join([meaning, how, VERDICTS, *what_is_open(both)])


def _cost_cells(
    params: int | None, macs: int | None, paper: Published | None, lower_bound: bool = False
) -> list[str]:
    return [
        "—" if params is None else f"{params / 1e6:.2f}",
        f"{paper.params_m:.2f}" if paper else "",
        "—" if macs is None else f"{'≥ ' * lower_bound}{macs / 1e6:.1f}",
        f"{paper.flops_m:.1f}" if paper else "",
    ]


def _speed_cells(row: Row | None) -> list[str]:
    if row is None:
        return [""] * 7
    theirs = published_ratio(row)
    paper = [
        f"{row.published.imgs_per_s(row.device):,}" if row.published else "",
        f"{theirs:.2f}" if theirs else "",
    ]
    if not row.timing:
        return [_memory(row.record), row.record.outcome, paper[0], "—", paper[1], "—", "—"]
    timing = row.timing
    return [
        _memory(row.record),
        _throughput(row),
        paper[0],
        estimated(timing.speed) if timing.speed else "1" if timing.baseline == row.record.label else "—",
        paper[1],
        _coloured(timing.verdict or ("baseline" if timing.baseline == row.record.label else "—")),
        f"{timing.limit.fraction.value:.2f}" if timing.limit else "—",
    ]


def _coloured(verdict: str) -> str:
    """A verdict, in its colour where it has one; that is seen only where there are colours."""
    return f"[{COLOURS[verdict]}]{verdict}[/]" if verdict in COLOURS else verdict


def _throughput(row: Row) -> str:
    """Images per second, marked where they are not as precise as was asked; or what became of the row."""
    if not row.timing:
        return row.record.outcome
    return f"{OPEN * (not row.timing.converged)}{estimated(row.timing.throughput)}"


def estimated(estimate: Estimate) -> str:
    """`158 [155, 161]`: three significant digits, whole numbers from a hundred on."""
    if estimate.low is None or estimate.high is None:
        return number(estimate.value)
    return f"{number(estimate.value)} [{number(estimate.low)}, {number(estimate.high)}]"


def number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"
