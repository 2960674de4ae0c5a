"""What a reader must know beside a table, a line each."""

from collections.abc import Sequence
from itertools import combinations
from statistics import median

from attnbench.analysis.advice import advice, emulation
from attnbench.analysis.energy import idle_w
from attnbench.analysis.mixing import expected, share_of_work
from attnbench.analysis.orders import Agreement
from attnbench.analysis.rows import Row, believed, grouped, measured
from attnbench.cases.variant import PLAIN
from attnbench.machine.devices import device_of
from attnbench.paper import processor, remark
from attnbench.records.cost import CheckResult, Entry, Point, branch_titles, divided, points_of
from attnbench.records.record import Record
from attnbench.report.columns import SPEED
from attnbench.report.convergence import convergence_notes, later_baselines
from attnbench.statistics import LEAST_ROUNDS
from attnbench.words import plural, readable

NOISY = 0.2  # a noise floor from which on speeds say little


def notes(rows: Sequence[Row]) -> list[str]:
    """What a reader must know beside the table: rows without a time, counts that differ, too few rounds."""
    lines = _machine_notes(rows) + _notes_on_rows(rows)
    with_time = measured(rows)
    lines += later_baselines(rows)
    lines += convergence_notes(believed(rows))
    launch_bound = dict.fromkeys(row.record.case.title for row in with_time if row.timing.launch_bound)
    if launch_bound:
        lines.append(f"Launch-bound, the host takes longer than the device: {', '.join(launch_bound)}.")
    paced = dict.fromkeys(row.record.case.title for row in with_time if any(row.record.sampled("host_paced")))
    if paced:
        lines.append(f"Timed at the host's pace, which the device waited for: {', '.join(paced)}.")
    pauses = sum(sum(row.record.sampled("paused")) for row in with_time)
    if pauses:
        where = dict.fromkeys(row.record.case.title for row in with_time if any(row.record.sampled("paused")))
        lines.append(
            f"The measuring process stood still in {plural(pauses, 'sample')} of {', '.join(where)}: it was "
            "stopped, or the machine slept. Medians and intervals see it as one slow round."
        )
    lines += _mixing_notes(rows)
    lines += _backend_notes(with_time)
    lines += _emulation_notes(with_time)
    devices = {row.device: device_of(row.device) for row in with_time}
    lines += [
        f"Memory is not measured on {device.title}, whose allocator keeps no peak."
        for device in devices.values()
        if not device.keeps_peak
    ]
    lines += [
        f"Energy is not measured on {device.title}: it has no counter that may be read here."
        for name, device in devices.items()
        if _lacks_energy([row for row in with_time if row.device == name])
    ]
    lines += _idle_notes(with_time)
    if any(row.timing.rounds < LEAST_ROUNDS for row in with_time):
        lines.append(
            f"Fewer than {LEAST_ROUNDS} rounds give no interval; --max-seconds gives them more time."
        )
    return lines + _published_notes(rows)


def _machine_notes(rows: Sequence[Row]) -> list[str]:
    """That a run is from machines of several kinds, and what each measured; nothing of one."""
    kinds = grouped(rows, lambda row: row.record.machine_kind)
    if len(kinds) < 2:
        return []
    told = [
        f"{plural(len(mine), 'row')} on {record.conditions.machine.describe(mine[0].device, threads)}"
        for mine in kinds
        if (record := mine[0].record) and (threads := record.conditions.threads)
    ]
    return [
        f"Measured on {plural(len(kinds), 'kind')} of machine, which have tables of their own and share no "
        f"ratio, verdict or limit: {'; '.join(told)}."
    ]


def _lacks_energy(rows: Sequence[Row]) -> bool:
    """Whether energy was asked for and no row has any."""
    asked = any(row.record.conditions.protocol.energy_s for row in rows)
    return asked and not any(row.record.energies for row in rows)


def _idle_notes(rows: Sequence[Row]) -> list[str]:
    """What a device draws without any layer, beside which the energy of layers is to be read."""
    known: dict[str, list[float]] = {}
    for row in rows:
        if idle := idle_w(row):
            known.setdefault(device_of(row.device).title, []).append(idle.value)
    return [
        f"The {title} draws {median(watts):.3g} W before it has anything to do, which its energy includes."
        for title, watts in known.items()
    ]


def _emulation_notes(rows: Sequence[Row]) -> list[str]:
    lines = (
        emulation(row.record.conditions.flags, [row.record.case.variant.computed], row.device) for row in rows
    )
    return list(dict.fromkeys(line for those in lines for line in those))


