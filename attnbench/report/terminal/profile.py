"""A layer's time by operator and by part."""

from collections.abc import Sequence

from rich.box import HEAVY_HEAD, SIMPLE_HEAD
from rich.markup import escape
from rich.table import Table

from attnbench.records.profile import Line, Profile
from attnbench.report.profile import title


def operators_table(profile: Profile, *, narrow: bool = False) -> Table:
    """The operators of one call, largest first, and what they do; a `narrow` table leaves parts out."""
    table = _table(title(profile), ["operator", *["part"] * (not narrow)], narrow=narrow)
    for line in [*profile.main_lines, profile.total]:
        part = [escape(line.part or "")] * (not narrow)
        table.add_row(escape(line.operator.lstrip("_")), *part, *_cells(profile, line))
    table.rows[-2].end_section = True
    return table


def parts_table(profile: Profile, *, narrow: bool = False) -> Table:
    """The same by part."""
    table = _table("The same by part", ["part"], narrow=narrow)
    for line in profile.parts:
        table.add_row(escape(line.operator), *_cells(profile, line))
    return table


def _table(title: str, names: Sequence[str], *, narrow: bool) -> Table:
    table = Table(
        title=escape(title),
        title_justify="left",
        box=SIMPLE_HEAD if narrow else HEAVY_HEAD,
        padding=(0, 0) if narrow else (0, 1),
    )
    for name in names:
        table.add_column(name, overflow="fold")
    for heading in ("calls", "time (ms)", "% of call", "MACs (M)", "moved (MB)", "GMAC/s", "GB/s"):
        table.add_column(heading, justify="right", no_wrap=True)
    return table


def _cells(profile: Profile, line: Line) -> list[str]:
    return [
        f"{line.calls:,}" if line.calls else "",
        f"{line.self_s * 1e3:,.3f}",
        f"{100 * profile.share(line):.1f}",
        f"{line.macs / 1e6:,.1f}" if line.macs else "",
        f"{line.bytes / 1e6:,.1f}" if line.bytes else "",
        f"{line.macs_per_s / 1e9:,.1f}" if line.macs else "",
        f"{line.bytes_per_s / 1e9:,.1f}" if line.bytes else "",
    ]
