"""Advice has a cause, a size and a remedy, and is given only where it matters."""

import re
from dataclasses import replace
from typing import Any

import pytest

from attnbench.analysis.advice import advice, standing_advice
from attnbench.machine.witness import Witness
from tests.fakes import MACHINE, witness

QUIET = witness(cpu_s=190.0)
ON_GPU = replace(
    QUIET,
    device="cuda",
    cpu_s=100.0,
    gpu_clock_mhz_start=1980.0,
    gpu_clock_mhz_end=1980.0,
    gpu_throttle_reasons="",
)
UNKNOWN: dict[str, Any] = dict.fromkeys(
    ["steal_s", "pressure_s", "involuntary_switches", "throttled_s", "swapped_bytes"]
)


def advised(witness: Witness, threads: int = 2) -> str:
    """All advice on one session, as text."""
    return "\n".join(advice([witness], threads))


@pytest.mark.parametrize("witness", [QUIET, ON_GPU, replace(QUIET, **UNKNOWN)])
def test_a_quiet_session_needs_no_advice(witness: Witness):
    assert advice([witness], 2) == []


def test_no_session_needs_no_advice():
    assert advice([], 2) == []


def test_others_are_given_as_a_share_of_the_cores_in_use():
    busy = replace(QUIET, others_cpu_s=24.0, involuntary_switches=34_000)
    assert advised(busy) == (
        "Other processes used 12 % of the 2 cores in use and attnbench lost its core 340 times a second: "
        "close them or wait until they are done, or leave them a core with fewer --threads."
    )


@pytest.mark.parametrize(("others_cpu_s", "said"), [(9.9, False), (10.1, True)])
def test_others_matter_above_a_twentieth(others_cpu_s: float, said: bool):
    assert ("Other processes" in advised(replace(QUIET, others_cpu_s=others_cpu_s))) == said


def test_one_thread_cannot_become_fewer():
    text = advised(replace(QUIET, cpu_s=95.0, others_cpu_s=50.0, throttled_s=9.0), threads=1)
    assert "50 % of the core in use" in text
    assert "CPU quota" in text
    assert "--threads" not in text


@pytest.mark.parametrize(("logical_cores", "said"), [(6, False), (4, True)])
def test_others_do_not_matter_where_there_is_room_for_both(logical_cores: int, said: bool):
    roomy = replace(QUIET, others_cpu_s=100.0, logical_cores=logical_cores)
    assert ("Other processes" in advised(roomy)) == said


def test_others_are_named_where_switches_are_unknown():
    text = advised(replace(QUIET, others_cpu_s=24.0, involuntary_switches=None))
    assert "12 % of the 2 cores in use: close them" in text


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"steal_s": 6.0}, r"The hypervisor gave 3 % of the cores' time .*: .* or measure with --rigorous\."),
        ({"throttled_s": 4.0}, r"The control .* for 4 s \(4 % of the session\): raise the quota, or .*\."),
        ({"swapped_bytes": 2**26}, r"The system swapped 64 MiB .*: free some memory, .* smaller --batch\."),
        (
            {"cpu_s": 300.0},
            r"The measuring process used 3\.0 cores with --threads 2: .*, or raise --threads\.",
        ),
        ({"cpu_s": 110.0}, r"The measuring process kept only 1\.1 of 2 cores busy: .* larger --batch\."),
    ],
)
def test_what_disturbed_is_said_with_its_size_and_a_remedy(change: dict[str, Any], line: str):
    assert re.fullmatch(line, advised(replace(QUIET, **change)))


@pytest.mark.parametrize(
    "change",
    [
        {"steal_s": 1.9},
        {"throttled_s": 0.9},
        {"swapped_bytes": 2**20},
        {"cpu_s": 235.0},
        {"cpu_s": 123.0},
    ],
)
def test_what_is_too_small_to_matter_is_not_said(change: dict[str, Any]):
    assert advised(replace(QUIET, **change)) == ""


