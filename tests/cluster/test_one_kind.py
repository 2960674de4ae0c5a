"""`--same-machine`: Slurm is asked for nodes of one kind, and a job on another is refused."""

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from attnbench.cluster import job
from attnbench.cluster.kind import AnotherKind, require_same
from attnbench.machine.fingerprint import inspect_machine
from attnbench.records.codec import to_row
from attnbench.records.parts import BLOCKS
from tests.cluster.fake import FakeSlurm, part
from tests.conftest import Run
from tests.fakes import MACHINE

NEW, OLD, OTHER = "many*|2:32:2|(null)|icelake,ib", "many*|2:16:2|(null)|haswell,ib", "gpu|2:8:1|gpu:4|a100"


def constraints(slurm: FakeSlurm) -> list[str]:
    return [word for array in slurm.arrays for word in array["options"] if "constraint" in word]


@pytest.mark.parametrize(
    ("nodes", "asked"),
    [
        ([NEW, NEW, OLD], ["--constraint=ib&icelake"]),
        ([NEW, OLD, OLD], ["--constraint=haswell&ib"]),
        ([NEW, NEW, OTHER], []),  # of another partition
        (
            [NEW, "many*|2:32:2|(null)|icelake,ib,big", "many*|2:32:2|(null)|icelake,ib"],
            ["--constraint=big&ib&icelake"],
        ),
    ],
)
def test_slurm_is_asked_for_the_kind_that_it_has_most_of_and_can_tell_apart(
    slurm: FakeSlurm, command: Run, nodes: list[str], asked: list[str]
):
    (slurm.folder / "nodes").write_text("\n".join(nodes))
    said = command("--same-machine", "--detach").out
    assert constraints(slurm) == asked
    assert all("--time=20" in array["options"] for array in slurm.arrays)
    assert all(f"one kind: {each.partition('=')[2]}." in said for each in asked)


def test_nodes_of_a_partition_that_is_named_are_told_apart(slurm: FakeSlurm, command: Run):
    (slurm.folder / "nodes").write_text("\n".join([OTHER, "gpu|2:8:1|gpu:4|h100", OTHER]))
    command("--on", "slurm:partition=gpu", "--same-machine", "--detach")
    assert constraints(slurm) == ["--constraint=a100"]


@pytest.mark.parametrize("named", ["constraint=haswell", "nodelist=n1"])
def test_what_the_site_names_is_not_chosen_again(slurm: FakeSlurm, command: Run, named: str):
    done = command("--on", f"slurm:{named}", "--same-machine", "--detach")
    assert done.status == 0
    assert f"--{named}" in slurm.arrays[0]["options"]


def test_kinds_that_no_feature_tells_apart_are_the_users_to_name(slurm: FakeSlurm, command: Run):
    (slurm.folder / "nodes").write_text("many*|2:32:2|(null)|ib\nmany*|2:16:2|(null)|ib")
    done = command("--same-machine", "--detach")
    assert (done.status, slurm.arrays) == (2, [])
    assert "1 of 2:32:2 cores, with ib; 1 of 2:16:2 cores, with ib" in " ".join(done.err.split())


def test_nobody_chooses_while_slurm_does_not_say_which_nodes_there_are(slurm: FakeSlurm, command: Run):
    (slurm.folder / "down").touch()
    assert "Slurm does not say which nodes there are" in command("--same-machine", "--detach").err


@pytest.mark.parametrize(("more", "ends"), [(["--same-machine"], job.REFUSED), ([], 0)])
def test_a_job_on_another_kind_than_the_first_is_refused_where_one_is_wanted(
    slurm: FakeSlurm, command: Run, monkeypatch: pytest.MonkeyPatch, more: list[str], ends: int
):
    (slurm.folder / "nodes").write_text(NEW)
    command(*more, "--detach")
    jobs = slurm.work_off()
    assert next(jobs) == 0
    here = inspect_machine()
    monkeypatch.setattr(
        "attnbench.run.block_records.inspect_machine", lambda: replace(here, cpu="Another CPU")
    )
    assert next(jobs) == ends
    assert f"cpu {here.cpu} there and Another CPU here" in part(1).refusal or not ends


@pytest.fixture
def blocks(tmp_path: Path) -> Path:
    (folder := tmp_path / BLOCKS).mkdir()
    return folder


def test_machines_are_of_one_kind_for_each_device_by_itself(blocks: Path):
    other = replace(MACHINE, gpu="Another GPU")
    require_same(blocks.parent, MACHINE, "cpu")
    require_same(blocks.parent, other, "cpu")
    require_same(blocks.parent, other, "cuda")
    with pytest.raises(AnotherKind, match="gpu Another GPU there and Loom here"):
        require_same(blocks.parent, MACHINE, "cuda")
    assert {path.name for path in blocks.iterdir()} == {"machine-cpu.json", "machine-cuda.json"}


def test_of_two_jobs_that_are_the_first_at_once_one_is(blocks: Path, monkeypatch: pytest.MonkeyPatch):
    def overtaken(new: Path, path: Path) -> None:
        path.write_text(json.dumps(to_row(MACHINE)))
        raise FileExistsError

    monkeypatch.setattr(os, "link", overtaken)
    with pytest.raises(AnotherKind, match="cpu Abacus there and Another CPU here"):
        require_same(blocks.parent, replace(MACHINE, cpu="Another CPU"), "cpu")
    assert [path.name for path in blocks.iterdir()] == ["machine-cpu.json"]
