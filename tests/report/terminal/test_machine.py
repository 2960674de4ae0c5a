"""What `attnbench doctor` shows."""

from dataclasses import replace
from typing import Any

from rich.console import Console

from attnbench.cases.case import Role
from attnbench.machine.fingerprint import Machine
from attnbench.report.terminal.machine import ceiling_lines, machine_table
from tests.fakes import MACHINE, record

RATE: dict[str, Any] = {"role": Role.ceiling, "batch": 1, "macs": 3 * 10**9, "least_bytes": 10**10}


def shown(machine: Machine) -> list[str]:
    console = Console(width=100)
    with console.capture() as capture:
        console.print(machine_table(machine))
    return [" ".join(line.split()) for line in capture.get().splitlines()]


def test_a_machine_is_shown_a_field_a_line_with_its_unit():
    expected = ["cpu Abacus", "cores 2", "memory 16,384 MiB", "last level cache 32 MiB"]
    expected += ["gpu power limit 700.0 W", "gpu clock max 1980.0 MHz", "environment OMP_PROC_BIND=close"]
    assert set(expected) <= set(shown(replace(MACHINE, environment={"OMP_PROC_BIND": "close"})))


def test_what_a_system_does_not_tell_has_no_line():
    names = {line.split()[0] for line in shown(replace(MACHINE, governor=None))}
    assert not names & {"governor", "environment", "virtual"}


def test_a_ceiling_is_shown_as_a_rate_in_its_own_unit():
    matmul = record("ceiling/matmul", [0.5] * 6, mechanism="matmul", title="Large matmul", **RATE)
    copy = record("ceiling/copy", [0.5] * 4, mechanism="copy", title="Large copy", **RATE)
    assert ceiling_lines([matmul, copy]) == [
        "Large matmul on cpu in float32, 2 threads: 6.00 [6.00, 6.00] G multiply-adds/s",
        "Large copy on cpu in float32, 2 threads: 20.0 GB/s, read and written",
    ]


def test_a_rate_is_the_median_of_its_rounds():
    matmul = record("ceiling/matmul", [0.5, 1.0, 3.0, 3.0, 0.3], mechanism="matmul", **RATE)
    assert "3 [1, 10] G multiply-adds/s" in ceiling_lines([matmul])[0]


def test_a_ceiling_that_could_not_be_measured_says_why():
    failed = record(
        "ceiling/copy", mechanism="copy", outcome="out_of_memory", reason="it needs 9 GiB", **RATE
    )
    assert ceiling_lines([failed])[0].endswith("2 threads: out_of_memory, it needs 9 GiB")
