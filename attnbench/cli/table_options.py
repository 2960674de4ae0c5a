"""How tables are shown: the options that `compare` and `report` share."""

from typing import TYPE_CHECKING, Annotated

from attnbench.cli.completion import among, columns
from attnbench.cli.help import SHOWN, flag, option
from attnbench.cli.options import read_name, split
from attnbench.report.spread import Spread

if TYPE_CHECKING:
    from attnbench.report.table_style import TableStyle

REGISTRY = (
    "label", "mechanism", "title", "settings", "family", "venue", "year",
    "params", "params_published", "macs", "macs_published", "uncounted",
)  # fmt: skip
"""What `list` has of every choice, beside the branches of some."""
Columns = Annotated[
    list[str] | None,
    option(
        "--columns",
        metavar="COLUMN",
        about=(
            "Tables of these alone, in this order, by their names in CSV: params,time_s,verdict; "
            "imgs_per_s_published is the paper's."
        ),
        panel=SHOWN,
        default="Table IV's",
        autocompletion=columns,
    ),
]
RegistryColumns = Annotated[
    list[str] | None,
    option(
        "--columns",
        metavar="COLUMN",
        about="Table or CSV of these alone, in this order, by their names in CSV: family,year,params,macs.",
        panel=SHOWN,
        default="those of the table, or all",
        autocompletion=among(*REGISTRY),
    ),
]
SpreadOf = Annotated[
    str,
    option(
        "--spread",
        metavar="ci|std|iqr",
        about="Of values in tables: median [95 % interval], mean ± std, or median [quartiles], all of the "
        "same samples.",
        panel=SHOWN,
        autocompletion=among(*Spread),
    ),
]
Latency = Annotated[
    bool | None,
    flag(
        "--latency/--throughput",
        about="Milliseconds of a call in tables, or images per second.",
        panel=SHOWN,
        default="--latency at batch 1",
    ),
]
SPREAD = Spread.ci.value


def read_table_style(
    names: list[str] | None,
    spread: str,
    latency: bool | None,
) -> "TableStyle":
    """Which columns tables have, and what stands behind their values."""
    from attnbench.report.table_style import TableStyle, read_columns

    return TableStyle(
        read_columns(split(names)), Spread(read_name("--spread", spread, list(Spread))), latency
    )
