"""Runs as texts for papers and programs: a file a format, and a line in FORMATS."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pkgutil import resolve_name
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from attnbench.analysis.analysis import Analysis
    from attnbench.report.table_style import TableStyle

TABLES = frozenset({"columns", "spread", "latency", "bare", "pivot"})


@dataclass(frozen=True, slots=True)
class Format:
    """A form that runs are written in, in files whose names end in `suffix`.

    `writer` is what makes it of runs, whole or piece by piece, as `module:function`, and `flags` name what
    does instead where an option of this format alone asks for it. They are imported when they are called:
    help waits for none. What `takes` options of a table's style, by the options' names, is told that style as
    well.
    """

    name: str
    suffix: str
    writer: str
    flags: Mapping[str, str] = field(default_factory=dict)
    takes: Collection[str] = frozenset()

    def pieces(
        self, runs: "Sequence[Analysis]", style: "TableStyle", flag: str | None = None
    ) -> Iterable[str]:
        """The text in the pieces in which it is made, as one of `flags` asks for it."""
        writer = resolve_name(self.flags[flag] if flag else self.writer)
        made: str | Iterable[str] = writer(runs, style) if self.takes else writer(runs)
        return [made] if isinstance(made, str) else made


FORMATS = (
    Format(
        "csv",
        ".csv",
        f"{__name__}.long_csv:long_csv_pieces",
        {"wide": f"{__name__}.wide_csv:wide_csv"},
        {"columns"},
    ),
    Format("markdown", ".md", f"{__name__}.markdown:markdown", takes=TABLES),
    Format(
        "latex",
        ".tex",
        f"{__name__}.latex:latex",
        {"standalone": f"{__name__}.latex:document"},
        TABLES | {"float"},
    ),
    Format("json", ".json", f"{__name__}.json_object:json_object_pieces"),
    Format("html", ".html", "attnbench.report.html.page:page", takes={"columns"}),
)
