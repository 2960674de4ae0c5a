"""`attnbench.plot`: a figure of a run or of a frame, without pyplot."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import matplotlib as mpl
import pytest
from matplotlib.axes import Axes
from matplotlib.container import BarContainer
from matplotlib.figure import Figure
from torch import nn

import attnbench
from attnbench import AttnbenchError
from attnbench.records.record_file import RECORDS, append
from attnbench.report.colours import ASIDE
from tests.fakes import MEMORY, block

TIMES = {"msa": 0.4, "hilo": 0.2, "van": 0.3}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A run of three layers on two maps."""
    for side in (7, 14):
        samples = {
            label: [seconds * side * x for x in (1, 1.01, 0.99) * 2] for label, seconds in TIMES.items()
        }
        append(tmp_path, block(samples, memory=MEMORY, height=side, width=side, block=str(side)))
    return tmp_path


def bars(figure: Figure) -> dict[str, tuple[float, str]]:
    """The length and colour of each bar, by its name, from the bottom up."""
    (axes,) = figure.axes
    (found,) = (each for each in axes.containers if isinstance(each, BarContainer))
    names = [label.get_text() for label in axes.get_yticklabels()]
    drawn = [(float(bar.get_width()), mpl.colors.to_hex(bar.get_facecolor())) for bar in found]
    return dict(zip(names, drawn, strict=True))


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.findobj(mpl.text.Text) if isinstance(text, mpl.text.Text)]


def test_a_folder_is_drawn_as_compare_draws_it(folder: Path):
    figure = attnbench.plot(folder, "throughput-14x14")
    assert list(bars(figure)) == ["MSA", "VAN", "HILO"]
    assert figure.get_figwidth() == 3.5
    assert figure.get_supxlabel().startswith("14×14 tokens, dim 768")
    assert "Abacus (2 cores)" in " ".join(figure.get_supxlabel().split())


def test_a_frame_of_the_run_gives_the_same_bars_and_all_but_the_machine_of_the_note(folder: Path):
    table = attnbench.load(folder)
    figure = attnbench.plot(table[table["height"] == 14])
    assert bars(figure) == bars(attnbench.plot(folder, "throughput-14x14"))
    said = " ".join(figure.get_supxlabel().split())
    assert "float32, explicit kernel, inference. Abacus, 2 threads, torch 2.13.0, attnbench 0.1.0." in said


@pytest.mark.parametrize("kind", ["ratios-14x14", "flops-time-7x7", "front-7x7", "scaling", "scaling-ratios"])
def test_every_figure_of_a_frame_has_the_texts_of_that_of_its_run(folder: Path, kind: str):
    ours, theirs = (attnbench.plot(each, kind, bare=True) for each in (attnbench.load(folder), folder))
    for figure in (ours, theirs):
        figure.draw_without_rendering()
    assert texts(ours) == texts(theirs)


def test_a_run_with_several_of_a_kind_says_their_names(folder: Path):
    with pytest.raises(
        AttnbenchError, match=r"2 figures of the kind 'throughput'; .*: throughput-7x7, through"
    ):
        attnbench.plot(folder)


def test_what_is_drawn_is_chosen_named_and_highlighted(folder: Path):
    how: dict[str, Any] = {"only": ["hilo", "msa"], "rename": {"hilo": "Ours"}, "highlight": "hilo"}
    drawn = bars(attnbench.plot(folder, "throughput-7x7", **how))
    assert list(drawn) == ["MSA", "Ours"]
    assert drawn["MSA"][1] == ASIDE != drawn["Ours"][1]


@pytest.mark.parametrize(("width", "inches"), [(4, 4.0), (3.25, 3.25), ("cvpr", 3.25), ("8.89cm", 3.5)])
def test_a_width_is_inches_or_a_word(folder: Path, width: float | str, inches: float):
    assert attnbench.plot(folder, "scaling", width=width).get_figwidth() == pytest.approx(inches)


def test_runs_in_a_list_stand_beside_each_other(folder: Path, tmp_path: Path):
    other = tmp_path / "gpu"
    other.mkdir()
    samples = {label: [seconds] * 6 for label, seconds in TIMES.items()}
    append(other, block(samples, height=7, width=7, block="7", device="cuda"))
    pairs: list[Any] = [[folder, str(other)], [attnbench.load(folder), attnbench.load(other)]]
    for pair in pairs:
        figure = attnbench.plot(pair, "throughput")
        assert [axes.get_title(loc="left") for axes in figure.axes] == ["Abacus", "Loom"]
        assert figure.get_figwidth() == 7.16


def test_what_measure_gave_can_be_drawn_whatever_columns_it_shows():
    layers: dict[str, nn.Module | str] = {"mine": nn.Linear(16, 16), "theirs": nn.Linear(16, 16)}
    table = attnbench.measure(layers, shape=(2, 16, 16), seconds=0.5, threads=1)
    assert "batch" not in table.columns
    assert set(bars(attnbench.plot(table))) == {"mine", "theirs"}
    assert "batch 2" in " ".join(attnbench.plot(table, "ratios").get_supxlabel().split())


