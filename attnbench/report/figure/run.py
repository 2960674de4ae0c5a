"""All figures of a run, or of several runs beside each other, each on its page and in its files."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

from matplotlib.figure import Figure

from attnbench.analysis.rows import Measured, Row, grouped, measured, place, setting, setting_anywhere
from attnbench.analysis.variant_matrix import matrices
from attnbench.cases.labels import closest, did_you_mean
from attnbench.cases.variant import Variant
from attnbench.errors import AttnbenchError
from attnbench.records.record import Record
from attnbench.report.colours import mark_styles_of
from attnbench.report.figure.file_names import setting_words, suffix
from attnbench.report.figure.page import Drawing, save
from attnbench.report.figure.panels import Panel, by_device, drawings_of
from attnbench.report.figure.print_size import PLAIN, PrintSize
from attnbench.report.figure.ratios import ratio_pages
from attnbench.report.figure.scaling import scaling_pages
from attnbench.report.figure.settings import settings_pages
from attnbench.report.figure.titles import with_values
from attnbench.report.figure.variants import matrices_page

Pages = Callable[[Sequence[Row], PrintSize], Iterator[Drawing]]
MATRICES = "kernels"
MANY = 4  # settings, from which on their own figures are drawn only where they are asked for
Runs = Mapping[str, Sequence[Row]]
"""The rows of several runs by name."""


def save_figures(rows: Sequence[Row], folder: Path, wanted: PrintSize = PLAIN) -> list[Path]:
    """Draw a set of figures for each setting of a run, and those over its sizes and over settings.

    Those of single settings are left out of a run that has many, unless they are asked for; the one of all
    variants is drawn where it is asked for. Return the files.
    """
    left_out = {matrix_pages, *((setting_pages,) if len(settings_of(rows)) > MANY else ())}
    pages = [each for each in ALL_PAGES if wanted.kinds or each not in left_out]
    return _saved((drawing for each in pages for drawing in each(rows, wanted)), folder, wanted)


def save_side_by_side(runs: Runs, folder: Path, wanted: PrintSize = PLAIN) -> list[Path]:
    """Draw the settings that all runs have, a panel a run, into the first one's folder; return the files.

    The names of the files say which other runs are in them.
    """
    _, *others = runs
    end = "".join(f"-and-{name.replace('/', '-')}" for name in others)
    return _saved(side_by_side(runs, wanted, end), folder, wanted)


def drawings(rows: Sequence[Row], wanted: PrintSize = PLAIN) -> Iterator[Drawing]:
    """Every figure that a run has, none of them drawn yet."""
    for pages in ALL_PAGES:
        yield from pages(rows, wanted)


def setting_pages(rows: Sequence[Row], wanted: PrintSize = PLAIN) -> Iterator[Drawing]:
    """The figures of each setting, one panel a device."""
    timed = measured(rows)
    styles = mark_styles_of((row.record.case.label for row in rows), wanted.highlight)
    records = [row.record for row in timed]
    for mine in settings_of(rows):
        end = suffix(mine[0].record, records, without={"device"})
        yield from drawings_of(by_device(with_values(mine)), styles, wanted, end)


def matrix_pages(rows: Sequence[Row], wanted: PrintSize = PLAIN) -> Iterator[Drawing]:
    """The figure of all variants, where a device has a workload in several."""
    variants: dict[object, set[Variant]] = {}
    for row in measured(rows):
        variants.setdefault((place(row), row.record.case.workload), set()).add(row.record.case.variant)
    if any(len(several) > 1 for several in variants.values()):
        yield Drawing(MATRICES, MATRICES, partial(_matrices_page, rows, wanted))


def _matrices_page(rows: Sequence[Row], wanted: PrintSize) -> Figure:
    return matrices_page([matrix for matrix in matrices(rows) if measured(matrix.rows)], wanted)


ALL_PAGES: tuple[Pages, ...] = (setting_pages, scaling_pages, ratio_pages, settings_pages, matrix_pages)


def side_by_side(runs: Runs, wanted: PrintSize = PLAIN, end: str = "") -> Iterator[Drawing]:
    """The figures of each setting that all runs have, one panel a run and device.

    Runs that have no setting in common are an `AttnbenchError`.
    """
    tables = {
        name: {setting_anywhere(mine[0]): mine for mine in grouped(measured(rows), setting_anywhere)}
        for name, rows in runs.items()
    }
    first, *others = tables.values()
    common = [key for key in first if all(key in other for other in others)]
    if not common:
        raise AttnbenchError(f"The runs have no setting in common: {_settings_in_words(runs)}.")
    styles = mark_styles_of(
        (row.record.case.label for rows in runs.values() for row in rows), wanted.highlight
    )
    records = [first[key][0].record for key in common]
    for key in common:
        panels = _named({name: with_values(table[key]) for name, table in tables.items()})
        mine = suffix(first[key][0].record, records, without={"device", "machine"})
        yield from drawings_of(panels, styles, wanted, f"{mine}{end}")


def named(drawings: Sequence[Drawing], figure: str) -> Drawing:
    """The one that is meant by the name of its files, or by its kind where that has one alone.

    What means none of them, or several, is an `AttnbenchError` that says what there is.
    """
    kinds = [drawing for drawing in drawings if drawing.kind == figure]
    meant = [drawing for drawing in drawings if drawing.name == figure] or kinds
    if len(meant) == 1:
        return meant[0]
    names = ", ".join(drawing.name for drawing in meant or drawings)
    if meant:
        raise AttnbenchError(
            f"There are {len(meant)} figures of the kind {figure!r}; name one of them: {names}."
        )
    near = did_you_mean(closest(figure, [name for each in drawings for name in (each.name, each.kind)]))
    there = f"There are {names}." if names else "Nothing was timed, so that there is none."
    raise AttnbenchError(f"There is no figure {figure!r}.{near} {there}")


def settings_of(rows: Sequence[Row]) -> list[list[Measured]]:
    """The rows with a time, those of each setting together."""
    return grouped(measured(rows), setting)


def _named(tables: Mapping[str, Sequence[Measured]]) -> list[Panel]:
    """A panel for each run and device: named by its processor, or where those are alike by its run."""
    panels = [(name, panel.rows) for name, rows in tables.items() for panel in by_device(rows)]
    processors = [_processor(rows[0]) for _, rows in panels]
    devices = [f"{name} ({rows[0].device})" for name, rows in panels]
    kinds = [f"{name} ({rows[0].device}, {rows[0].record.machine_kind})" for name, rows in panels]
    titles = next(each for each in (processors, devices, kinds) if len(set(each)) == len(each))
    return [Panel(title, rows) for title, (_, rows) in zip(titles, panels, strict=True)]


def _processor(row: Row) -> str:
    return row.record.conditions.machine.processor(row.device)


def _settings_in_words(runs: Runs) -> str:
    """`one has 14×14 tokens, …, inference; other has …`."""
    settings = {name: map(setting_words, _firsts(rows)) for name, rows in runs.items()}
    return "; ".join(f"{name} has {' and '.join(each) or 'no times'}" for name, each in settings.items())


def _firsts(rows: Sequence[Row]) -> list[Record]:
    """A record of each setting."""
    return [mine[0].record for mine in settings_of(rows)]


def _saved(found: Iterable[Drawing], folder: Path, wanted: PrintSize) -> list[Path]:
    chosen = [drawing for drawing in found if wanted.wants(drawing.kind)]
    return [path for each in chosen for path in save(each.page(), folder / each.name, wanted)]
