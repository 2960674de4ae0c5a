"""How sure speeds are: intervals that stayed wide, verdicts that are open, and what helps."""

import math
from collections.abc import Sequence

from attnbench.analysis.rows import Measured, Row, believed, identity, measured
from attnbench.cases.protocol import Protocol
from attnbench.statistics import MARGIN, Verdict
from attnbench.words import duration

LONG_S = 3600.0  # what would take longer is told in other words


def convergence_notes(rows: Sequence[Measured]) -> list[str]:
    """What more time or more processes would mend: intervals wider than was asked, and open verdicts."""
    lines = []
    wide = [row for row in rows if not row.timing.converged]
    if wide:
        protocol = wide[0].record.conditions.protocol
        lines.append(
            f"Not within ±{100 * protocol.precision:g} % after {protocol.max_seconds:g} s: {_names(wide)}. "
            "--max-seconds gives them more time, --precision asks for less."
        )
    lines += unclear_notes(rows)
    if rows and max(row.timing.sessions for row in rows) == 1:
        lines.append("One session only: a second process may give other ratios; --sessions 3 asks three.")
    return lines


def unclear_notes(rows: Sequence[Row]) -> list[str]:
    """Why verdicts are unclear, and what would mend that."""
    lines = []
    unclear = [row for row in believed(rows) if row.timing.verdict is Verdict.unclear]
    needed_s = max(map(_needed_s, unclear), default=0.0)
    if needed_s:
        need = _need(needed_s, unclear[0].record.conditions.protocol)
        lines.append(f"Unclear: {_names(unclear)}. {need}")
    apart = [row for row in unclear if _sessions_disagree(row)]
    if apart:
        spread = max(row.timing.speed_spread or 0.0 for row in apart)
        lines.append(
            f"Unclear because sessions differ, by up to {100 * spread:.0f} %: {_names(apart)}. What a "
            "process is dealt, its memory above all, decides so much here; --sessions 10 asks more of them."
        )
    possible = {(row.record.block, row.record.case.label) for row in believed(rows)}
    with_baseline = [row for row in unclear if (row.record.block, row.timing.baseline) in possible]
    near = [row for row in with_baseline if row not in apart and _is_precise(row)]
    if near and not needed_s:
        lines.append(
            f"Unclear, though as precise as was asked: {_names(near)}. Such a ratio lies too near to what "
            f"still counts as the same, ±{100 * MARGIN:g} %, for what sessions and noise floor leave open; "
            "--precision and --sessions ask more."
        )
    return lines


def later_baselines(rows: Sequence[Row]) -> list[str]:
    """Which ratios are to another measurement of the baseline than the row that stands for it."""
    shown = {identity(row.record): row.record for row in rows}
    others: dict[tuple[str, str], list[Measured]] = {}
    for row in measured(rows):
        beside = row.timing.beside
        there = shown.get(identity(beside)) if beside and row.timing.speed else None
        if beside and there and there.block != beside.block:
            is_later = beside.conditions.started_at > there.conditions.started_at
            others.setdefault((there.case.title, "a later" if is_later else "an earlier"), []).append(row)
    return [
        f"{_names(those)}: compared with {when} measurement of {title} than its row has, timed in turn."
        for (title, when), those in others.items()
    ]


def _names(rows: Sequence[Row]) -> str:
    return ", ".join(dict.fromkeys(row.record.case.title for row in rows))


def _is_precise(row: Measured) -> bool:
    """Whether a ratio's interval is as narrow as was asked."""
    speed = row.timing.speed
    return speed is not None and speed.within(row.record.conditions.protocol.precision)


def _sessions_disagree(row: Measured) -> bool:
    """Whether the speeds of sessions are further apart than what counts as the same."""
    return row.timing.sessions > 1 and (row.timing.speed_spread or 0.0) > MARGIN


def _needed_s(row: Measured) -> float:
    """How many seconds more make a ratio's interval as narrow as was asked; 0 where it is, or nobody knows.

    Intervals narrow with the root of the rounds.
    """
    speed, precision = row.timing.speed, row.record.conditions.protocol.precision
    if speed is None or not math.isfinite(speed.half_width) or speed.within(precision):
        return 0.0
    spent_s = sum(witness.wall_s for witness in row.record.witnesses)
    return spent_s * ((speed.half_width / precision) ** 2 - 1)


def _need(seconds: float, protocol: Protocol) -> str:
    """How much longer the precision takes that was asked for, and how to ask for that."""
    what = f"±{100 * protocol.precision:g} % needs"
    if seconds > LONG_S:
        return f"{what} hours more here; a quieter machine helps more."
    whole_s = 10 * math.ceil((protocol.max_seconds + seconds) / 10)
    return f"{what} about {duration(whole_s - protocol.max_seconds)} more: --max-seconds {whole_s} gives it."
