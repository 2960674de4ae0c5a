"""Which figures runs have, by what they are called; and several runs beside each other."""

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from matplotlib.figure import Figure

from attnbench.analysis.rows import Row, rows
from attnbench.errors import AttnbenchError
from attnbench.report.figure import run
from attnbench.report.figure.page import Drawing
from attnbench.report.figure.print_size import PrintSize
from attnbench.report.figure.run import (
    drawings,
    named,
    save_figures,
    save_side_by_side,
    side_by_side,
)
from tests.fakes import MACHINE, block
from tests.report.figure.pages import figures

SLOW: dict[str, Any] = {"machine": replace(MACHINE, cpu="Slide rule")}
TIMES = {"msa": 0.4, "hilo": 0.2}


def run_of(times_s: Mapping[str, float] = TIMES, **changes: Any) -> list[Row]:
    return rows(block({label: [seconds] * 6 for label, seconds in times_s.items()}, **changes))


@pytest.fixture
def saved(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is drawn; the files are the stems of their names."""
    monkeypatch.setattr(run, "save", lambda page, stem, wanted: [stem])
    monkeypatch.setattr(
        run, "drawings_of", lambda *_: iter([Drawing("throughput", f"throughput{_[3]}", Figure)])
    )


def test_a_figure_is_meant_by_its_name_or_by_a_kind_that_has_it_alone():
    found = [Drawing(kind, name, Figure) for kind, name in (("scaling", "scaling"), ("scaling", "scaling-b"))]
    other = Drawing("settings", "setting-alpha", Figure)
    assert named([*found, other], "scaling") is found[0]
    assert named([*found, other], "scaling-b") is found[1]
    assert named([*found, other], "settings") is other


@pytest.mark.parametrize(
    ("figure", "says"),
    [
        ("front", "There are 2 figures of the kind 'front'; name one of them: front-a, front-b."),
        ("frnt-a", "There is no figure 'frnt-a'. Did you mean 'front-a'? There are front-a, front-b."),
        ("pie", "There is no figure 'pie'. There are front-a, front-b."),
    ],
)
def test_a_figure_that_is_not_there_or_there_twice_says_what_there_is(figure: str, says: str):
    found = [Drawing("front", name, Figure) for name in ("front-a", "front-b")]
    with pytest.raises(AttnbenchError, match=re.escape(says)):
        named(found, figure)


def test_of_nothing_there_is_no_figure():
    with pytest.raises(AttnbenchError, match=r"There is no figure 'front'\. Nothing was timed"):
        named([], "front")


def test_a_run_has_the_figure_of_its_variants_and_draws_it_where_it_is_asked_for(tmp_path: Path):
    table = [*run_of(), *run_of(kernel="fused")]
    assert [each.name for each in drawings(table)][-1] == "kernels"
    assert "kernels" not in [each.name for each in drawings(run_of())]
    asked = save_figures(table, tmp_path, PrintSize(kinds=frozenset({"kernels"})))
    assert [path.name for path in asked] == ["kernels.png", "kernels.pdf"]
    assert "kernels.png" not in [path.name for path in save_figures(run_of(), tmp_path)]


@pytest.mark.usefixtures("saved")
def test_without_a_word_the_figure_of_variants_is_not_drawn(tmp_path: Path):
    drawn = save_figures([*run_of(), *run_of(kernel="fused")], tmp_path)
    assert [path.name for path in drawn] == ["throughput-explicit", "throughput-fused"]


def test_runs_beside_each_other_are_panels_named_by_their_processors():
    page = figures(side_by_side, {"one": run_of(), "other": run_of(**SLOW)})["throughput"]
    assert [axes.get_title(loc="left") for axes in page.axes] == ["Abacus", "Slide rule"]
    said = " ".join(page.get_supxlabel().split())
    assert "Abacus (2 cores)" in said
    assert "Slide rule (2 cores)" in said


def test_runs_of_one_machine_are_named_by_their_folders():
    page = figures(side_by_side, {"before": run_of(), "after": run_of()})["throughput"]
    assert [axes.get_title(loc="left") for axes in page.axes] == ["before (cpu)", "after (cpu)"]


def test_only_what_all_runs_have_is_beside_each_other():
    both = {"one": [*run_of(), *run_of(dtype="bfloat16")], "other": run_of(**SLOW)}
    assert list(figures(side_by_side, both)) == ["throughput", "ratios", "flops-time"]
    two = {name: [*run_of(), *run_of(batch=8)] for name in ("one", "other")}
    assert [each.name for each in side_by_side(two)][::3] == ["throughput-batch64", "throughput-batch8"]


def test_runs_without_a_common_setting_say_what_each_has():
    with pytest.raises(
        AttnbenchError,
        match=r"no setting in common: one has 14×14 tokens, .*batch 64, .*; other has .* batch 8, ",
    ):
        list(side_by_side({"one": run_of(), "other": run_of(batch=8)}))


def test_a_run_without_times_is_said_to_have_none():
    failed = run_of({"msa": 0.4}, outcome="crashed")
    with pytest.raises(AttnbenchError, match="other has no times"):
        list(side_by_side({"one": run_of(), "other": failed}))


@pytest.mark.usefixtures("saved")
def test_files_of_runs_beside_each_other_name_the_others(tmp_path: Path):
    runs = {"one": run_of(), "results/other": run_of(**SLOW)}
    assert save_side_by_side(runs, tmp_path) == [tmp_path / "throughput-and-results-other"]
    scaling = PrintSize(kinds=frozenset({"scaling"}))
    assert save_side_by_side(runs, tmp_path, scaling) == []
