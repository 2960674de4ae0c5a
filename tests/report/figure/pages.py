"""A page of every kind of figure, as full as a run makes it."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import cache, partial
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from attnbench import Geometry
from attnbench.analysis.rows import Row, rows
from attnbench.analysis.variant_matrix import VariantMatrix, matrices
from attnbench.cases.registry import discover
from attnbench.cases.variant import COMPILE_MODES
from attnbench.measuring.catalogue import points
from attnbench.paper import published
from attnbench.records.cost import Point
from attnbench.records.record import Record
from attnbench.records.spectrum import Part, Spectrum, Survey
from attnbench.report.figure.flops import flops_page
from attnbench.report.figure.page import Drawing
from attnbench.report.figure.print_size import PLAIN, PrintSize
from attnbench.report.figure.ratios import ratio_pages
from attnbench.report.figure.run import setting_pages, side_by_side
from attnbench.report.figure.scaling import scaling_pages
from attnbench.report.figure.settings import settings_pages
from attnbench.report.figure.spectrum import channels_page, curves_page, draw_gains, draw_profiles
from attnbench.report.figure.variants import matrices_page
from tests.fakes import MEMORY, record

SPREAD = (0.97, 1.0, 1.03, 1.0, 0.99, 1.02)
TITLES = {name: row.title for name, row in published().items()} | {
    "mine:groups=12,window=8": "My own layer (groups=12, window=8)",
    "other": "Another",
}
Pages = Callable[[Sequence[Row], PrintSize], Iterator[Drawing]]


def layers(side: int = 14, **changes: Any) -> list[Record]:
    """Sixteen layers of which each is slower, larger and dearer than the one before, but for the last two."""
    return [
        record(
            label,
            [0.001 * side * weight * spread for spread in SPREAD],
            title=TITLES[label],
            height=side,
            width=side,
            block=f"{side} {changes.get('mode')} {changes.get('device')}",
            macs=side**2 * weight * 10**6,
            params=weight * 10**5,
            memory=replace(MEMORY, peak_bytes=side**2 * weight << 16),
            **changes,
        )
        for label, weight in zip(TITLES, (*range(4, 19), 18), strict=True)
    ]


def many(side: int, **changes: Any) -> list[Record]:
    """Forty layers, as many as the marks tell apart, of which some are alike."""
    return [
        record(
            f"layer-{number}",
            [0.001 * side * (20 + number % 23) * spread for spread in SPREAD],
            title=f"Layer of kind {number}",
            height=side,
            width=side,
            block=f"{side} {changes.get('device')}",
            macs=side**2 * (9 + number % 17) * 10**6,
            params=(9 + number % 5) * 10**5,
            memory=replace(MEMORY, peak_bytes=side**2 * (9 + number % 11) << 16),
            **changes,
        )
        for number in range(40)
    ]


def alphas() -> list[Record]:
    """MSA, and HiLo with five values of a setting, each at two of another."""
    sweep = [
        record(
            f"hilo:alpha={alpha},window={window}",
            SPREAD,
            mechanism="hilo",
            title=f"HiLo (alpha={alpha}, window={window})",
            settings={"alpha": alpha, "window": window},
            memory=MEMORY,
        )
        for alpha in (0.0, 0.25, 0.5, 0.75, 1.0)
        for window in (2, 7)
    ]
    return [*sweep, record("msa", SPREAD, memory=MEMORY)]


def variants(modes: Sequence[str], **changes: Any) -> list[Record]:
    """All layers with two kernels in each of these modes of compilation."""
    ways = [(kernel, mode) for kernel in ("explicit", "fused") for mode in modes]
    return [each for kernel, mode in ways for each in layers(kernel=kernel, compile=mode, **changes)]


@cache
def survey() -> Survey:
    """Spectra of four layers with two branches each, all of which end at one height."""
    amplitudes = np.random.default_rng(0).normal(size=(300, 14, 14))
    branches = (Part("Hi-Fi", 0, amplitudes[:150]), Part("Lo-Fi", 150, amplitudes[150:]))
    found = [Spectrum(label, TITLES[label], Part("", 0, amplitudes), branches) for label in list(TITLES)[-4:]]
    return Survey(Geometry(300, 3, 14, 14), 4, 7, Part("input", 0, amplitudes), tuple(found))


RUNS: dict[str, Callable[[], list[Record]]] = {
    "layers": layers,
    "sizes": lambda: [*layers(7), *layers(14), *layers(7, mode="training"), *layers(14, mode="training")],
    "alphas": alphas,
    "devices": lambda: [*layers(), *layers(device="cuda")],
    "another machine": lambda: layers(device="cuda"),
    "many": lambda: [*many(7), *many(14)],
    "many on devices": lambda: [*many(14), *many(14, device="cuda")],
}
KERNELS: dict[str, Callable[[], list[Record]]] = {
    "kernels": lambda: variants(["off"]),
    "kernels of devices": lambda: [*variants(["off"]), *variants(["off"], device="cuda")],
    "many kernels": lambda: variants(COMPILE_MODES),
    "kernels of many": lambda: [*many(14), *many(14, kernel="fused")],
}


@cache
def table(run: str) -> list[Row]:
    """The rows of a run."""
    return rows(RUNS[run](), "layer-0" if run.startswith("many") else "msa")


@cache
def matrices_of(run: str) -> list[VariantMatrix]:
    """The matrices of a run with several variants."""
    return matrices(rows(KERNELS[run]()))


@cache
def closed_forms(*texts: str) -> list[Point]:
    """What these choices cost on three maps."""
    registry = discover()
    choices = [choice for text in texts for choice in registry.choose_all(text)]
    return points(choices, [Geometry(768, 12, side, side) for side in (14, 28, 56)])


def figures(
    pages: Callable[..., Iterator[Drawing]], rows: object, wanted: PrintSize = PLAIN
) -> dict[str, Figure]:
    """All figures that these pages are of rows, by name."""
    return {drawing.name: drawing.page() for drawing in pages(rows, wanted)}


@cache
def of_run(pages: Pages, run: str, name: str, wanted: PrintSize) -> Figure:
    """The page of a run that has this name: whoever asks for another gets the same one."""
    return next(drawing for drawing in pages(table(run), wanted) if drawing.name == name).page()


@cache
def of_two_runs(name: str, wanted: PrintSize) -> Figure:
    """The page of two runs beside each other that has this name."""
    runs = {each: table(each) for each in ("layers", "another machine")}
    return next(drawing for drawing in side_by_side(runs, wanted) if drawing.name == name).page()


PAGES: dict[str, Callable[[PrintSize], Figure]] = {
    "throughput": partial(of_run, setting_pages, "layers", "throughput"),
    "ratios": partial(of_run, setting_pages, "layers", "ratios"),
    "flops-time": partial(of_run, setting_pages, "layers", "flops-time"),
    "front": partial(of_run, setting_pages, "layers", "front"),
    "scaling": partial(of_run, scaling_pages, "sizes", "scaling"),
    "scaling-training": partial(of_run, scaling_pages, "sizes", "scaling-training"),
    "setting-alpha": partial(of_run, settings_pages, "alphas", "setting-alpha"),
    "scaling-ratios": partial(of_run, ratio_pages, "sizes", "scaling-ratios"),
    "scaling-ratios-memory-training": partial(of_run, ratio_pages, "sizes", "scaling-ratios-memory-training"),
    **{
        f"devices' {name}": partial(of_run, setting_pages, "devices", name)
        for name in ("throughput", "ratios", "flops-time", "front")
    },
    **{f"two runs' {name}": partial(of_two_runs, name) for name in ("throughput", "ratios", "front")},
    **{
        f"{name} of many": partial(of_run, setting_pages, "many", f"{name}-14x14")
        for name in ("throughput", "ratios", "flops-time", "front")
    },
    "scaling of many": partial(of_run, scaling_pages, "many", "scaling"),
    "scaling-ratios of many": partial(of_run, ratio_pages, "many", "scaling-ratios"),
    "throughput of many on devices": partial(of_run, setting_pages, "many on devices", "throughput"),
    "flops of one panel": lambda wanted: flops_page(closed_forms("msa", "sra", "hilo:alpha=0"), wanted),
    "flops of windows": lambda wanted: flops_page(closed_forms("hilo:alpha=0.5,window=2,4,7"), wanted),
    "flops of alphas": lambda wanted: flops_page(closed_forms("hilo:alpha=0..1/0.1"), wanted),
    **{
        kind: partial(lambda kind, wanted: matrices_page(matrices_of(kind), wanted), kind) for kind in KERNELS
    },
    "channels": lambda wanted: channels_page(survey(), survey().layers[0], wanted),
    "profile": lambda wanted: curves_page(survey(), draw_profiles, wanted),
    "gain": lambda wanted: curves_page(survey(), draw_gains, wanted),
}
