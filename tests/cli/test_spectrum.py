"""`attnbench spectrum`: figures and numbers from the command line."""

import csv
from pathlib import Path

import pytest

from attnbench.run import fitting
from tests.conftest import Run

SMALL = ("--res", "7", "--dim", "24", "--heads", "3", "--images", "4")


@pytest.mark.usefixtures("figures_unencoded")
def test_figures_and_numbers_are_written_and_named(attnbench: Run, tmp_path: Path):
    folder = tmp_path / "new" / "spectrum"
    done = attnbench("spectrum", "hilo:alpha=0.5", "msa", "msa", *SMALL, "--plot", "--out", folder)
    assert done.status == 0
    stems = ("spectrum-hilo-alpha-0.5", "spectrum-msa", "profile", "gain")
    expected = {f"{stem}.{kind}" for stem in stems for kind in ("png", "pdf")} | {"profile.csv"}
    assert {path.name for path in folder.iterdir()} == expected
    assert {line.split(": ")[1] for line in done.out.splitlines() if line.startswith("written: ")} == {
        str(folder / name) for name in expected
    }
    lines = csv.DictReader((folder / "profile.csv").read_text().splitlines())
    assert list(dict.fromkeys((line["mechanism"], line["branch"]) for line in lines)) == [
        ("input", ""),
        ("hilo:alpha=0.5", ""),
        ("hilo:alpha=0.5", "Hi-Fi"),
        ("hilo:alpha=0.5", "Lo-Fi"),
        ("msa", ""),
    ]


def test_nothing_is_drawn_unasked(attnbench: Run, tmp_path: Path):
    out = attnbench("spectrum", *SMALL, "--out", tmp_path).out
    assert [path.name for path in tmp_path.iterdir()] == ["profile.csv"]
    assert [line for line in out.splitlines() if "written: " in line] == [f"written: {tmp_path}/profile.csv"]


def test_sets_and_sweeps_are_several_layers(attnbench: Run, tmp_path: Path):
    done = attnbench("spectrum", "@convolution", "hilo:window=1,7", *SMALL, "--out", tmp_path)
    assert done.status == 0, done.err
    lines = csv.DictReader((tmp_path / "profile.csv").read_text().splitlines())
    found = {line["mechanism"] for line in lines}
    assert {"van", "hornet", "hilo:window=1", "hilo:window=7"} <= found


@pytest.mark.parametrize("option", [["--width", "column"], ["--svg"], ["--bare"]])
def test_how_to_draw_without_drawing_is_the_users_mistake(attnbench: Run, tmp_path: Path, option: list[str]):
    done = attnbench("spectrum", *SMALL, *option, "--out", tmp_path)
    assert (done.status, "add --plot to draw them" in done.err) == (2, True)
    assert list(tmp_path.iterdir()) == []


def test_without_a_name_it_is_hilo_and_options_reach_the_figures(attnbench: Run, tmp_path: Path):
    figures = ("--plot", "--width", "column", "--svg")
    out = attnbench("spectrum", *SMALL, "--seed", "5", *figures, "--out", tmp_path).out
    assert "HiLo, Lo-Fi" in out
    assert "7×7 tokens, 24 channels, 3 heads, 4 images, seed 5." in out
    assert (tmp_path / "spectrum-hilo.svg").exists()
    for name in ("spectrum-hilo", "gain"):
        assert b"/MediaBox [ 0 0 252 " in (tmp_path / f"{name}.pdf").read_bytes()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("hlio",), "Did you mean 'hilo'?"),
        (("hilo", "--res", "x"), "'x' is not a size"),
        (("hilo", "--res", "2"), "2x2 has too few frequencies"),
        (("sra:reduction=20",), "sra"),
        (("hilo:alpha=2",), "alpha is 2.0"),
        (("msa", "--heads", "5"), "5 heads do not divide 24 channels"),
        (("msa", "--images", "0"), "--images"),
    ],
)
def test_a_mistake_is_said_and_nothing_is_drawn(
    attnbench: Run, tmp_path: Path, arguments: tuple[str, ...], says: str
):
    done = attnbench("spectrum", *SMALL, *arguments, "--out", tmp_path)
    assert done.status == 2
    assert says in done.err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@pytest.mark.usefixtures("workers_in_process")
@pytest.mark.parametrize("size", [("--res", "100000"), ("--dim", "99999999999", "--heads", "3")])
def test_where_there_is_memory_for_none_each_says_what_it_needs(
    attnbench: Run, tmp_path: Path, size: tuple[str, ...]
):
    done = attnbench("spectrum", "hilo", "msa", *size, "--out", tmp_path / "new")
    assert (done.status, (tmp_path / "new").exists()) == (2, False)
    for name in ("hilo", "msa"):
        assert f"{name} has no spectrum: out of memory: it needs 8,589,934,592.0 GiB or more by" in done.err
    assert done.err.endswith(". Choose a smaller --res or --dim.\n")


def test_who_there_is_no_memory_for_is_left_out_and_told(
    attnbench: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(fitting, "shortages", lambda *_: {"msa": "out of memory: it needs 9 GiB"})
    done = attnbench("spectrum", "hilo", "msa", *SMALL, "--out", tmp_path)
    assert done.status == 0
    assert "msa has no spectrum: out of memory: it needs 9 GiB." in " ".join(done.out.split())
    assert "\nmsa," not in (tmp_path / "profile.csv").read_text()


def test_a_folder_that_is_a_file_is_the_users_mistake(attnbench: Run, tmp_path: Path):
    (tmp_path / "taken").touch()
    done = attnbench("spectrum", *SMALL, "--out", tmp_path / "taken")
    assert done.status == 2
    assert "cannot be written" in done.err
