"""What all figures share: fonts, colours, files, and the marks of an interval."""

import math
import textwrap
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from attnbench.paper import published
from attnbench.record import Record
from attnbench.report.metrics import Row
from attnbench.statistics import Estimate
from attnbench.sweep import BASELINE

FORMATS = ("png", "pdf")
PANEL_INCHES = (5.2, 4.6)
PAGE_INCHES = 7.16  # both columns of a paper
TITLE_LETTERS = 72  # as many as fit over a panel
PAGE_LETTERS = 125
LABEL_GAP = 0.045  # of the axis, between names in a column
NAME_GAP = 0.06  # the same where heights are on any scale
NAME_PLACE = 1.04  # of the axis, where their column stands
STYLE: dict[Any, Any] = {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "pdf.fonttype": 42,  # fonts that a publisher's checks accept
    "savefig.dpi": 200,
}
_TAB20 = [mpl.colors.to_hex(rgb) for rgb in mpl.colormaps["tab20"].colors]  # type: ignore[attr-defined]
PALETTE = _TAB20[0::2] + _TAB20[1::2]  # strong colours first
MARKERS = "osD^vP<"


def colour(label: str, labels: Sequence[str]) -> str:
    """A mechanism's colour: fixed for those of Table IV, then in order of appearance among `labels`."""
    return PALETTE[_place(label, labels) % len(PALETTE)]


def marker(label: str, labels: Sequence[str]) -> str:
    """A mechanism's mark, which tells it from others for eyes and printers that see no colours."""
    return MARKERS[_place(label, labels) % len(MARKERS)]


def machine_of(record: Record, letters: int = TITLE_LETTERS) -> str:
    """The machine that a record is from, in lines that fit over a panel."""
    return textwrap.fill(record.machine.describe(record.device, record.threads), letters)


def suffix(record: Record, among: Iterable[Record], without: Collection[str] = ()) -> str:
    """The end of a figure's name, from what differs `among` the run's records: `-14x14-batch4-training`."""
    mine, others = _words(record), [_words(other) for other in among]
    telling = [
        word
        for name, word in mine.items()
        if word and name not in without and any(other[name] != word for other in others)
    ]
    return "".join(f"-{word}" for word in telling)


def save(figure: Figure, stem: Path) -> list[Path]:
    """Write a figure as bitmap and as vectors, and return the files."""
    paths = [stem.with_name(f"{stem.name}.{kind}") for kind in FORMATS]
    with mpl.rc_context(STYLE):
        for path in paths:
            figure.savefig(path)
    return paths


def errors(estimates: Sequence[Estimate], scale: float = 1.0) -> list[list[float]]:
    """Distances from the values down to the low ends and up to the high ends; nought without an interval."""
    return [
        [scale * (e.value - e.low) if e.low is not None else 0.0 for e in estimates],
        [scale * (e.high - e.value) if e.high is not None else 0.0 for e in estimates],
    ]


def macs_m(row: Row) -> Estimate | None:
    """Millions of multiply-adds for one image, by the closed form where they could not be counted."""
    macs = row.record.macs if row.record.macs is not None else row.record.macs_closed_form
    return Estimate(macs / 1e6) if macs is not None else None


def total_mib(row: Row) -> Estimate | None:
    """What a call needs in all, weights and input included, in MiB."""
    return Estimate(row.record.memory.total_bytes / 2**20) if row.record.memory else None


def label_at_the_side(
    axes: Axes,
    points: Mapping[str, tuple[float, float]],
    x: float,
    gap: float,
    colours: Mapping[str, str] | None = None,
) -> None:
    """Name points in a column right of `x`, in their order, each name at least `gap` above the last."""
    leader = {"arrowstyle": "-", "color": "0.8", "linewidth": 0.6, "relpos": (0, 0.5)}
    height = -math.inf
    for text, point in sorted(points.items(), key=lambda item: item[1][1]):
        height = max(point[1], height + gap)
        axes.annotate(
            text,
            point,
            (1.03 * x, height),
            fontsize=8,
            color=(colours or {}).get(text, "black"),
            va="center",
            arrowprops=leader,
            annotation_clip=False,
        )


def name_at_the_side(
    axes: Axes,
    ends: Sequence[tuple[str, tuple[float, float]]],
    gap: float = NAME_GAP,
    inks: Mapping[str, str] | None = None,
) -> None:
    """Names in a column right of the lines' ends, in their order, each `gap` or more above the last.

    Thin lines lead to them, grey or in the ink of each name.
    """
    axes.autoscale_view()  # where no limits are set, the transform below needs them
    to_axes = axes.transData - axes.transAxes
    ordered = sorted(ends, key=lambda item: item[1][1])
    heights = _apart([float(to_axes.transform(end)[1]) for _, end in ordered], gap)
    for (name, end), height in zip(ordered, heights, strict=True):
        axes.annotate(
            name,
            end,
            (NAME_PLACE, height),
            textcoords="axes fraction",
            va="center",
            fontsize=8,
            arrowprops={
                "arrowstyle": "-",
                "color": (inks or {}).get(name, "0.8"),
                "linewidth": 0.6,
                "relpos": (0, 0.5),
            },
            annotation_clip=False,
        )


def _apart(heights: Sequence[float], gap: float) -> list[float]:
    """Sorted heights, moved up where they are closer than the gap, and down again from the top."""
    placed: list[float] = []
    for height in heights:
        placed.append(max(height, placed[-1] + gap) if placed else height)
    return [
        min(height, 1 - gap * below)
        for below, height in zip(reversed(range(len(placed))), placed, strict=True)
    ]


def _place(label: str, labels: Sequence[str]) -> int:
    known = sorted(published(), key=lambda name: name not in ("hilo", BASELINE))
    names = known + [other for other in labels if other not in known]
    return names.index(label)


def _words(record: Record) -> dict[str, str]:
    return {
        "device": record.device,
        "size": f"{record.height}x{record.width}",
        "batch": f"batch{record.batch}",
        "dim": f"dim{record.dim}",
        "heads": f"heads{record.heads}",
        "dtype": record.dtype,
        "kernel": record.kernel,
        "compile": f"compiled-{record.compile}" if record.variant.compiled else "eager",
        "cuda_graph": "graph" * record.cuda_graph,
        "mode": "training" if record.mode == "training" else "",
    }
