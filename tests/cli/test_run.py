"""`attnbench run` from end to end, on tiny layers, and what it says to bad input."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from tests.conftest import Run

TINY = ("--dim", "8", "--heads", "2", "--batch", "2", "--quick")


def test_a_sweep_leaves_records_a_table_and_a_run_that_compare_draws(attnbench: Run, tmp_path: Path):
    done = attnbench("run", "msa", "hilo:alpha=0.5", "--res", "2,2x3", "--res", "5", *TINY, "--device", "cpu",
                     "--out", tmp_path / "run")  # fmt: skip
    assert done.status == 0, done.err
    assert "cpu 2x3 batch 2: 2 mechanisms" in done.out
    assert "This takes about" in done.out
    assert "HiLo (alpha=0.5)" in done.out

    records = [json.loads(line) for line in (tmp_path / "run" / "records.jsonl").read_text().splitlines()]
    assert [(row["label"], row["height"], row["width"]) for row in records] == [
        (label, *size) for size in ((2, 2), (2, 3), (5, 5)) for label in ("msa", "hilo:alpha=0.5")
    ]
    with (tmp_path / "run" / "table.csv").open() as file:
        table = list(csv.DictReader(file))
    assert [row["name"] for row in table] == ["msa", "hilo:alpha=0.5"] * 3
    assert all(float(row["imgs_per_s_low"]) <= float(row["imgs_per_s"]) for row in table)

    compared = attnbench("compare", tmp_path / "run", "--plot")
    assert compared.status == 0, compared.err
    sizes, figures = ("2x2", "2x3", "5x5"), ("throughput", "ratios", "flops-time")
    drawn = {path.name for path in (tmp_path / "run").glob("*.png")}
    assert drawn == {f"{figure}-{size}.png" for figure in figures for size in sizes}
    assert {path.stem for path in (tmp_path / "run").glob("*.pdf")} == {Path(name).stem for name in drawn}


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["hlio"], "No mechanism is called 'hlio'. Did you mean 'hilo'?"),
        (["hilo:alfa=1"], "hilo has no setting 'alfa'. Did you mean 'alpha'?"),
        (["hilo:alpha=x"], "alpha is 'x'; it must be a number"),
        (["hilo:alpha=7"], "alpha is 7.0; it must lie between 0 and 1"),
        (["--heads", "5", "--dim", "192"], "5 heads do not divide 192 channels; choose --heads"),
        (["--res", "0"], "'0' is not a size"),
        (["--res", "-3"], "'-3' is not a size"),
        (["--res", "14x"], "'14x' is not a size"),
        (["--dim", "0"], "dim is 0; it must be at least 1"),
        (["--device", "tpu"], "'tpu' is not known"),
        (["--plugin", "nowhere.py"], "nowhere.py does not exist"),
        (["msa", "--out", "/proc/run"], "/proc/run cannot be written"),
    ],
)
def test_bad_input_is_one_clear_line_and_status_two(attnbench: Run, arguments: list[str], says: str):
    done = attnbench("run", "--device", "cpu", *arguments)
    assert done.status == 2
    assert done.err.startswith("Error: ")
    assert done.err.count("\n") == 1
    assert says in done.err


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_a_gpu_that_is_not_there_is_said_with_what_torch_sees(attnbench: Run):
    done = attnbench("run", "--device", "cuda")
    assert done.status == 2
    assert "sees 0 devices" in done.err


def test_an_interrupt_keeps_the_records_and_ends_with_130(tmp_path: Path):
    folder = tmp_path / "run"
    arguments = ["run", "msa", "--device", "cpu", "--res", "7", "--max-seconds", "60", "--out", str(folder)]
    command = [sys.executable, "-m", "attnbench", *arguments]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)
    shard = folder / "shard.jsonl"
    while process.poll() is None and not (shard.exists() and shard.read_text().count("Timed") > 2):
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGINT)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "everything that was measured is kept" in out
    (record,) = [json.loads(line) for line in (folder / "records.jsonl").read_text().splitlines()]
    assert 2 < len(record["samples"]) < 30
    assert (folder / "table.csv").exists()
