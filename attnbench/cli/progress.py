"""What `attnbench run` shows while it measures: a bar with the time left, and the estimates so far."""

import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table

from attnbench.analysis.advice import emulation
from attnbench.cases.case import Block, Role
from attnbench.cases.protocol import Protocol
from attnbench.records.journal import Allocated, Began, Checked, Fact, Failed, Timed, Warmed
from attnbench.report.terminal.grid import Grid, GridColumn
from attnbench.run.plan import Forecast, Planned
from attnbench.words import duration, plural

REFRESH_HZ = 1  # drawing costs milliseconds of a core that is being measured on
TWIN = "an identical layer; how far its ratio is from 1 is noise"


def plan_lines(
    plan: Sequence[Planned],
    left: Sequence[Planned],
    protocol: Protocol,
    expected: Sequence[Forecast],
    path: Path,
) -> list[str]:
    """What is about to happen, and for how long; what will not be timed, and why; what is there already."""
    lines, blocks = [], [planned.block for planned in plan]
    there = sum(len(planned.block.members) for planned in plan) - sum(
        len(planned.block.members) for planned in left
    )
    if there:
        lines.append(f"Already in {path}: {plural(there, 'row')} of this plan; --fresh measures them again.")
    for planned, forecast in zip(left, expected, strict=True):
        members = plural(len(planned.block.members), "row")
        lines.append(
            f"{planned.block.name_among(blocks)}: {members}, {plural(protocol.sessions, 'session')}, "
            f"until ±{100 * protocol.precision:g} % or {duration(protocol.max_seconds)} of timing: "
            f"about {plural(forecast.rounds, 'round')} in {duration(forecast.seconds)}"
        )
        lines += [f"  {note}" for note in [planned.block.batch_note] if note]
        formats = dict.fromkeys(case.variant.computed for case in planned.block.members)
        device = planned.block.cases[0].device
        lines += [f"  {line}" for line in emulation(planned.environment.flags, formats, device)]
        lines += [
            f"  not timed: {case.heading}, {fact.outcome}: {fact.reason}" for case, fact in planned.unfit
        ]
    if left:
        total_s = sum(forecast.seconds for forecast in expected)
        lines.append(
            f"This takes about {duration(total_s)}; Ctrl-C keeps what is measured by then, and the same "
            "command goes on."
        )
    return lines


class Progress:
    """A live display of one run, fed with facts; where nothing can move it says only when a block begins."""

    def __init__(
        self,
        console: Console,
        blocks: Sequence[Block],
        protocol: Protocol,
        expected: Sequence[Forecast],
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self.console = console
        self.blocks = blocks
        self.names = [block.name_among(blocks) for block in blocks]
        self.protocol = protocol
        self.expected_s = [forecast.seconds for forecast in expected]
        self.now = now
        self.began = now()
        self.block: int | None = None
        self.session = 0
        self.block_began = self.began
        self.states: dict[int, str] = {}
        self.times_s: dict[int, list[float]] = defaultdict(list)
        self.rounds: dict[int, set[tuple[int, int]]] = defaultdict(set)
        self.live = Live(
            console=console, refresh_per_second=REFRESH_HZ, transient=True, get_renderable=self.render
        )

    def __enter__(self) -> Self:
        if self.console.is_interactive:
            self.live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.live.stop()

    def watch(self, block: int, fact: Fact) -> None:
        """Take in a fact of the block of this index."""
        if block != self.block:
            self._begin(block)
        match fact:
            case Began():
                self.session = fact.session
            case Checked():
                self.states[fact.case] = "checked"
            case Allocated():
                self.states[fact.case] = (
                    f"{fact.memory.peak_bytes / 2**20:,.1f} MiB" if fact.memory else "called"
                )
            case Warmed():
                self.states[fact.case] = "warm"
            case Failed():
                self.states[fact.case] = fact.outcome
            case Timed():
                self.times_s[fact.case].append(fact.sample.seconds)
                self.rounds[fact.case].add((fact.sample.session, fact.sample.round))

    def left_s(self) -> float:
        """The time that is left by estimate; a block that takes longer than that is about to end."""
        if self.block is None:
            return sum(self.expected_s)
        gone_s = self.now() - self.block_began
        return max(0.0, self.expected_s[self.block] - gone_s) + sum(self.expected_s[self.block + 1 :])

    def render(self) -> RenderableType:
        """The bar, and under it a line a mechanism."""
        if self.block is None:
            return "starting the worker …"
        block = self.blocks[self.block]
        cases = {index: case for index, case in enumerate(block.cases) if case.role is not Role.ceiling}
        heading = f"{self.names[self.block]}, session {self.session + 1} of {self.protocol.sessions}"
        columns = [
            GridColumn(heading, [case.heading for case in cases.values()], wraps=True),
            GridColumn("img/s so far", [self._speed(block, index) for index in cases]),
            GridColumn("rounds", [f"{len(self.rounds.get(index, ()))}" for index in cases]),
            GridColumn("", [self._state(index) for index in cases], justify="left"),
        ]
        twins = [case.heading for case in cases.values() if case.role is Role.twin]
        explained = [f"{twin}: {TWIN}" for twin in twins]
        return Group(self._bar(), Grid(columns, caption="\n".join(explained), ruled=False))

    def _speed(self, block: Block, index: int) -> str:
        """Images per second so far, of a case that has a time."""
        times_s = self.times_s.get(index)
        return f"{block.workload.batch / median(times_s):,.0f}" if times_s else ""

    def _state(self, index: int) -> str:
        """How far a case has come that has no time yet."""
        return "" if self.times_s.get(index) else self.states.get(index, "…")

    def _begin(self, block: int) -> None:
        self.block, self.session, self.states = block, 0, {}
        self.times_s, self.rounds = defaultdict(list), defaultdict(set)
        self.block_began = self.now()
        if not self.console.is_interactive:
            self.console.print(f"measuring {self.names[block]} …")

    def _bar(self) -> Table:
        gone_s, left_s = self.now() - self.began, self.left_s()
        bar = Table.grid(padding=(0, 1))
        text = f"{duration(gone_s)} gone, about {duration(left_s)} left"
        bar.add_row(ProgressBar(total=max(gone_s + left_s, 1e-9), completed=gone_s, width=40), text)
        return bar
