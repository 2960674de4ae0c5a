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
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    case, geometry = profile.case, profile.case.geometry
    sizes = {"height": geometry.height, "width": geometry.width, "dim": geometry.dim, "heads": geometry.heads}
    ways = {"dtype": case.variant.dtype, "kernel": case.variant.kernel}
    shared = {name: getattr(case, name) for name in SHARED} | ways | sizes | {"threads": profile.threads}
    writer.writerow(
        [*shared, "operator", "part", "calls", "self_s", "bytes", "macs", "call_s", "profiled_call_s"]
    )
    for line in sorted(profile.lines, key=lambda line: -line.self_s):
        own = (line.operator, line.part, line.calls, f"{line.self_s:.9f}", line.bytes, line.macs)
        calls = (f"{profile.call_s:.9f}", f"{profile.profiled_call_s:.9f}")
        writer.writerow([*shared.values(), *own, *calls])
    return text.getvalue()


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
