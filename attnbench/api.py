"""attnbench from Python: what `attnbench run` does for layers that are at hand, and its figures.

Layers that can be sent to other processes, as words of the command line can, are timed in those, as a run
does. A module that lives in this process is timed here, and so is all that it is compared with.
"""

from __future__ import annotations

import copy
import math
import tempfile
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, cast

from attnbench.analysis.analysis import rows_of
from attnbench.analysis.rows import Row, rows
from attnbench.analysis.selection import Selection, label_in
from attnbench.cases.case import Mode
from attnbench.cases.choice import Choice
from attnbench.cases.places import is_place, opened
from attnbench.cases.protocol import QUICK
from attnbench.cases.registry import Registry
from attnbench.cases.sweep import sweep
from attnbench.cases.variant import Variant
from attnbench.errors import AttnbenchError
from attnbench.machine.devices import require
from attnbench.machine.system import physical_cores
from attnbench.mechanism import COLOURS, CONTIGUOUS, IMAGES, LAYOUTS, TOKENS, Geometry, Mechanism, Setting
from attnbench.records.folder import held
from attnbench.records.journal import Worker
from attnbench.records.record_file import read
from attnbench.report.figure.print_size import PrintSize, read_width
from attnbench.report.frame import rows_in
from attnbench.run import runner
from attnbench.run.plan import Setup

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from torch import Tensor, nn

    from attnbench.report.frame import Source

LAYER = "layer"  # what a module is called that came without a name
HEAD_DIM = 64  # of heads where nobody says how many


@dataclass(frozen=True, slots=True)
class Asked:
    """What a call is made with: images of tokens on a map, in a number format on a device."""

    geometry: Geometry
    batch: int
    dtype: str
    device: str
    layout: str


def measured_rows(
    layers: Mapping[str, nn.Module | str] | nn.Module | str,
    x: Tensor | None,
    *,
    shape: Sequence[int] | None,
    heads: int | None,
    layout: str | None,
    mode: str,
    kernel: str,
    baseline: str | None,
    seconds: float,
    threads: int | None,
    seed: int,
) -> list[Row]:
    """The rows of layers that are measured now; `attnbench.measure` has what all these mean."""
    asked = _asked(x, shape, heads, layout)
    require(asked.device)
    named = layers if isinstance(layers, Mapping) else {LAYER: layers}
    if not named:
        raise AttnbenchError("There is no layer to measure; give at least one.")
    registry, choices, plugins = _chosen(named, asked)
    here = any(not isinstance(layer, str) for layer in named.values())
    worker = _worker(registry) if here else None
    protocol = replace(QUICK, max_seconds=seconds, seed=seed, sessions=1 if here else QUICK.sessions)
    setup = Setup(plugins, protocol, worker=worker)
    base = next((choice for name, choice in choices.items() if name == baseline), None)
    if baseline and base is None:
        raise AttnbenchError(f"baseline is {baseline!r}; it must be one of {', '.join(choices)}.")
    blocks = sweep(
        list(choices.values()),
        [asked.geometry],
        [asked.device],
        batches=[asked.batch],
        threads=[threads or physical_cores()],
        modes=[_mode(mode)],
        variants=[Variant(kernel, asked.dtype)],
        baseline=base or next(iter(choices.values())),
    )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        plan = runner.survey(blocks, setup)
        with held(path):
            finished = runner.measure(runner.pending(plan, setup, path), setup, path, lambda _, __: None)
        if not finished:
            raise KeyboardInterrupt
        return rows(read(path).records)


def drawn(
    source: Source | Sequence[Source],
    figure: str,
    *,
    only: str | Sequence[str] | None,
    rename: Mapping[str, str] | None,
    highlight: str | Sequence[str] | None,
    width: float | str | None,
    bare: bool,
) -> Figure:
    """The figure of a run or of several; `attnbench.plot` has what all these mean."""
    from attnbench.report.figure.run import MATRICES, drawings, named, side_by_side

    sources: Sequence[Source] = source if isinstance(source, list | tuple) else [cast("Source", source)]
    if figure == MATRICES and not all(isinstance(each, str | Path) for each in sources):
        raise AttnbenchError(
            f"The figure {figure!r} pairs the rounds of variants, which a frame does not hold; give the "
            "folder of the run."
        )
    selection, tables = Selection(_several(only), rename or {}), _tables(sources)
    shown = {name: selection.among(table) for name, table in tables.items()}
    rows = [row for table in shown.values() for row in table]
    wanted = PrintSize(
        width=_inches(width),
        bare=bare,
        highlight=frozenset(label_in(rows, text) for text in _several(highlight)),
    )
    found = side_by_side(shown, wanted) if len(shown) > 1 else drawings(rows, wanted)
    return named(list(found), figure).page()