@pytest.mark.parametrize("taken", [{"others_cpu_s": 80.0}, {"steal_s": 80.0}, {"throttled_s": 80.0}])
def test_a_session_is_not_blamed_for_cores_that_were_taken(taken: dict[str, Any]):
    text = advised(replace(QUIET, cpu_s=110.0, **taken))
    assert text
    assert "layers are too small" not in text


def test_idle_cores_matter_neither_on_a_gpu_nor_with_one_thread():
    assert advised(replace(ON_GPU, cpu_s=20.0)) == ""
    assert advised(replace(QUIET, cpu_s=20.0), threads=1) == ""


def test_a_clock_is_held_with_its_own_makers_command():
    slow = replace(ON_GPU, gpu_clock_mhz_end=1683.0)
    assert advised(slow).endswith("that it can hold with `sudo nvidia-smi --lock-gpu-clocks=<MHz>`.")
    assert advised(replace(slow, device="xpu")).endswith("lock a lower clock that it can hold.")


def test_a_gpu_clock_that_falls_is_noticed():
    text = advised(replace(ON_GPU, gpu_clock_mhz_end=1683.0))
    assert text.startswith("The GPU's clock fell by 15 %, from 1980 to 1683 MHz: cool it better, or lock")


def test_a_gpu_clock_that_hardly_falls_is_not_said():
    assert advised(replace(ON_GPU, gpu_clock_mhz_end=1800.0)) == ""


@pytest.mark.parametrize("start", [1980.0, 210.0])
def test_a_gpu_that_was_held_back_is_noticed_at_any_clock(start: float):
    text = advised(replace(ON_GPU, gpu_clock_mhz_start=start, gpu_throttle_reasons="power cap, power brake"))
    assert text.startswith("The GPU was held back by power cap, power brake: cool it better, or lock")


def test_the_clock_of_an_idle_gpu_or_one_that_does_not_tell_says_nothing():
    assert advised(replace(ON_GPU, gpu_clock_mhz_end=None)) == ""
    assert advised(replace(ON_GPU, gpu_clock_mhz_end=210.0, gpu_throttle_reasons="idle")) == ""


def test_the_worst_session_is_named_and_counted_from_one():
    sessions = [
        replace(QUIET, session=number, steal_s=steal) for number, steal in enumerate((4.0, 20.0, 6.0))
    ]
    (line,) = advice(sessions, 2)
    assert line.startswith("In session 2, the hypervisor gave 10 %")


def test_a_well_kept_machine_needs_no_advice():
    assert standing_advice(MACHINE, "cpu", 2) == []
    assert standing_advice(replace(MACHINE, governor=None, turbo=None, threads_per_core=None), "cpu", 4) == []


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"governor": "powersave"}, r"governor is 'powersave'.*--governor performance"),
        ({"turbo": "on"}, r"Turbo is on.*heat.*--turbo-boost 0"),
        ({"threads_per_core": 2, "cores": 1}, r"2 threads share 1 physical core .*use --threads 1"),
        ({"virtual": "KVM"}, r"virtual machine \(KVM\).*--rigorous"),
        ({"cpu_quota": 1.5}, r"allows 1.5 cores to 2 threads.*--threads 1"),
        ({"cpu_quota": 0.5}, r"allows 0.5 cores to 2 threads.*--threads 1"),
        ({"environment": {"KMP_BLOCKTIME": "0"}}, r"\(KMP_BLOCKTIME=0\): unset"),
    ],
)
def test_what_will_disturb_is_said_with_a_remedy(change: dict[str, Any], line: str):
    (advised_line,) = standing_advice(replace(MACHINE, **change), "cpu", 2)
    assert re.search(line, advised_line)


def test_hyper_threads_that_stay_idle_disturb_nobody():
    assert standing_advice(replace(MACHINE, threads_per_core=2), "cpu", 2) == []


def test_a_quota_that_suffices_needs_no_advice():
    assert standing_advice(replace(MACHINE, cpu_quota=2.0), "cpu", 2) == []


def test_a_gpu_is_not_disturbed_by_the_cpus_clock():
    assert standing_advice(replace(MACHINE, governor="powersave", turbo="on"), "cuda", 2) == []
    assert len(standing_advice(replace(MACHINE, virtual="KVM"), "cuda", 2)) == 1
