"""A Slurm made of one file for the tests of this folder, and a command whose blocks are its jobs."""

from pathlib import Path

import pytest

from attnbench.cluster import job
from attnbench.run import runner
from tests.cluster import fake
from tests.cluster.fake import SLEEP, WHOLE, WORDS, FakeSlurm
from tests.conftest import Outcome, Run
from tests.shards import Workers


@pytest.fixture
def slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeSlurm:
    (folder := tmp_path / "slurm").mkdir()
    found = FakeSlurm(folder)
    found.install()
    for name, value in fake.variables(folder).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(job, "allocation", lambda: WHOLE)
    monkeypatch.setattr(runner, "facts_of_worker", Workers())
    monkeypatch.setattr(SLEEP, lambda _: pytest.fail("it waits for jobs that nobody does"))
    monkeypatch.chdir(tmp_path)
    return found


@pytest.fixture
def command(attnbench: Run) -> Run:
    """The same command each time, with what is said besides."""

    def run(*more: str) -> Outcome:
        return attnbench("run", *WORDS, *more)

    return run
