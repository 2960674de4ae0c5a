"""`--same-machine`: Slurm is asked for nodes of one kind, and a job on another is refused."""

from dataclasses import replace

import pytest

from attnbench.cluster import job
from attnbench.machine.fingerprint import inspect_machine
from tests.cluster.fake import FakeSlurm, part
from tests.conftest import Run

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
    assert all(f"one kind: {each.partition('=')[2]}." in said for each in asked)


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
