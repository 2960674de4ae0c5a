"""What else happened on the machine while a session ran."""

import resource
import threading
import time
import warnings
from collections import namedtuple
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from attnbench.machine import cuda
from attnbench.machine.witness import Watch, Witness
from tests.conftest import write

Times = namedtuple("Times", "user nice system idle iowait irq softirq steal guest")
MacTimes = namedtuple("MacTimes", "user nice system idle")
MIB = 2**20


pytestmark = pytest.mark.usefixtures("root")


def one_after_another(monkeypatch: pytest.MonkeyPatch, owner: object, name: str, *values: object) -> None:
    """Let `owner.name()` give these values in turn."""
    left = iter(values)
    monkeypatch.setattr(owner, name, lambda *arguments: next(left))


def witness(device: str = "cpu") -> Witness:
    return Watch(0, device).witness()


def test_a_session_is_timed_from_its_watch_to_its_witness(monkeypatch: pytest.MonkeyPatch):
    one_after_another(monkeypatch, time, "perf_counter", 100.0, 110.0)
    one_after_another(monkeypatch, time, "process_time", 3.0, 10.0)
    monkeypatch.setattr(psutil, "getloadavg", lambda: (0.5, 1.0, 2.0))
    seen = Watch(4, "cpu").witness()
    assert (seen.session, seen.device, seen.wall_s, seen.cpu_s, seen.load) == (4, "cpu", 10.0, 7.0, 0.5)
    assert seen.started_at.endswith("+00:00")


def test_others_are_what_was_busy_without_this_process(monkeypatch: pytest.MonkeyPatch):
    start, end = Times(100, 10, 20, 900, 9, 1, 2, 4, 50), Times(110, 12, 23, 990, 19, 2, 4, 7, 55)
    one_after_another(monkeypatch, psutil, "cpu_times", start, end)
    one_after_another(monkeypatch, time, "process_time", 0.0, 8.0)
    seen = witness()
    assert (seen.others_cpu_s, seen.steal_s) == (10 + 2 + 3 + 1 + 2 - 8, 3)


def test_clock_ticks_never_make_others_negative(monkeypatch: pytest.MonkeyPatch):
    one_after_another(monkeypatch, psutil, "cpu_times", *[Times(0, 0, 0, 0, 0, 0, 0, 0, 0)] * 2)
    one_after_another(monkeypatch, time, "process_time", 0.0, 0.004)
    assert witness().others_cpu_s == 0


def test_a_system_without_these_files_tells_none(monkeypatch: pytest.MonkeyPatch):
    one_after_another(monkeypatch, psutil, "cpu_times", MacTimes(1, 0, 1, 5), MacTimes(1, 0, 1, 6))
    seen = witness()
    assert (seen.steal_s, seen.pressure_s, seen.throttled_s) == (None, None, None)


def test_pressure_is_what_some_process_waited(root: Path):
    some = "some avg10=0.48 avg60=0.38 avg300=0.24 total={}\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=9"
    write(root, {"proc/pressure/cpu": some.format(1_000_000)})
    watch = Watch(0, "cpu")
    write(root, {"proc/pressure/cpu": some.format(3_500_000)})
    assert watch.witness().pressure_s == 2.5


@pytest.mark.parametrize(
    ("cgroup", "folder", "line"),
    [
        ("0::/job", "sys/fs/cgroup/job", "throttled_usec {}000"),
        ("1:cpu:/job", "sys/fs/cgroup/cpu/job", "throttled_time {}000000"),
    ],
)
def test_throttling_is_read_from_either_version_of_control_groups(
    root: Path, cgroup: str, folder: str, line: str
):
    statistics = "nr_throttled 3\n" + line
    write(root, {"proc/self/cgroup": cgroup, f"{folder}/cpu.stat": statistics.format(500)})
    watch = Watch(0, "cpu")
    write(root, {f"{folder}/cpu.stat": statistics.format(750)})
    assert watch.witness().throttled_s == 0.25


def test_swapping_counts_in_both_directions(monkeypatch: pytest.MonkeyPatch):
    start, end = SimpleNamespace(sin=MIB, sout=0), SimpleNamespace(sin=3 * MIB, sout=5 * MIB)
    one_after_another(monkeypatch, psutil, "swap_memory", start, end)
    assert witness().swapped_bytes == 7 * MIB


