"""`attnbench doctor`: the machine, what will disturb a measurement, and what it can do at best."""

import json
import re
from dataclasses import replace

import pytest

from attnbench.cases import protocol
from attnbench.machine import fingerprint
from attnbench.machine.allocator import KEEP_FREED_MEMORY
from attnbench.records.journal import Failed
from attnbench.run import runner
from tests.conftest import Run
from tests.fakes import changed
from tests.shards import ENVIRONMENT, Workers, counted, session, timed, warmed


@pytest.fixture
def workers(monkeypatch: pytest.MonkeyPatch) -> Workers:
    workers = Workers()
    monkeypatch.setattr(runner, "facts_of_worker", workers)
    return workers


def test_ceilings_are_rates_with_their_interval(attnbench: Run, workers: Workers):
    matmul = changed(counted(0), macs=10**9)
    copy = changed(counted(1), macs=0, least_bytes=5 * 10**8)
    samples = [
        timed(index, number=number, seconds=seconds)
        for number, seconds in enumerate((0.1, 0.1, 0.1, 0.2, 0.2))
        for index in (0, 1)
    ]
    workers.next = [[ENVIRONMENT, matmul, copy], [warmed(0), warmed(1), *samples, session(0, [0])[-1]]]
    done = attnbench("doctor", "--device", "cpu", "--dtype", "bfloat16", "--threads", "1")
    assert done.status == 0
    lines = done.out.splitlines()
    assert "Large matmul on cpu in bfloat16, 1 thread: 10 [5, 10] G multiply-adds/s" in lines
    assert "Large copy on cpu in bfloat16, 1 thread: 5.0 [2.5, 5.0] GB/s, read and written" in lines


def test_the_machine_is_shown_as_a_run_records_it(attnbench: Run, workers: Workers):
    out = attnbench("doctor", "--device", "cpu").out
    assert fingerprint.inspect_machine().cpu in out
    assert re.search(rf"torch +{re.escape(fingerprint.inspect_machine().torch)}", out)


def test_a_ceiling_that_cannot_be_measured_says_why(attnbench: Run, workers: Workers):
    workers.next = [[ENVIRONMENT, counted(0), Failed(1, "out_of_memory", "9 GiB are too much")]]
    out = attnbench("doctor", "--device", "cpu", "--threads", "2").out
    assert "Large copy on cpu in float32, 2 threads: out_of_memory, 9 GiB are too much" in out


def test_a_quiet_machine_is_said_to_be_one(attnbench: Run, workers: Workers):
    assert (
        "· Nothing was seen that would disturb a measurement on cpu."
        in attnbench("doctor", "--device", "cpu", "--threads", "1").out
    )


def test_what_disturbs_is_advice(attnbench: Run, workers: Workers, monkeypatch: pytest.MonkeyPatch):
    virtual = replace(ENVIRONMENT, machine=replace(ENVIRONMENT.machine, virtual="kvm"))
    workers.next = [[virtual, counted(0), counted(1)]]
    out = attnbench("doctor", "--device", "cpu", "--threads", "1").out
    assert "· This is a virtual machine (kvm)" in out
    assert "Nothing was seen" not in out


def test_only_what_the_user_set_in_the_environment_is_blamed(attnbench: Run, workers: Workers):
    environment = {**KEEP_FREED_MEMORY, "MALLOC_ARENA_MAX": "1"}
    mine = replace(ENVIRONMENT, machine=replace(ENVIRONMENT.machine, environment=environment))
    workers.next = [[mine, counted(0), counted(1)]]
    out = attnbench("doctor", "--device", "cpu", "--threads", "1").out
    assert "The environment changes how torch computes (MALLOC_ARENA_MAX=1): unset" in " ".join(out.split())


def test_a_device_that_is_not_known_is_the_users_mistake(attnbench: Run, workers: Workers):
    done = attnbench("doctor", "--device", "tpu")
    assert (done.status, workers.started) == (2, 0)
    assert "'tpu' is not known" in done.err


@pytest.mark.slow
@pytest.mark.usefixtures("workers_in_process")
def test_ceilings_are_really_measured(attnbench: Run, monkeypatch: pytest.MonkeyPatch):
    cheap = replace(protocol.CEILINGS_ALONE, precision=100, least_rounds=5)
    monkeypatch.setattr(protocol, "CEILINGS_ALONE", cheap)
    out = attnbench("doctor", "--device", "cpu").out
    rates = re.findall(r"threads: ([\d.,]+) \[[\d.,]+, [\d.,]+\] G", out)
    assert len(rates) == 2
    assert all(float(rate.replace(",", "")) > 0.1 for rate in rates)


def test_json_has_machine_ceilings_and_advice_and_nothing_else(attnbench: Run, workers: Workers):
    done = attnbench("doctor", "--device", "cpu", "--threads", "1", "--format", "json")
    answer = json.loads(done.out)
    assert answer["machine"]["torch"] == fingerprint.inspect_machine().torch
    assert [ceiling["name"] for ceiling in answer["devices"]["cpu"]["ceilings"]] == ["matmul", "copy"]
    assert answer["devices"]["cpu"]["advice"] == []
