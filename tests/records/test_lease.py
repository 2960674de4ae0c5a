"""A file that holds a folder where there are no locks."""

import os
import threading
from pathlib import Path

import pytest

from attnbench.errors import AttnbenchError
from attnbench.records import lease
from attnbench.records.lease import LIFE_S, age_s, leased, take


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "lease"


def let_age(path: Path, seconds: float) -> None:
    """As if its owner had not renewed it for so long."""
    renewed = path.stat().st_mtime - seconds
    os.utime(path, (renewed, renewed))


def test_one_of_two_has_it_and_nothing_is_left_behind(path: Path):
    with leased(path), pytest.raises(BlockingIOError):
        take(path, "other")
    assert list(path.parent.iterdir()) == []
    with leased(path):
        pass


def test_what_nobody_renews_is_taken_over_and_not_before(path: Path):
    take(path, "killed")
    let_age(path, LIFE_S - 5)
    with pytest.raises(BlockingIOError):
        take(path, "mine")
    let_age(path, 10)
    take(path, "mine")
    assert path.read_text() == "mine"
    assert list(path.parent.iterdir()) == [path]


def test_what_another_has_made_meanwhile_is_put_back(path: Path, monkeypatch: pytest.MonkeyPatch):
    def outrun(path: Path) -> float:
        path.write_text("faster")
        return 2 * LIFE_S

    take(path, "killed")
    monkeypatch.setattr(lease, "age_s", outrun)
    with pytest.raises(BlockingIOError):
        take(path, "mine")
    assert path.read_text() == "faster"
    assert list(path.parent.iterdir()) == [path]


def test_its_age_is_told_by_the_clock_of_its_file_system(path: Path, monkeypatch: pytest.MonkeyPatch):
    take(path, "mine")
    monkeypatch.setattr("time.time", lambda: 0.0)
    assert abs(age_s(path)) < LIFE_S


def test_who_lost_it_is_told_and_leaves_it_to_the_other(path: Path):
    with pytest.raises(AttnbenchError, match=r"taken over .* stood still for more than 60 s"), leased(path):
        path.write_text("other")
    assert path.read_text() == "other"


def test_its_owner_keeps_it_new(path: Path, monkeypatch: pytest.MonkeyPatch):
    renewed = threading.Event()
    monkeypatch.setattr(lease, "RENEWED_S", 0.001)
    monkeypatch.setattr(Path, "touch", lambda _: renewed.set())
    with leased(path):
        assert renewed.wait(timeout=60)
