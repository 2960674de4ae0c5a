"""attnbench from Python: what `attnbench run` does for layers that are at hand, and its figures.

Layers that can be sent to other processes, as words of the command line can, are timed in those, as a run
does. A module that lives in this process is timed here, and so is all that it is compared with.
"""

from __future__ import annotations

import copy
import gc
import tempfile
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, cast

from attnbench.analysis.analysis import rows_of
from attnbench.analysis.rows import Row, rows
from attnbench.analysis.selection import Selection, label_in
from attnbench.cases.case import Block, Mode
from attnbench.cases.choice import Choice
from attnbench.cases.places import Opened, is_place, opened
from attnbench.cases.protocol import QUICK
from attnbench.cases.registry import Registry
from attnbench.cases.request import MOST_THREADS
from attnbench.cases.sweep import sweep
from attnbench.cases.variant import KERNELS, Variant
from attnbench.errors import AttnbenchError
from attnbench.machine.devices import require
from attnbench.machine.system import physical_cores
from attnbench.mechanism import Geometry, Mechanism, Setting
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

    from attnbench.measuring.arguments import Asked, Layer
    from attnbench.report.frame import Source


def measured_rows(
    layers: Mapping[str, nn.Module | str | Path] | nn.Module | str | Path,
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
    from attnbench.measuring.arguments import read_input, read_layers, read_seconds, read_whole, read_word

    asked, named = read_input(x, shape, heads, layout), read_layers(layers)
    count = physical_cores() if threads is None else read_whole("threads", threads, most=MOST_THREADS)
    way = Variant(read_word("kernel", kernel, KERNELS), asked.dtype)
    calls = Mode(read_word("mode", mode, [each.value for each in Mode]))
    here = any(not isinstance(layer, str) for layer in named.values())
    protocol = replace(
        QUICK,
        max_seconds=read_seconds("seconds", seconds),
        seed=read_whole("seed", seed, least=0),
        sessions=1 if here else QUICK.sessions,
    )
    require(asked.device)
    with _collector_as_before():
        registry, choices, plugins = _chosen(named, asked)
        base = next(iter(choices)) if baseline is None else read_word("baseline", baseline, list(choices))
        setup = Setup(plugins, protocol, worker=_worker(registry) if here else None)
        blocks = sweep(
            list(choices.values()),
            [asked.geometry],
            [asked.device],
            batches=[asked.batch],
            threads=[count],
            modes=[calls],
            variants=[way],
            baseline=choices[base],
        )
        table = _measured(blocks, setup)
    return Selection(names=_titles(layers, choices)).among(table)


def _titles(layers: object, choices: Mapping[str, Choice]) -> dict[str, str]:
    """The names that a caller gave words that are others, by label."""
    words = layers if isinstance(layers, Mapping) else {}
    return {
        choice.label: name
        for name, choice in choices.items()
        if words.get(name, name) != name != choice.label
    }


def _measured(blocks: Sequence[Block], setup: Setup) -> list[Row]:
    """The rows of blocks that are measured into a folder which is gone then."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        plan = runner.survey(blocks, setup)
        with held(path):
            finished = runner.measure(runner.pending(plan, setup, path), setup, path, lambda _, __: None)
        if not finished:
            raise KeyboardInterrupt
        return rows(read(path).records)


@contextmanager
def _collector_as_before() -> Iterator[None]:
    """At the end garbage is looked for wherever it was before, though mechanisms are loaded to stay.

    Where a caller has frozen what it had, all that is left is frozen: there is no telling its objects from
    others.
    """
    frozen = gc.get_freeze_count()
    try:
        yield
    finally:
        gc.unfreeze()
        if frozen:
            gc.collect()
            gc.freeze()


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

    if not isinstance(figure, str):
        raise AttnbenchError(f"figure is {figure!r}; name one, such as 'throughput'.")
    if not (rename is None or (isinstance(rename, Mapping) and _are_texts([*rename, *rename.values()]))):
        raise AttnbenchError(
            f"rename is {rename!r}; it must be a dict of labels and names, {{'mine': 'Ours'}}."
        )
    sources: Sequence[Source] = source if isinstance(source, list | tuple) else [cast("Source", source)]
    if figure == MATRICES and not all(isinstance(each, str | Path) for each in sources):
        raise AttnbenchError(
            f"The figure {figure!r} pairs the rounds of variants, which a frame does not hold; give the "
            "folder of the run."
        )
    selection, tables = Selection(_several("only", only), rename or {}), _tables(sources)
    shown = {name: selection.among(table) for name, table in tables.items()}
    rows = [row for table in shown.values() for row in table]
    wanted = PrintSize(
        width=_inches(width),
        bare=bare,
        highlight=frozenset(label_in(rows, text) for text in _several("highlight", highlight)),
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


def _several(name: str, labels: object) -> tuple[str, ...]:
    """Labels of which one may come alone."""
    several = (labels,) if isinstance(labels, str) else () if labels is None else labels
    if not (isinstance(several, Iterable) and _are_texts(several)):
        raise AttnbenchError(f"{name} is {labels!r}; it must be a label, or a list of them, such as 'msa'.")
    return tuple(several)


def _are_texts(values: Iterable[object]) -> bool:
    return all(isinstance(each, str) for each in values)


def _inches(width: float | str | None) -> float | None:
    """A width in inches, or by the words of the command line; None leaves each figure its own."""
    if width is None:
        return None
    if not isinstance(width, float | int | str):
        raise AttnbenchError(
            f"width is {width!r}; it must be a number of inches, or a word such as 'column'."
        )
    return read_width(width if isinstance(width, str) else f"{width:g}in", "width")


def _chosen(layers: Mapping[str, Layer], asked: Asked) -> tuple[Registry, dict[str, Choice], tuple[str, ...]]:
    """All layers as mechanisms, under their names, and the plugins that some of them are from."""
    there = opened([layer for layer in layers.values() if isinstance(layer, str) and is_place(layer)], None)
    registry = there.registry
    choices: dict[str, Choice] = {}
    names: dict[str, str] = {}
    for name, layer in layers.items():
        if isinstance(layer, str):
            choice = registry.choose(_word(there, layer))
        else:
            _require_copies(name, layer)
            mechanism = Mechanism(name, name, build=_Copy(layer), layout=asked.layout)
            registry.add(mechanism, "this process")
            choice = Choice(mechanism, {}, "this process")
        _require_input(name, choice, asked)
        if (other := names.setdefault(choice.label, name)) != name:
            raise AttnbenchError(f"{other} and {name} are both {choice.label}; leave one of them out.")
        choices[name] = choice
    return registry, choices, there.plugins


def _require_copies(name: str, layer: nn.Module) -> None:
    """Raise `AttnbenchError` for a module that cannot be copied, as it is for each step."""
    try:
        copy.deepcopy(layer).cpu()
    except Exception as error:
        raise AttnbenchError(
            f"{name} is measured as a copy, and torch makes none: "
            f"{str(error).partition('  ')[0].rstrip('.')}. Give a module "
            "that has weights, and that was not called since it was built, if it keeps tensors."
        ) from error


def _word(there: Opened[Registry], layer: str) -> str:
    """The word of a layer that is named by one, or by where it is."""
    if not is_place(layer):
        return layer
    words = there.registry.of(Path(layer))
    if len(words) != 1:
        raise AttnbenchError(
            f"{layer} holds {len(words)} mechanisms, {', '.join(words)}, where one is needed; give each "
            "a file of its own, or give modules."
        )
    return words[0]


def _require_input(name: str, choice: Choice, asked: Asked) -> None:
    """Raise `AttnbenchError` where a model is given tokens, or a layer images."""
    if choice.mechanism.is_model and not asked.geometry.images:
        raise AttnbenchError(
            f"{name} is a model, which takes images; say layout='images', with a shape of [B, 3, H, W]."
        )
    if asked.geometry.images and not choice.mechanism.is_model:
        raise AttnbenchError(
            f"{name} is a layer, which takes no images; leave layout='images' out, and give the shape of its "
            "tokens, [B, N, C]."
        )


@dataclass(frozen=True, slots=True)
class _Copy:
    """Gives copies of a module, which stays as it is."""

    module: nn.Module

    def __call__(self, _geometry: Geometry, **_settings: Setting) -> nn.Module:
        from torch import get_default_device

        from attnbench.measuring.prediction import stand_ins

        layer = copy.deepcopy(self.module, stand_ins(self.module))
        return layer.to(get_default_device())  # where layers are built, maybe without memory


def _worker(registry: Registry) -> Worker:
    from attnbench.measuring.here import worker_here

    return worker_here(registry)
