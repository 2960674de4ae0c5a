"""A layer's time by operator and by part."""

from collections.abc import Callable, Sequence

from attnbench.records.profile import Line, Profile
from attnbench.report.digits import millions
from attnbench.report.profile import title
from attnbench.report.terminal.grid import Grid, GridColumn


def operators_table(profile: Profile) -> Grid:
    """The operators of one call, largest first, and what they do, over the total."""
    lines = [*profile.main_lines, profile.total]
    operators = GridColumn("operator", [line.operator.lstrip("_") for line in lines], wraps=True)
    parts = GridColumn("part", [line.part or "" for line in lines], wraps=True, drop_order=1)
    columns = [operators, parts, *_numbers(profile, lines)]
    return Grid(columns, title(profile), title_justify="left", total=True)


def parts_table(profile: Profile) -> Grid:
    """The same by part."""
    parts = GridColumn("part", [line.operator for line in profile.parts], wraps=True)
    return Grid([parts, *_numbers(profile, profile.parts)], "The same by part", title_justify="left")


def places_tables(profile: Profile) -> list[Grid]:
    """The same by stage and by kind of module, of a model."""
    return [
        Grid(
            [GridColumn(name, [line.operator for line in lines], wraps=True), *_numbers(profile, lines)],
            f"The same by {name}",
            title_justify="left",
        )
        for name, lines in (("stage", profile.stages), ("kind of module", profile.kinds))
        if lines
    ]


def _numbers(profile: Profile, lines: Sequence[Line]) -> list[GridColumn]:
    """What each line takes, and how fast it goes; nothing where it has no calls, products or bytes."""
    texts: dict[str, Callable[[Line], str]] = {
        "calls": lambda line: f"{line.calls:,}" if line.calls else "",
        "time (ms)": lambda line: f"{line.self_s * 1e3:,.3f}",
        "% of call": lambda line: f"{100 * profile.share(line):.1f}",
        "MACs (M)": lambda line: millions(line.macs) if line.macs else "",
        "moved (MB)": lambda line: millions(line.bytes) if line.bytes else "",
        "GMAC/s": lambda line: f"{line.macs_per_s / 1e9:,.1f}" if line.macs else "",
        "GB/s": lambda line: f"{line.bytes_per_s / 1e9:,.1f}" if line.bytes else "",
    }
    return [GridColumn(heading, list(map(text, lines))) for heading, text in texts.items()]