def _tables(sources: Sequence[Source]) -> dict[str, Sequence[Row]]:
    """The rows of each folder under its path, and of each frame under its number."""
    tables: dict[str, Sequence[Row]] = {}
    for number, source in enumerate(sources, start=1):
        if isinstance(source, str | Path):
            run = read(Path(source))
            for text in run.warnings:
                warnings.warn(text, stacklevel=4)
            tables[str(source)] = rows_of(run)
        else:
            tables[f"frame {number}"] = rows_in(source)
    if not tables:
        raise AttnbenchError("There is no run to draw; give a folder or a frame.")
    return tables


def _several(labels: str | Sequence[str] | None) -> tuple[str, ...]:
    """Labels of which one may come alone."""
    return (labels,) if isinstance(labels, str) else tuple(labels or ())


def _inches(width: float | str | None) -> float | None:
    """A width in inches, or by the words of the command line; None leaves each figure its own."""
    if width is None:
        return None
    return read_width(width if isinstance(width, str) else f"{width:g}in", "width")


def _asked(x: Tensor | None, shape: Sequence[int] | None, heads: int | None, layout: str | None) -> Asked:
    """What an input, or its shape, asks for."""
    sizes = tuple(shape) if x is None and shape else tuple(x.shape) if x is not None else ()
    if len(sizes) not in (3, 4) or min(sizes) < 1:
        raise AttnbenchError(
            f"The input's shape is {list(sizes)}; give tokens [B, N, C], maps [B, C, H, W] or images "
            "[B, 3, H, W], as a tensor or with shape=."
        )
    if layout is not None and layout not in LAYOUTS:
        raise AttnbenchError(f"layout is {layout!r}; it must be one of {', '.join(map(repr, LAYOUTS))}.")
    return Asked(
        _geometry(sizes, heads, layout),
        sizes[0],
        "float32" if x is None else str(x.dtype).removeprefix("torch."),
        "cpu" if x is None else x.device.type,
        layout or (CONTIGUOUS if len(sizes) == 4 else TOKENS),
    )


def _geometry(sizes: Sequence[int], heads: int | None, layout: str | None) -> Geometry:
    """What layers are built for that get an input of this shape."""
    if layout == IMAGES:
        if len(sizes) != 4 or sizes[1] != COLOURS:
            raise AttnbenchError(f"The input's shape is {list(sizes)}; images are [B, 3, H, W].")
        return Geometry.image(*sizes[2:])
    if len(sizes) == 4:
        _, dim, height, width = sizes
    else:
        _, tokens, dim = sizes
        side = math.isqrt(tokens)
        height, width = (side, side) if side**2 == tokens else (1, tokens)
    return Geometry(dim, heads or _heads(dim), height, width)


def _heads(dim: int) -> int:
    """Heads of the usual width; one where that does not divide the channels."""
    return dim // HEAD_DIM if dim % HEAD_DIM == 0 else 1


def _mode(text: str) -> Mode:
    if text not in list(Mode):
        raise AttnbenchError(f"mode is {text!r}; it must be {' or '.join(Mode)}.")
    return Mode(text)


def _chosen(
    layers: Mapping[str, nn.Module | str], asked: Asked
) -> tuple[Registry, dict[str, Choice], tuple[str, ...]]:
    """All layers as mechanisms, under their names, and the plugins that some of them are from."""
    words = [layer for layer in layers.values() if isinstance(layer, str)]
    there = opened([word for word in words if is_place(word)], None)
    registry = there.registry
    choices: dict[str, Choice] = {}
    for name, layer in layers.items():
        if isinstance(layer, str):
            (word,) = opened([layer], None).words if is_place(layer) else [layer]
            choices[name] = registry.choose(word)
        else:
            mechanism = Mechanism(name, name, build=_Copy(layer), layout=asked.layout)
            registry.add(mechanism, "this process")
            choices[name] = Choice(mechanism, {}, "this process")
    return registry, choices, there.plugins


@dataclass(frozen=True, slots=True)
class _Copy:
    """Gives copies of a module, which stays as it is."""

    module: nn.Module

    def __call__(self, _geometry: Geometry, **_settings: Setting) -> nn.Module:
        return copy.deepcopy(self.module).cpu()


def _worker(registry: Registry) -> Worker:
    from attnbench.measuring.here import worker_here

    return worker_here(registry)