@pytest.mark.parametrize(
    ("how", "says"),
    [
        ({"figure": "throughputs"}, "There is no figure 'throughputs'. Did you mean 'throughput"),
        ({"figure": "settings"}, "There is no figure 'settings'"),
        ({"only": "hlio"}, "The run has no 'hlio'. Did you mean 'hilo'"),
        ({"highlight": ["nobody"]}, "The run has no 'nobody'"),
        ({"width": "wide"}, "width is 'wide'; it must be column"),
        ({"width": 0.5}, "width is '0.5in'; it must be column"),
        ({"width": (3, 2)}, "width is (3, 2); it must be a number of inches, or a word such as 'column'"),
        ({"figure": None}, "figure is None; name one, such as 'throughput'"),
        ({"rename": {"hilo": 3}}, "rename is {'hilo': 3}; it must be a dict of labels and names"),
        ({"only": [3]}, "only is [3]; it must be a label, or a list of them"),
        ({"highlight": 3}, "highlight is 3; it must be a label, or a list of them"),
        ({"rename": "hilo=Ours"}, "rename is 'hilo=Ours'; it must be a dict of labels and names"),
    ],
)
def test_what_is_not_there_is_an_error(folder: Path, how: dict[str, Any], says: str):
    with pytest.raises(AttnbenchError) as caught:
        attnbench.plot(folder, **{"figure": "throughput-7x7", **how})
    assert str(caught.value).startswith(says)


def test_variants_are_drawn_from_a_folder_alone(tmp_path: Path):
    for kernel in ("explicit", "fused"):
        append(tmp_path, block({"msa": [0.4] * 6, "hilo": [0.2] * 6}, kernel=kernel)[:2])
    assert attnbench.plot(tmp_path, "kernels").axes[0].get_ylabel() == "Throughput (images/s)"
    with pytest.raises(AttnbenchError, match="which a frame does not hold; give the folder"):
        attnbench.plot(attnbench.load(tmp_path), "kernels")


def test_nothing_to_draw_is_said():
    with pytest.raises(AttnbenchError, match="There is no run to draw"):
        attnbench.plot([])


@pytest.mark.parametrize("kind", ["Series", "NoneType", "dict"])
def test_what_is_no_frame_is_refused(folder: Path, kind: str):
    table = attnbench.load(folder)
    given: dict[str, Any] = {"Series": table.loc[0], "NoneType": None, "dict": table.to_dict()}
    with pytest.raises(
        AttnbenchError, match=f"What is to be drawn is a {kind}; give the folder of a run, or"
    ):
        attnbench.plot(given[kind])


@pytest.mark.parametrize("broken", [{"mode": "train"}, {"dim": "wide"}, {"batch": None}])
def test_a_frame_with_a_value_that_means_nothing_says_in_which_line(folder: Path, broken: dict[str, Any]):
    with pytest.raises(
        AttnbenchError, match="Line 0 of the frame, of msa, holds a value that its column cannot"
    ):
        attnbench.plot(attnbench.load(folder).assign(**broken), "scaling")


def test_a_line_that_was_cut_off_is_a_warning(folder: Path):
    with (folder / RECORDS).open("a") as file:
        file.write('{"key":')
    with pytest.warns(UserWarning, match="the last line was cut off") as caught:
        attnbench.plot(folder, "scaling")
    assert [warning.filename for warning in caught] == [__file__]


def test_a_figure_looks_the_same_whatever_style_its_user_has(folder: Path, tmp_path: Path):
    figure = attnbench.plot(folder, "scaling")
    with mpl.rc_context({"xtick.labelsize": 20, "savefig.dpi": 50}):
        figure.savefig(tmp_path / "theirs.png")
    figure.savefig(tmp_path / "ours.png")
    assert (tmp_path / "theirs.png").read_bytes() == (tmp_path / "ours.png").read_bytes()
    axes: Axes = figure.axes[0]
    assert {label.get_fontsize() for label in axes.get_xticklabels()} == {7.0}


def test_a_notebook_shows_it(folder: Path):
    assert attnbench.plot(folder, "scaling")._repr_png_().startswith(b"\x89PNG")  # type: ignore[attr-defined]


def test_it_needs_neither_torch_nor_pyplot(folder: Path):
    code = (
        "import sys, attnbench; attnbench.plot(sys.argv[1], 'scaling').savefig(sys.argv[2]); "
        "print({'torch', 'pandas', 'matplotlib.pyplot'} & set(sys.modules))"
    )
    arguments = [sys.executable, "-c", code, str(folder), str(folder / "scaling.png")]
    done = subprocess.run(arguments, capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
