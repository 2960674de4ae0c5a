"""`attnbench profile` from the command line."""

import csv
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from attnbench.cases.protocol import QUICK
from attnbench.run import fitting
from tests.conftest import Run
from tests.test_readme import README

SMALL = ("--res", "4x6", "--dim", "24", "--heads", "3", "--batch", "2")


@pytest.fixture(autouse=True)
def _threads() -> Iterator[None]:
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


@pytest.fixture(autouse=True)
def _few_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("attnbench.measuring.profile.PROFILED_S", 0)
    monkeypatch.setattr(
        "attnbench.measuring.profile.WARMUP", replace(QUICK, least_warmup_s=0, most_warmup_s=0)
    )


def test_tables_are_shown_and_numbers_and_trace_written_and_named(attnbench: Run, tmp_path: Path):
    folder = tmp_path / "new" / "profile"
    done = attnbench("profile", "hilo:alpha=0.5", *SMALL, "--kernel", "fused", "--out", folder)
    assert done.status == 0, done.err
    assert "HiLo (alpha=0.5): 4×6 tokens, dim 24, 3 heads, 2 images, float32, fused kernel" in done.out
    assert "scaled_dot_product" in done.out
    assert "The same by part" in done.out
    assert "Without the profiler a call takes" in done.out
    assert "https://ui.perfetto.dev" in done.out
    assert {path.name for path in folder.iterdir()} == {"profile.csv", "trace.json"}
    for path in folder.iterdir():
        assert f"written: {path}" in done.out


def test_csv_is_printed_alone_and_holds_what_was_asked_for(attnbench: Run, tmp_path: Path):
    options = ("--dtype", "bfloat16", "--threads", "1", "--format", "csv", "--out", tmp_path)
    done = attnbench("profile", "msa", *SMALL, *options)
    assert done.out == (tmp_path / "profile.csv").read_text()
    first, *_ = csv.DictReader(done.out.splitlines())
    asked = {"label": "msa", "device": "cpu", "dtype": "bfloat16", "kernel": "explicit", "batch": "2"}
    asked |= {"height": "4", "width": "6", "dim": "24", "heads": "3", "threads": "1"}
    assert asked.items() <= first.items()


def test_without_a_folder_the_mechanism_names_it(
    attnbench: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    attnbench("profile", "hilo:alpha=0.5,window=4", *SMALL)
    assert (tmp_path / "results/profile/hilo-alpha-0.5-window-4/trace.json").exists()


def test_a_plugin_is_profiled_as_built_ins_are(attnbench: Run, tmp_path: Path):
    plugin = tmp_path / "my_attention.py"
    plugin.write_text(README.read_text(encoding="utf-8").split("```python\n")[1].split("```")[0])
    done = attnbench("profile", "linear", "--plugin", plugin, *SMALL, "--format", "csv", "--out", tmp_path)
    found = list(csv.DictReader(done.out.splitlines()))
    assert {row["part"] for row in found if row["operator"] in ("addmm", "bmm")} == {
        "projections",
        "attention core",
    }
    assert sum(int(row["macs"]) for row in found) == 2 * (4 * 24 * 24**2 + 2 * 24 * 24 * 8)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("hlio",), "Did you mean 'hilo'?"),
        (("hilo:alpha=0..1/0.1",), "means 11 choices"),
        (("hilo:alpha=2",), "alpha is 2.0"),
        (("msa", "--res", "x"), "'x' is not a size"),
        (("msa", "--heads", "5"), "5 heads do not divide 24 channels"),
        (("msa", "--device", "tpu"), "'tpu' is not known"),
        (("msa", "--kernel", "quick"), "--kernel"),
        (("msa", "--batch", "0"), "--batch"),
        (("msa", "--threads", "0"), "--threads"),
        (("msa", "--plugin", "missing.py"), "missing.py does not exist"),
        (("sra:reduction=20",), "sra"),
    ],
)
def test_a_mistake_is_said(attnbench: Run, tmp_path: Path, arguments: tuple[str, ...], says: str):
    done = attnbench("profile", *SMALL, *arguments, "--out", tmp_path)
    assert done.status == 2
    assert says in done.err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@pytest.mark.usefixtures("workers_in_process")
@pytest.mark.parametrize("size", [("--res", "100000"), ("--dim", "99999999999", "--heads", "3")])
def test_a_layer_that_there_is_no_memory_for_says_what_it_needs(
    attnbench: Run, tmp_path: Path, size: tuple[str, ...]
):
    done = attnbench("profile", "hilo", *size, "--out", tmp_path / "new")
    assert (done.status, (tmp_path / "new").exists()) == (2, False)
    assert done.err.startswith(
        "Error: hilo cannot be profiled: out of memory: it needs 8,589,934,592.0 GiB or "
    )
    assert done.err.endswith(" GiB are available. Choose a smaller --res, --dim or --batch.\n")


def test_what_is_too_large_is_known_before_it_is_built(
    attnbench: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(
        fitting, "shortages", lambda cases, _: {each.label: "out of memory" for each in cases}
    )
    done = attnbench("profile", "msa", *SMALL, "--out", tmp_path)
    assert (done.status, list(tmp_path.iterdir())) == (2, [])
    assert done.err.startswith("Error: msa cannot be profiled: out of memory. Choose ")


def test_a_folder_that_is_a_file_is_the_users_mistake(attnbench: Run, tmp_path: Path):
    (tmp_path / "taken").touch()
    done = attnbench("profile", "msa", *SMALL, "--out", tmp_path / "taken")
    assert done.status == 2
    assert "cannot be written" in done.err


def test_what_a_device_refuses_is_told_without_the_name_of_an_exception(attnbench: Run, tmp_path: Path):
    done = attnbench("profile", "msa", *SMALL, "--dtype", "tf32", "--out", tmp_path)
    assert done.err.startswith("Error: msa cannot be profiled: TF32 is how a CUDA device may round float32;")
