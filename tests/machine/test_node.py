"""Which node measured, and what a scheduler gave of it."""

import platform
from pathlib import Path

import psutil
import pytest

from attnbench.machine import node
from attnbench.machine.node import Allocation, allocation, fingerprint
from tests.conftest import write


def test_a_node_is_told_from_others_of_its_run_and_from_itself_in_other_runs(root: Path):
    write(root, {"etc/machine-id": "one"})
    mine = fingerprint("salt", {})
    assert fingerprint("salt", {}) == mine
    assert fingerprint("other salt", {}) != mine
    write(root, {"etc/machine-id": "two"})
    assert fingerprint("salt", {}) != mine


def test_nodes_that_began_as_one_image_are_told_apart_by_the_schedulers_name_for_them(root: Path):
    write(root, {"etc/machine-id": "the image's"})
    first, second = (fingerprint("salt", {"SLURMD_NODENAME": name}) for name in ("n01", "n02"))
    assert first != second


def test_a_machine_with_an_id_may_be_called_something_else_tomorrow(
    root: Path, monkeypatch: pytest.MonkeyPatch
):
    write(root, {"etc/machine-id": "one"})
    today = fingerprint("salt", {})
    monkeypatch.setattr(platform, "node", lambda: "elsewhere")
    assert fingerprint("salt", {}) == today


def test_a_machine_without_an_id_is_told_by_its_name_of_which_nothing_is_seen(
    root: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(platform, "node", lambda: "first")
    first = fingerprint("salt", {})
    monkeypatch.setattr(platform, "node", lambda: "second")
    assert fingerprint("salt", {}) != first
    assert (len(first), "first" in first) == (12, False)


def test_outside_of_a_job_nothing_was_given():
    assert allocation({}) is None


@pytest.mark.parametrize(("given", "exclusive"), [("8", True), ("4", True), ("3", False)])
def test_a_job_with_all_cores_has_its_node_to_itself(
    monkeypatch: pytest.MonkeyPatch, given: str, exclusive: bool
):
    monkeypatch.setattr(psutil, "cpu_count", lambda logical: 8 if logical else 4)
    monkeypatch.setattr(node, "affinity", lambda: (0, 1))
    assert allocation({"SLURM_CPUS_ON_NODE": given}) == Allocation((0, 1), 4, exclusive)