def _mixing_notes(rows: Sequence[Row]) -> list[str]:
    """How much of models is what stands in their slots, and what the times of that alone make one expect."""
    shares = {row.record.case.title: share for row in rows if (share := share_of_work(row)) is not None}
    told = ", ".join(f"{title} {100 * share:.0f} %" for title, share in shares.items())
    bound = "The mixers' share of multiply-adds, which bounds what a faster one brings"
    lines = [f"{bound}: {told}."] if shares else []
    return lines + [
        f"By the times of their layers alone {each.row.record.case.title} would be {each.speed:.2f} × "
        f"{each.baseline.record.case.title} ({each.row.where}); it is {SPEED.text(each.row)}."
        for each in expected(rows)
    ]


def _backend_notes(rows: Sequence[Row]) -> list[str]:
    """Which of torch's forms of fused attention ran, and for whom where it was not one for all.

    A layer that calls it by itself runs it under every kernel, which its rows' kernel does not say.
    """
    ran: dict[str, dict[str, None]] = {}
    unasked: dict[str, dict[str, None]] = {}
    for row in rows:
        record = row.record
        asked = {"fused": ran, PLAIN.kernel: unasked}.get(record.case.variant.kernel, {})
        for backend in record.backends:
            asked.setdefault(backend, {})[record.case.title] = None
    lines = [f"Fused attention ran as {backend} in {', '.join(titles)}." for backend, titles in ran.items()]
    if len(ran) == 1:
        lines = [f"Fused attention ran as {next(iter(ran))}."]
    return lines + [
        f"Not explicit: {', '.join(titles)}, whose own code asks for torch's fused attention, which ran as "
        f"{backend} under every kernel."
        for backend, titles in unasked.items()
    ]


def remarks(rows: Sequence[Row]) -> list[str]:
    """What is to be said of single rows: why one has no time, and why a count is not the published one."""
    return _notes_on_rows(rows) + _published_notes(rows)


def disturbances(rows: Sequence[Row]) -> list[str]:
    """What disturbed the measurement of blocks: each advice once, with the first setting that it is for."""
    lines: dict[str, str] = {}
    for row in {row.record.block: row for row in rows}.values():
        where = f"{row.setting}: "
        for line in advice(row.record.witnesses, row.record.conditions.threads):
            lines.setdefault(line, where)
    return [where + line for line, where in lines.items()]


def agreement(agreements: Sequence[Agreement]) -> list[str]:
    """How far the order of our throughputs is the paper's, a line a device, variant and number of threads."""
    lines = []
    for each in agreements:
        threads = plural(each.threads, "thread") if each.threads else ""
        ways = ", ".join(filter(None, [each.variant.name, threads]))
        how = f" ({ways})" if ways else ""
        lines.append(
            f"{each.device.upper()}{how}: Kendall's τ with the paper's order ({processor(each.device)}) is "
            f"{each.kendall_tau:.2f} over {each.mechanisms} mechanisms."
        )
    return lines


def registry_notes(entries: Sequence[Entry]) -> list[str]:
    """Why a mechanism has no cost, and why a cost differs from the published one."""
    refusals = [f"{entry.choice.label}: {entry.refusal}" for entry in entries if entry.refusal]
    counts = [
        f"{entry.choice.label}: {line}"
        for entry in entries
        for line in _count_remarks(entry.macs, entry.uncounted, entry.macs_of_another)
    ]
    remarks = [
        f"{e.published.title}: {e.published.note}." for e in entries if e.published and e.published.note
    ]
    return refusals + counts + remarks


def flops_notes(points: Sequence[Point]) -> list[str]:
    """Where a choice has no meaning, and where one of its branches starts to cost more than another."""
    refusals = [
        f"{point.choice.title} ({point.geometry.size}): {point.refusal}" for point in points if point.refusal
    ]
    crossovers = []
    for choice in divided(points):
        mine = [point for point in points_of(choice, points) if point.branches]
        for first, second in combinations(branch_titles(mine), 2):
            dearer = [point for point in mine if point.branch(second) > point.branch(first)]
            crossovers.append(f"{choice.title}: {second} costs {_where(dearer, mine, first)}.")
    return refusals + crossovers


def contract_notes(findings: Sequence[CheckResult]) -> list[str]:
    """What failed and why, which sizes are refused and why, and remarks; what several sizes share is one."""
    sizes: dict[tuple[str, str], list[str]] = {}
    for finding in findings:
        if finding.detail:
            what = {None: "refused", False: finding.question, True: "note"}[finding.passed]
            sizes.setdefault((what, finding.detail), []).append(finding.geometry.size)
    return [f"{', '.join(where)}, {what}: {detail}" for (what, detail), where in sizes.items()]


