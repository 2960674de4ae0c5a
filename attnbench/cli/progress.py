"""What `attnbench run` shows while it measures: a bar with the time left, and the estimates so far."""

import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from statistics import median
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table

from attnbench.measure.facts import Fact, Failed, Timed, Warmed
from attnbench.sweep import Block, Protocol


def plan_lines(blocks: Sequence[Block], protocol: Protocol, expected_s: Sequence[float]) -> list[str]:
    """What is about to happen, and for how long."""
    lines = [
        f"{block.name}: {_number(len(block.cases), 'mechanism')}, up to {_number(protocol.rounds, 'round')} "
        f"in at most {_duration(protocol.max_seconds)}"
        for block in blocks
    ]
    return [*lines, f"This takes about {_duration(sum(expected_s))}; Ctrl-C keeps what is measured by then."]


class Progress:
    """A live display of one run, fed with facts; without a terminal it says only when a block begins."""

    def __init__(
        self,
        console: Console,
        blocks: Sequence[Block],
        protocol: Protocol,
        expected_s: Sequence[float],
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self.console = console
        self.blocks = blocks
        self.protocol = protocol
        self.expected_s = expected_s
        self.now = now
        self.began = now()
        self.block: int | None = None
        self.block_began = self.rounds_began = self.began
        self.states: dict[int, str] = {}
        self.times_s: dict[int, list[float]] = defaultdict(list)
        self.live = Live(console=console, refresh_per_second=4, transient=True, get_renderable=self.render)

    def __enter__(self) -> Self:
        self.live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.live.stop()

    def watch(self, block: int, fact: Fact) -> None:
        """Take in a fact of the block of this index."""
        if block != self.block:
            self._begin(block)
        match fact:
            case Warmed():
                self.states[fact.case] = "warm"
                self.rounds_began = self.now()
            case Failed():
                self.states[fact.case] = fact.outcome
            case Timed():
                self.times_s[fact.case].append(fact.sample.seconds)

    def left_s(self) -> float:
        """The time that is left: by the pace of this block's rounds, and by estimate for the others."""
        if self.block is None:
            return sum(self.expected_s)
        gone_s = self.now() - self.block_began
        left_s = self.expected_s[self.block] - gone_s
        done = min((len(times) for times in self.times_s.values()), default=0)
        if done:
            by_rounds = (self.now() - self.rounds_began) / done * (self.protocol.rounds - done)
            left_s = min(by_rounds, self.protocol.max_seconds - gone_s)
        return max(0.0, left_s) + sum(self.expected_s[self.block + 1 :])

    def render(self) -> RenderableType:
        """The bar, and under it a line a mechanism."""
        if self.block is None:
            return "starting the worker …"
        block = self.blocks[self.block]
        table = Table(box=None)
        for heading in (block.name, "img/s so far", "rounds"):
            table.add_column(heading, justify="left" if heading == block.name else "right")
        for index, case in enumerate(block.cases):
            times_s = self.times_s.get(index)
            estimate = f"{block.batch / median(times_s):,.0f}" if times_s else self.states.get(index, "…")
            table.add_row(case.title, estimate, str(len(times_s or ())))
        return Group(self._bar(), table)

    def _begin(self, block: int) -> None:
        self.block, self.states, self.times_s = block, {}, defaultdict(list)
        self.block_began = self.rounds_began = self.now()
        if not self.console.is_terminal:
            self.console.print(f"measuring {self.blocks[block].name} …")

    def _bar(self) -> Table:
        gone_s, left_s = self.now() - self.began, self.left_s()
        bar = Table.grid(padding=(0, 1))
        text = f"{_duration(gone_s)} gone, about {_duration(left_s)} left"
        bar.add_row(ProgressBar(total=max(gone_s + left_s, 1e-9), completed=gone_s, width=40), text)
        return bar


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.1f} min"


def _number(count: int, noun: str) -> str:
    return f"{count} {noun}{'s' * (count != 1)}"
