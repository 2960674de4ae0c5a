"""What stands over and under a table in any format: machine, setting, and how it was measured."""

from collections.abc import Callable, Sequence

from attnbench.analysis.rows import Row, Timing, believed, measured
from attnbench.cases.case import Mode
from attnbench.paper import DEVICES
from attnbench.report.column import IMPOSSIBLE, OPEN, OWN_KERNEL
from attnbench.report.columns import FLOPS, MEMORY
from attnbench.report.notes import remarks, too_noisy
from attnbench.report.paper_table import Group, PaperTable
from attnbench.report.spread import Spread
from attnbench.report.table_style import STYLE, TableStyle
from attnbench.statistics import MARGIN, Estimate
from attnbench.words import plural

TRAINING = "training = forward and backward to parameters and input; FLOPs stay those of the forward pass"
TABLE_OF_LAYERS = f"Table IV, batch 64, {' and '.join(DEVICES.values())}"
TABLES_OF_MODELS = f"Tables 1, 4, 5, 6 and III, batch 64, {DEVICES['cuda']}"
CONVENTION = "1 FLOP = 1 multiply-add, forward pass of one image"
CORRECTED = f"same = within ±{100 * MARGIN:g} %; faster and slower are corrected for all rows together"
VERDICTS = f"{CORRECTED} and go beyond the scatter between sessions"
PROVISIONAL = f"{CORRECTED}, and provisional, from one session"


def caption(paper_table: PaperTable) -> list[str]:
    """Sentences on a table: setting, machines, protocol, columns, and what is to be said of rows."""
    rows = paper_table.rows
    spread = paper_table.style.spread
    where = _by_group(paper_table, lambda group: group.machine)
    where += _by_group(paper_table, lambda group: _protocol(group, spread))
    what = [*facts(rows, paper_table.style), *what_marks_mean(rows), *remarks(rows)]
    lines = [*too_noisy(rows), *filter(None, [paper_table.setting])]
    return [*map(sentence, lines), *where, *map(sentence, what)]


def sentence(line: str) -> str:
    """A line of a caption in running text."""
    return f"{line[0].upper()}{line[1:].removesuffix('.')}."


def facts(rows: Sequence[Row], style: TableStyle = STYLE) -> list[str]:
    """What the columns of a table mean, those that it shows."""
    first = [CONVENTION] if style.shows(FLOPS) else []
    if style.shows_paper and any(row.published for row in rows):
        models = rows[0].record.case.workload.geometry.images
        first.append(f"paper: {TABLES_OF_MODELS if models else TABLE_OF_LAYERS}")
    lines = ["; ".join(first)] if first else []
    if style.shows(MEMORY) and any(row.record.memory for row in rows):
        lines.append(MEMORY.definition)
    if any(row.record.case.workload.mode is Mode.training for row in rows):
        lines.append(TRAINING)
    return lines


def how_measured(
    timings: Sequence[Timing], floors: Sequence[float | None] = (), spread: Spread = Spread.ci
) -> str:
    """How many rounds and sessions numbers come from, what stands behind them, and how noisy they were."""
    rounds = _span([timing.rounds for timing in timings], "paired round")
    sessions = _span([timing.sessions for timing in timings], "session")
    known = [floor for floor in floors or [timing.noise_floor for timing in timings] if floor is not None]
    noise = f"; noise floor {_floors(known)} %, from the baseline's twin" if known else ""
    intervals = f", {spread.told}" if any(has_interval(timing.time_s) for timing in timings) else ""
    return f"{spread.middle} of {rounds} in {sessions}{intervals}{noise}"


def has_interval(estimate: Estimate | None) -> bool:
    """Whether there were rounds enough for one."""
    return estimate is not None and estimate.low is not None


def verdicts(timings: Sequence[Timing]) -> str:
    """What verdicts mean, and how far those of one session may be believed."""
    return VERDICTS if any(timing.sessions > 1 for timing in timings) else PROVISIONAL


def what_marks_mean(rows: Sequence[Row]) -> list[str]:
    """What marks mean, where there are any: of what did not converge or cannot be, and of own kernels."""
    wide = [row.record.conditions.protocol.precision for row in believed(rows) if not row.timing.converged]
    found = [f"{OPEN} = not within ±{100 * min(wide):g} % when time was over"] if wide else []
    if any(row.timing.impossible for row in measured(rows)):
        found.append(f"{IMPOSSIBLE} = faster than this machine can do that work")
    if any(row.has_own_kernel for row in rows):
        found.append(
            f"{OWN_KERNEL} = its code asks for torch's fused attention by itself, whatever --kernel says"
        )
    return found


def _by_group(paper_table: PaperTable, tell: Callable[[Group], str]) -> list[str]:
    """What is true of all groups once, or else a sentence for each that has something to tell.

    Groups that say the same share a sentence, and one that begins as its group is called needs no name.
    """
    headings: dict[str, list[str]] = {}
    for group in paper_table.groups:
        headings.setdefault(tell(group), []).append(group.heading)
    if len(headings) == 1:
        return [sentence(line) for line in headings if line]
    return [_of_groups(names, line) for line, names in headings.items() if line]


def _of_groups(names: Sequence[str], line: str) -> str:
    if len(names) == 1 and line.startswith(names[0]):
        return sentence(line)
    return f"{', '.join(names)}: {line}."


def _protocol(group: Group, spread: Spread) -> str:
    timings = [row.timing for row in measured(group.rows)]
    return how_measured(timings, spread=spread) if timings else ""


def _floors(shares: Sequence[float]) -> str:
    """One noise floor as `±4.6`, those of several blocks as `±2.4 to ±4.6`."""
    return " to ".join(dict.fromkeys(f"±{100 * share:.1f}" for share in (min(shares), max(shares))))


def _span(numbers: Sequence[int], noun: str) -> str:
    fewest, most = min(numbers), max(numbers)
    return plural(most, noun) if fewest == most else f"{fewest} to {plural(most, noun)}"