def test_swapping_that_psutil_cannot_see_is_unknown(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(psutil, "swap_memory", lambda: warnings.warn("unknown", RuntimeWarning, stacklevel=1))
    assert witness().swapped_bytes is None


def test_switches_are_those_of_all_threads(monkeypatch: pytest.MonkeyPatch):
    usages = iter([SimpleNamespace(ru_nivcsw=5, ru_nvcsw=0), SimpleNamespace(ru_nivcsw=25, ru_nvcsw=900)])
    whole_process = {resource.RUSAGE_SELF: usages}
    monkeypatch.setattr(resource, "getrusage", lambda who: next(whole_process[who]))
    assert witness().involuntary_switches == 20


def test_the_time_of_a_second_thread_is_this_process_own():
    watch = Watch(0, "cpu")
    thread = threading.Thread(target=lambda: sum(range(1_000_000)))
    thread.start()
    thread.join()
    assert watch.witness().cpu_s > 0.002


class Smi:
    """Stands in for nvidia-smi: first readings, then last ones; None for a question that it does not know."""

    def __init__(
        self,
        monkeypatch: pytest.MonkeyPatch,
        states: Sequence[Sequence[str]],
        counters: Sequence[list[str | None]],
    ) -> None:
        self.states, self.counters = iter(states), iter(counters)
        monkeypatch.setattr(cuda, "query_gpu", self)

    def __call__(self, *fields: str, uuid: str | None) -> list[str | None]:
        if fields[0] == "clocks.sm":
            return list(next(self.states, [None] * len(fields)))
        return next(self.counters, [None] * len(fields))


AT_WORK = ["1980", "40", "120.5", "0x0000000000000004"]
HOT = ["1500", "84", "699.9", "0x0000000000000042"]


def test_a_gpu_is_seen_at_the_start_and_at_the_end(monkeypatch: pytest.MonkeyPatch):
    Smi(monkeypatch, [AT_WORK, HOT], [])
    seen = witness("cuda")
    assert (seen.gpu_clock_mhz_start, seen.gpu_clock_mhz_end) == (1980.0, 1500.0)
    assert (seen.gpu_temperature_c, seen.gpu_power_w) == (84.0, 699.9)
    assert seen.gpu_throttle_reasons == "power cap, heat (hardware)"


def test_what_held_a_gpu_back_between_two_looks_is_seen_by_its_counters(monkeypatch: pytest.MonkeyPatch):
    calm = ["1980", "40", "120.5", "0x0"]
    Smi(monkeypatch, [calm, calm], [["100", "7", "0", "0"], ["90100", "7", "0", "0"]])
    assert witness("cuda").gpu_throttle_reasons == "power cap"


def test_a_reason_that_no_counter_bears_out_held_nothing_back(monkeypatch: pytest.MonkeyPatch):
    Smi(monkeypatch, [AT_WORK, HOT], [["5", "5", "5", "5"]] * 2)
    assert witness("cuda").gpu_throttle_reasons == ""


def test_a_reason_that_has_no_counter_here_is_seen_by_the_states(monkeypatch: pytest.MonkeyPatch):
    slowed = ["1500", "60", "300", "0x000000000000000c"]
    Smi(monkeypatch, [slowed, slowed], [["[N/A]", "5", "5", "5"]] * 2)
    assert witness("cuda").gpu_throttle_reasons == "power cap, hardware slowdown"


def test_a_gpu_that_was_idle_at_the_start_is_said_to_be(monkeypatch: pytest.MonkeyPatch):
    Smi(monkeypatch, [["210", "30", "60", "0x1"], ["1980", "60", "500", "0x0"]], [["0"] * 4] * 2)
    assert witness("cuda").gpu_throttle_reasons == "idle"


@pytest.mark.parametrize("odd", ["[Unknown Error]", "Not Active", "err"])
def test_odd_answers_are_unknown_and_no_end_of_a_run(monkeypatch: pytest.MonkeyPatch, odd: str):
    Smi(monkeypatch, [[odd] * 4] * 2, [[odd] * 4] * 2)
    seen = witness("cuda")
    assert (seen.gpu_clock_mhz_end, seen.gpu_power_w, seen.gpu_throttle_reasons) == (None, None, None)


def test_a_gpu_without_nvidia_smi_is_unknown(monkeypatch: pytest.MonkeyPatch):
    Smi(monkeypatch, [], [])
    seen = witness("cuda")
    assert (seen.gpu_clock_mhz_end, seen.gpu_throttle_reasons) == (None, None)


def test_a_cpu_session_asks_no_gpu(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(cuda, "query_gpu", None)
    assert witness("cpu").gpu_throttle_reasons is None