def _count_remarks(macs: int | None, uncounted: Sequence[str], macs_of_another: int | None) -> list[str]:
    """What a count is not: whole, or the same for every image."""
    lines = []
    if uncounted:
        lines.append(f"FLOPs are a lower bound; no formula for {', '.join(uncounted)}.")
    if macs_of_another is not None:
        lines.append(
            f"FLOPs depend on the image: {macs or 0:,} multiply-adds of one, {macs_of_another:,} of another."
        )
    return lines


def _published_notes(rows: Sequence[Row]) -> list[str]:
    notes = {row.published.title: row.published.note for row in rows if row.published and row.published.note}
    columns = dict.fromkeys(remark(row.device) for row in rows if row.published)
    return [f"{title}: {note}." for title, note in notes.items()] + [line for line in columns if line]


def _notes_on_rows(rows: Sequence[Row]) -> list[str]:
    """What is to be said of single rows, once for all of which it is true."""
    said: dict[str, list[Row]] = {}
    for row in rows:
        for line in [*_remarks(row.record), *_doubts(row)]:
            said.setdefault(line, []).append(row)
    return [f"{_named(those)}: {line}" for line, those in said.items()]


def _remarks(record: Record) -> list[str]:
    """What is to be said of a record, behind its name and a colon."""
    lines = []
    if record.outcome != "measured":
        lines.append(f"{readable(record.outcome)}: {record.reason}")
    elif record.reason:
        lines.append(record.reason)
    lines += _count_remarks(
        record.macs, record.uncounted, record.cost.macs_of_another if record.cost else None
    )
    if None not in (record.macs, record.macs_closed_form) and record.macs != record.macs_closed_form:
        lines.append(
            f"{record.macs:,} multiply-adds counted, but the closed form is {record.macs_closed_form:,}."
        )
    if record.reference:
        lines.append(f"{record.reference}.")
    if record.unchecked:
        lines.append(f"not compared with a new layer after its samples: {record.unchecked}.")
    if record.batch_note:
        lines.append(f"{record.batch_note}.")
    if record.put_right:
        lines.append(
            f"it changes {', '.join(record.put_right)} for all layers; that was put right each time."
        )
    if record.memory and not record.memory.repeatable:
        lines.append("memory differed from call to call; the larger number is shown.")
    return lines


def _doubts(row: Row) -> list[str]:
    """Why no verdict rests on a row, behind its name and a colon."""
    if not (row.timing and row.timing.impossible):
        return []
    return [
        "faster than this machine's matmul and copy, timed in the same rounds, can do what it must at least. "
        "Either they were disturbed, so that a quieter machine or more --sessions shows it, or the layer "
        "does not do its work in every call."
    ]


def _named(rows: Sequence[Row]) -> str:
    """Mechanisms, those together that share settings: `MSA, XCA (cpu 7x7 batch 4: tf32 math)`."""
    alike: dict[tuple[str, ...], list[str]] = {}
    for mine in grouped(rows, lambda row: row.record.case.label):
        settings = tuple(map(_setting_of, grouped(mine, lambda row: row.setting)))
        alike.setdefault(settings, []).append(mine[0].record.case.title)
    return ", ".join(f"{', '.join(titles)} ({'; '.join(settings)})" for settings, titles in alike.items())


def _setting_of(rows: Sequence[Row]) -> str:
    """Where rows are that differ in their variant alone; the plain one goes without saying, by itself."""
    variants = [row.record.case.variant for row in rows]
    if variants == [PLAIN]:
        return rows[0].setting
    return f"{rows[0].setting}: {', '.join(variant.brief for variant in variants)}"


def _where(dearer: Sequence[Point], points: Sequence[Point], other: str) -> str:
    """At which of the sizes, which are sorted, a branch costs more than the other."""
    sizes = [point.geometry.size for point in dearer]
    if not dearer:
        return f"no more than {other} at any of these sizes"
    if len(dearer) == len(points):
        return f"more than {other} at all of these sizes"
    if list(dearer) == list(points[-len(dearer) :]):
        return f"more than {other} from {sizes[0]} on"
    return f"more than {other} at {', '.join(sizes)}"


def too_noisy(rows: Sequence[Row]) -> list[str]:
    """What stands above all where speeds are not usable: how noisy it was, and the first of the reasons."""
    floors = [row.timing.noise_floor or 0.0 for row in measured(rows)]
    if max(floors, default=0.0) <= NOISY:
        return []
    why = next(iter(disturbances(rows)), "something else was at work on this machine.")
    return [f"Not usable: two identical layers differed by up to {100 * max(floors):.0f} %. {why}"]
