"""`attnbench compare`: a run beside the paper."""

from pathlib import Path

from attnbench.record import RECORDS, append
from tests.conftest import Run
from tests.fakes import record

TIMES = {"msa": 0.4, "hilo": 0.2, "sra": 0.3, "local-window": 0.25, "van": 0.3}


def a_run(folder: Path, started_at: str = "2026-01-01") -> Path:
    folder.mkdir(parents=True)
    for label, seconds in TIMES.items():
        times = [seconds * drift for drift in (1.0, 1.1, 1.05, 1.2, 1.0, 0.9)]
        append(folder, record(label, times, title=label.upper(), started_at=started_at))
    return folder


def test_ratios_rank_correlation_and_claims_stand_beside_the_paper(attnbench: Run, tmp_path: Path):
    out = attnbench("compare", a_run(tmp_path / "run")).out
    assert "2.00 [2.00, 2.00]" in out
    assert "1,029" in out
    assert "Kendall's τ with the paper's order (Intel i9-10900X) is 0.53 over 5 mechanisms" in out
    claims = [line.split("│")[1:] for line in out.splitlines() if "is faster than" in line]
    assert [(cells[0].split()[4], cells[3].strip()) for cells in claims] == [
        ("sra", "holds"), ("local-window", "faster, but by less"), ("van", "faster, but by less"),
    ]  # fmt: skip


def test_without_a_name_the_newest_run_is_compared(attnbench: Run, tmp_path: Path):
    a_run(tmp_path / "old", "2026-01-01")
    a_run(tmp_path / "new", "2026-02-01")
    assert attnbench("compare", "--results", tmp_path).out.startswith(f"{tmp_path}/new")


def test_a_cut_off_last_line_is_said_and_the_rest_compared(attnbench: Run, tmp_path: Path):
    path = a_run(tmp_path / "run") / RECORDS
    path.write_text(path.read_text()[:-50])
    done = attnbench("compare", path.parent)
    assert done.status == 0
    assert "last line was cut off" in done.out
    assert "over 4 mechanisms" in done.out


def test_a_folder_without_a_run_is_the_users_mistake(attnbench: Run, tmp_path: Path):
    done = attnbench("compare", tmp_path)
    assert done.status == 2
    assert "`attnbench run` makes one" in done.err


def test_an_empty_run_is_said_to_be_one(attnbench: Run, tmp_path: Path):
    (tmp_path / RECORDS).touch()
    done = attnbench("compare", tmp_path)
    assert done.status == 2
    assert "holds no rows" in done.err


def test_without_a_baseline_there_are_no_ratios_to_draw(attnbench: Run, tmp_path: Path):
    append(tmp_path, record("hilo", [0.2] * 6))
    assert attnbench("compare", tmp_path, "--plot").status == 0
    assert {path.name for path in tmp_path.glob("*.png")} == {"throughput.png", "flops-time.png"}


def test_claims_are_about_the_papers_setting_only(attnbench: Run, tmp_path: Path):
    for label, seconds in TIMES.items():
        append(tmp_path, record(label, [seconds] * 6, batch=8))
    out = attnbench("compare", tmp_path).out
    assert out.count("not measured in this run") == 3
