"""What `attnbench profile` says in tables, words and numbers."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from rich.box import HEAVY_HEAD, SIMPLE_HEAD
from rich.table import Table

from attnbench.errors import writing
from attnbench.profiles import SMALL, Line, Profile
from attnbench.words import many

PROFILE = "profile.csv"
SHARED = ("label", "device", "batch")
OPERATOR = ("operator", "part", "calls", "self_s", "bytes", "macs")


def operators_table(profile: Profile, *, narrow: bool = False) -> Table:
    """The operators of one call, largest first, and what they do; a `narrow` table leaves parts out."""
    table = _table(title(profile), ["operator", *["part"] * (not narrow)], narrow=narrow)
    for line in [*profile.main_lines, profile.total]:
        part = [line.part or ""] * (not narrow)
        table.add_row(line.operator.lstrip("_"), *part, *_cells(profile, line))
    table.rows[-2].end_section = True
    return table


def parts_table(profile: Profile, *, narrow: bool = False) -> Table:
    """The same by part."""
    table = _table("The same by part", ["part"], narrow=narrow)
    for line in profile.parts:
        table.add_row(line.operator, *_cells(profile, line))
    return table


def title(profile: Profile) -> str:
    """What was called, and how."""
    case, geometry = profile.case, profile.case.geometry
    where = f"cpu, {many(profile.threads, 'thread')}" if case.device == "cpu" else case.device
    return (
        f"{case.title}: {geometry.height}×{geometry.width} tokens, {many(geometry.dim, 'channel')}, "
        f"{many(geometry.heads, 'head')}, {many(case.batch, 'image')}, {case.variant.title}, "
        f"{where}"
    )


def profile_notes(profile: Profile) -> list[str]:
    """What a reader must know beside the tables."""
    low, high = map(_ms, profile.call_middle_s)
    clock = "on the GPU" if profile.case.device == "cuda" else "on the CPU"
    notes = [
        f"Without the profiler a call takes {_ms(profile.call_s)} ms (half of the calls between {low} and "
        f"{high}); profiled calls take {profile.slowdown:.2f} × as long (medians of "
        f"{many(profile.profiled_calls, 'call')} each).",
        f"Times are {clock} and of one call of the whole batch: means over the middle half of the profiled "
        "calls. Shares are of such a call.",
        "Moved is what an operator must at least read and write: each of its tensors once, from wherever.",
        "Between operators are views, Python, torch's dispatch, and memory that is given back.",
    ]
    notes += _bound(profile)
    missing = profile.closed_form_macs - profile.total.macs
    if missing > 0:
        notes.append(
            f"The closed form has {missing / 1e6:,.1f} M multiply-adds more: those of norms, samplers and "
            "element-wise products, or of an operator without a formula here."
        )
    if missing < 0:
        notes.append(f"The closed form has {-missing / 1e6:,.1f} M multiply-adds less.")
    return notes


def _bound(profile: Profile) -> list[str]:
    """What keeps a layer from the speed of its main product; nothing where none of it takes a hundredth."""
    product = profile.main_product
    beyond = [
        f"{part} {100 * share:.0f} %" for part, share in profile.beyond_products.items() if share >= SMALL
    ]
    if not product or not beyond:
        return []
    return [
        f"Beyond all multiply-adds at the rate of {product.operator} ({product.macs_per_s / 1e9:,.1f} "
        f"GMAC/s), a call is bound by {', '.join(beyond)}."
    ]


def write_profile(profile: Profile, folder: Path) -> Path:
    """Write every operator to `profile.csv` and return its path."""
    path = folder / PROFILE
    with writing(path):
        path.write_text(profile_csv(profile), encoding="utf-8")
    return path


def profile_csv(profile: Profile) -> str:
    """Every operator as CSV, largest first, in seconds, bytes and multiply-adds of one call."""
    setting = setting_line(profile)
    calls = {name: f"{seconds:.9f}" for name, seconds in call_line(profile).items()}
    text = io.StringIO()
    writer = csv.DictWriter(text, [*setting, *OPERATOR, *calls], lineterminator="\n")
    writer.writeheader()
    for line in operator_lines(profile):
        writer.writerow({**setting, **line, "self_s": f"{line['self_s']:.9f}", **calls})
    return text.getvalue()


def setting_line(profile: Profile) -> dict[str, object]:
    """What was called, and how."""
    case, geometry = profile.case, profile.case.geometry
    sizes = {"height": geometry.height, "width": geometry.width, "dim": geometry.dim, "heads": geometry.heads}
    ways = {"dtype": case.variant.dtype, "kernel": case.variant.kernel}
    return {name: getattr(case, name) for name in SHARED} | ways | sizes | {"threads": profile.threads}


def call_line(profile: Profile) -> dict[str, float]:
    """How long a call takes without the profiler, and with it."""
    return {"call_s": profile.call_s, "profiled_call_s": profile.profiled_call_s}


def operator_lines(profile: Profile) -> list[dict[str, object]]:
    """What every operator takes in one call, the one that takes longest first."""
    lines = sorted(profile.lines, key=lambda line: -line.self_s)
    return [{name: getattr(line, name) for name in OPERATOR} for line in lines]


def _table(title: str, names: Sequence[str], *, narrow: bool) -> Table:
    table = Table(
        title=title,
        title_justify="left",
        box=SIMPLE_HEAD if narrow else HEAVY_HEAD,
        padding=(0, 0) if narrow else (0, 1),
    )
    for name in names:
        table.add_column(name, overflow="fold")
    for heading in ("calls", "time (ms)", "% of call", "MACs (M)", "moved (MB)", "GMAC/s", "GB/s"):
        table.add_column(heading, justify="right", no_wrap=True)
    return table


def _ms(seconds: float) -> str:
    return f"{seconds * 1e3:,.3g}"


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
