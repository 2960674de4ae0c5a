"""Titles that look like rich's markup: every table shows them as they are."""

from dataclasses import replace

import pytest
from rich.console import Console

from attnbench.analysis.crossover import crossovers
from attnbench.analysis.difference import Change
from attnbench.analysis.rows import rows
from attnbench.analysis.variant_matrix import matrices
from attnbench.cases.registry import discover
from attnbench.measuring.catalogue import points
from attnbench.measuring.spectrum import survey
from attnbench.mechanism import Geometry
from attnbench.report.terminal.costs import flops_table
from attnbench.report.terminal.crossover import crossover_table
from attnbench.report.terminal.profile import operators_table
from attnbench.report.terminal.spectrum import spectrum_table
from attnbench.report.terminal.table import change_table, result_table
from attnbench.report.terminal.variants import report
from tests.fakes import block
from tests.report.profiles import PROFILE

pytestmark = pytest.mark.parametrize("title", ["[/]", "[bold]X", "x[y]z"])
TIMES = [0.4, 0.41, 0.39, 0.4, 0.4, 0.4] * 3
HALF = [time / 2 for time in TIMES]


def printed(*parts: object) -> str:
    console = Console(width=160)
    with console.capture() as capture:
        for part in parts:
            console.print(part)
    return capture.get()


def test_results_and_changes_show_a_title_as_it_is(title: str):
    table = rows(block({"msa": TIMES, "hilo": HALF}, title=title))
    assert f"│ {title} (msa) " in printed(result_table(table))
    assert f"× {title} (msa) [95 %]" in printed(result_table(table))
    changes = [Change(row, row) for row in table]
    assert f"│ {title} (msa) " in printed(change_table(changes))


def test_a_matrix_shows_a_title_as_it_is(title: str):
    fused = block({"msa": HALF, "hilo": TIMES}, kernel="fused", title=title)
    plain = block({"msa": TIMES, "hilo": HALF}, title=title)
    (matrix,) = matrices(rows([*plain, *fused]))
    text = printed(*report(matrix))
    assert text.count(f"│ {title} (msa) ") == text.count(f"│ {title} (hilo) ") == 2
    assert f"{title} (hilo) is faster than {title} (msa) in" in text


def test_crossovers_show_a_title_as_it_is(title: str):
    small = block({"msa": HALF, "hilo": TIMES}, height=7, width=7, block="small", title=title)
    large = block({"msa": TIMES, "hilo": HALF}, height=28, width=28, block="large", title=title)
    text = printed(crossover_table(crossovers(rows([*small, *large])), others=0))
    assert f"│ {title} (msa) " in text
    assert f"{title} (hilo) is faster than {title} (msa)" in text


def test_a_profile_shows_a_title_as_it_is(title: str):
    text = printed(operators_table(replace(PROFILE, case=replace(PROFILE.case, title=title))))
    assert text.startswith(f"{title}: ")


def test_closed_forms_and_spectra_show_a_title_as_it_is(title: str):
    msa = discover().choose("msa")
    mine = replace(msa, mechanism=replace(msa.mechanism, title=title))
    geometry = Geometry(8, 2, 7, 7)
    assert f" {title} " in printed(flops_table(points([mine], [geometry])))
    assert f"│ {title} " in printed(spectrum_table(survey([mine], geometry, images=1, seed=0)))
