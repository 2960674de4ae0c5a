"""What decides a case's number."""

from dataclasses import replace
from typing import Any

import pytest

from attnbench.cases.case import Case, Role
from attnbench.records.record import key
from tests.fakes import MACHINE
from tests.shards import PROTOCOL, case


def a_key(of: Case = case(), threads: int = 2, device: str = "cpu", **changes: Any) -> str:  # noqa: B008
    names = {name: changes.pop(name) for name in list(changes) if hasattr(MACHINE, name)}
    return key(replace(of, device=device), replace(PROTOCOL, **changes), threads, replace(MACHINE, **names))


def test_the_same_measurement_has_the_same_key_on_every_machine_like_this():
    assert (
        a_key() == a_key(case()) == a_key(gpu="Abacus", driver="2.0", commit="1", attnbench="9", system="?")
    )


@pytest.mark.parametrize(
    "other",
    [
        a_key(case(source="edited")),
        a_key(case(role=Role.control)),
        a_key(case(settings={"alpha": 0.5})),
        a_key(case(batch=4)),
        a_key(threads=1),
        a_key(sessions=3),
        a_key(precision=0.01),
        a_key(seed=1),
        a_key(torch="2.14.0"),
        a_key(cpu="Other"),
        a_key(device="cuda"),
    ],
)
def test_whatever_decides_a_number_changes_the_key(other: str):
    assert other != a_key()


def test_a_gpu_decides_what_is_measured_on_it():
    assert a_key(device="cuda") != a_key(device="cuda", driver="2.0")
