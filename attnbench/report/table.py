"""Tables for the terminal. Scaling to millions and rounding happen here, not before."""

from collections.abc import Sequence

from rich.table import Table

from attnbench.catalogue import Entry
from attnbench.findings import Finding
from attnbench.paper import DEVICES, Published, claims
from attnbench.report.metrics import BASELINE, Row, measured, published_ratio, speed_of, verdict
from attnbench.statistics import LEAST_ROUNDS, Estimate, rank_correlation

MARKS = {True: "✓", False: "✗", None: "–"}
CONVENTION = "1 FLOP = 1 multiply-add, forward pass of one image"


def result_table(rows: Sequence[Row]) -> Table:
    """Table IV for the rows of one size: ours on each device, the published figures beside them."""
    devices = list(dict.fromkeys(row.device for row in rows))
    table = Table(title=_title(rows, devices), caption=_caption(rows), caption_justify="left")
    table.add_column("Mechanism", no_wrap=True)
    for heading in ("Params (M)", "paper", "FLOPs (M)", "paper"):
        table.add_column(heading, justify="right", no_wrap=True, style="dim" if heading == "paper" else "")
    for device in devices:
        for heading in (f"{device.upper()} img/s [95 %]", "paper", f"× {BASELINE.upper()} [95 %]", "paper"):
            table.add_column(heading, justify="right", style="dim" if heading == "paper" else "")
    for label in dict.fromkeys(row.record.label for row in rows):
        mine = {row.device: row for row in rows if row.record.label == label}
        first = next(iter(mine.values()))
        cost = _cost_cells(
            first.record.params, first.record.macs, first.published, bool(first.record.uncounted)
        )
        speeds = [cell for device in devices for cell in _speed_cells(mine.get(device))]
        table.add_row(first.record.title, *cost, *speeds)
    return table


def notes(rows: Sequence[Row]) -> list[str]:
    """What a reader must know beside the table: rows without a time, counts that differ, too few rounds."""
    found = []
    for row in rows:
        record, name = row.record, f"{row.record.title} ({row.device} {row.size})"
        if record.outcome != "measured":
            found.append(f"{name} is {record.outcome}: {record.reason}")
        elif record.reason:
            found.append(f"{name}: {record.reason}")
        if record.uncounted:
            found.append(f"{name}: FLOPs are a lower bound; no formula for {', '.join(record.uncounted)}.")
        if record.macs is not None and record.macs != record.macs_closed_form:
            promised = f"{record.macs_closed_form:,}" if record.macs_closed_form is not None else "missing"
            found.append(f"{name}: {record.macs:,} multiply-adds counted, but its closed form is {promised}.")
    with_time = measured(rows)
    launch_bound = [row.record.title for row in with_time if row.timing.launch_bound]
    if launch_bound:
        found.append(f"Launch-bound, the host takes longer than the device: {', '.join(launch_bound)}.")
    if any(row.timing.rounds < LEAST_ROUNDS for row in with_time):
        found.append(
            f"Fewer than {LEAST_ROUNDS} rounds give no interval; --max-seconds gives them more time."
        )
    papers = {row.published.title: row.published.note for row in rows if row.published and row.published.note}
    return found + [f"{title}: {note}." for title, note in papers.items()]


def agreement(rows: Sequence[Row]) -> list[str]:
    """How far the order of our throughputs is the paper's, a line a device."""
    lines = []
    for device in dict.fromkeys(row.device for row in rows):
        pairs = [
            (row.timing.throughput.value, row.published.imgs_per_s(device))
            for row in measured(rows)
            if row.device == device and row.published
        ]
        if len(pairs) > 1:
            ours, theirs = zip(*pairs, strict=True)
            lines.append(
                f"{device.upper()}: Kendall's τ with the paper's order ({DEVICES[device]}) is "
                f"{rank_correlation(ours, theirs):.2f} over {len(pairs)} mechanisms."
            )
    return lines


def claims_table(rows: Sequence[Row]) -> Table:
    """The paper's sentences about single layers, and whether they hold in these rows."""
    table = Table(title="The paper's sentences, on this machine", title_justify="left")
    for heading in ("Claim", "Paper", "Ours [95 %]"):
        table.add_column(heading, justify="left" if heading == "Claim" else "right")
    table.add_column("On this machine")
    in_the_papers_setting = [row for row in rows if row.published]
    for claim in claims():
        ours = speed_of(claim.faster, claim.slower, claim.device, in_the_papers_setting)
        sentence = f"{claim.faster} is faster than {claim.slower} on a {claim.device.upper()}"
        table.add_row(sentence, f"{claim.ratio:g}×", _estimate(ours) if ours else "—", verdict(claim, ours))
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


def registry_notes(entries: Sequence[Entry]) -> list[str]:
    """Why a mechanism has no cost, and why a cost differs from the published one."""
    refusals = [f"{entry.choice.mechanism.name}: {entry.refusal}" for entry in entries if entry.refusal]
    remarks = [
        f"{e.published.title}: {e.published.note}." for e in entries if e.published and e.published.note
    ]
    return refusals + remarks


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


def contract_notes(findings: Sequence[Finding]) -> list[str]:
    """What failed and why, and which sizes are refused and why."""
    notes = []
    for finding in findings:
        if not finding.passed:
            what = "refused" if finding.passed is None else finding.question
            notes.append(f"{finding.geometry.size}, {what}: {finding.detail}")
    return notes


def _title(rows: Sequence[Row], devices: Sequence[str]) -> str:
    record = rows[0].record
    machines = "; ".join(record.machine.describe(device, record.threads) for device in devices)
    setting = (
        f"{record.height}×{record.width} tokens, dim {record.dim}, {record.heads} heads, "
        f"batch {record.batch}, {record.dtype}, {record.kernel} kernel, {record.mode}"
    )
    return f"{machines}\n{setting}"


def _caption(rows: Sequence[Row]) -> str:
    timings = [row.timing for row in measured(rows)]
    fewest, most = (f(timing.rounds for timing in timings) if timings else 0 for f in (min, max))
    rounds = f"{most} paired rounds" if fewest == most else f"{fewest} to {most} paired rounds"
    sessions = max((timing.sessions for timing in timings), default=0)
    ours = f"medians of {rounds} in {sessions} session{'s' * (sessions != 1)}, 95 % bootstrap intervals"
    theirs = f"; paper: Table IV, batch 64, {' and '.join(DEVICES.values())}"
    return f"{CONVENTION}; {ours}{theirs if any(row.published for row in rows) else ''}"


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
        return ["", "", "", ""]
    theirs = published_ratio(row)
    return [
        _estimate(row.timing.throughput) if row.timing else row.record.outcome,
        f"{row.published.imgs_per_s(row.device):,}" if row.published else "",
        _estimate(row.timing.speed) if row.timing and row.timing.speed else "—",
        f"{theirs:.2f}" if theirs else "",
    ]


def _estimate(estimate: Estimate) -> str:
    """`158 [155, 161]`: three significant digits, whole numbers from a hundred on."""
    if estimate.low is None or estimate.high is None:
        return _number(estimate.value)
    return f"{_number(estimate.value)} [{_number(estimate.low)}, {_number(estimate.high)}]"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"
