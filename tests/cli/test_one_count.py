"""One layer has one count, however its products are written and whichever command says it."""

import csv
import io
import subprocess
import sys
from pathlib import Path

import pytest

from attnbench import Geometry
from attnbench.records.record_file import read
from mechanisms.msa import macs
from tests.conftest import Run
from tests.spellings import CORES

PLUGIN = Path(__file__).parents[1] / "spellings.py"
GEOMETRY = Geometry(16, 2, 3, 4)
SIZE = ("--dim", "16", "--heads", "2", "--res", "3x4", "--plugin", PLUGIN)
ONE = str(macs(GEOMETRY))


def lines_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_list_counts_every_spelling_alike(attnbench: Run):
    listed = lines_of(attnbench("list", *CORES, *SIZE, "--format", "csv").out)
    assert {line["label"]: line["macs"] for line in listed} == dict.fromkeys(CORES, ONE)


@pytest.mark.parametrize("name", CORES)
def test_check_finds_the_closed_form(attnbench: Run, name: str):
    done = attnbench("check", name, *SIZE)
    assert (done.status, done.out.splitlines()[-1]) == (0, "The contract is kept."), done.err


def test_check_says_nothing_on_standard_error():
    command = [sys.executable, "-m", "attnbench", "check", "msa", "--res", "2"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stderr == ""


@pytest.mark.parametrize("name", CORES)
def test_profile_divides_the_same_count(
    attnbench: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
):
    monkeypatch.setattr("attnbench.measuring.profile.PROFILED_S", 0)
    done = attnbench("profile", name, *SIZE, "--batch", "1", "--format", "csv", "--out", tmp_path)
    assert sum(int(line["macs"] or 0) for line in lines_of(done.out)) == int(ONE)


@pytest.mark.slow
@pytest.mark.usefixtures("workers_in_process")
def test_a_run_and_its_reports_say_it_too(attnbench: Run, tmp_path: Path):
    how = ("--batch", "1", "--quick", "--max-seconds", "1", "--out", tmp_path)
    assert attnbench("run", *CORES, *SIZE, *how).status == 0
    counts = {record.case.label: record.cost and record.cost.macs for record in read(tmp_path).records}
    assert {name: counts[name] for name in CORES} == dict.fromkeys(CORES, int(ONE))
    shown = lines_of(attnbench("compare", tmp_path, "--format", "csv").out)
    assert {line["macs"] for line in shown} == {ONE}
    reported = lines_of(attnbench("report", tmp_path, "--format", "csv").out)
    assert {line["value"] for line in reported if line["metric"] == "macs"} == {ONE}
