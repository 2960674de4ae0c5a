"""The machine and the software that made a number."""

import dataclasses
import getpass
import json
import os
import platform
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
import torch

from attnbench.errors import AttnbenchError
from attnbench.machine import system
from attnbench.machine.cpu import Cpu
from attnbench.machine.devices import require
from attnbench.machine.fingerprint import differences, inspect_machine
from attnbench.machine.system import (
    available_memory_bytes,
    environment,
    logical_cores,
    physical_cores,
    processes_killed_for_memory,
    query_gpu,
)
from tests.conftest import write
from tests.fakes import MACHINE

CPU0 = "sys/devices/system/cpu/cpu0"
GIB = 2**30
CUDAS_OWN = ("cuda", "cudnn", "triton", "gpu_power_limit_w", "gpu_ecc", "gpu_clock_max_mhz")


def test_the_machine_is_described_without_its_or_its_users_name():
    machine = inspect_machine()
    assert machine.torch == torch.__version__
    assert machine.memory_bytes == psutil.virtual_memory().total
    assert machine.cpu
    assert "(R)" not in machine.cpu
    assert "model name" not in machine.cpu
    text = json.dumps(dataclasses.asdict(machine)).lower()
    assert platform.node().lower() not in text or len(platform.node()) < 4
    assert getpass.getuser() not in text.split('"')


@pytest.mark.parametrize(
    ("allowed", "physical", "cores"), [([0, 1, 2, 3], 2, 2), ([0], 4, 1), ([0, 1], None, 1)]
)
def test_cores_are_physical_ones_that_this_process_may_use(
    monkeypatch: pytest.MonkeyPatch, allowed: list[int], physical: int | None, cores: int
):
    monkeypatch.setattr(psutil.Process, "cpu_affinity", lambda self: allowed, raising=False)
    monkeypatch.setattr(psutil, "cpu_count", lambda logical: physical)
    assert physical_cores() == cores
    assert logical_cores() == len(allowed)


def test_each_device_has_its_own_processor():
    assert (MACHINE.processor("cpu"), MACHINE.processor("cuda")) == ("Abacus", "Loom")


def test_one_line_names_the_processor_and_the_software_in_short():
    machine = replace(
        MACHINE, virtual="KVM", system="Linux 6.18.44-fc", python="3.11.7", torch="2.13.0+cu128"
    )
    software = "torch 2.13.0, Python 3.11, Linux 6, attnbench 0.1.0"
    assert machine.describe("cpu", 2) == f"Abacus (2 cores, virtual), 2 threads, AVX2, {software}"
    assert machine.describe("cuda", 2) == f"Loom, driver 1.0, CUDA 12.8, {software}"


def test_one_core_and_one_thread_are_not_plural():
    assert replace(MACHINE, cores=1).describe("cpu", 1).startswith("Abacus (1 core), 1 thread, AVX2")


def test_machines_differ_in_what_decides_a_time_and_in_nothing_else():
    other = replace(
        MACHINE, turbo="on", environment={"OMP_PROC_BIND": "true"}, system="Linux 7", commit="abc"
    )
    changed = [("turbo", "off", "on"), ("environment", {}, {"OMP_PROC_BIND": "true"})]
    assert differences(MACHINE, other, "cpu") == changed


@pytest.mark.parametrize(
    ("device", "others"),
    [
        ("cuda", {"system"}),
        ("xpu", {"system", *CUDAS_OWN}),
        ("mps", {*CUDAS_OWN}),
        ("cpu", {"system", "gpu", "gpu_processors", "driver", *CUDAS_OWN}),
    ],
)
def test_all_that_is_known_of_a_machine_decides_a_time_but_for_a_few_facts(device: str, others: set[str]):
    known = {field.name for field in dataclasses.fields(MACHINE)}
    indifferent = {"memory_bytes", "memory_limit_bytes", "gpu_memory_bytes", "attnbench", "commit"}
    assert known - MACHINE.decisive(device).keys() == indifferent | {"opt_einsum"} | others


def test_what_decides_a_time_can_be_written_as_json():
    decisive = MACHINE.decisive("cuda")
    assert json.loads(json.dumps(decisive)) == decisive


def test_another_gpu_matters_on_the_gpu_alone():
    other = replace(MACHINE, gpu_power_limit_w=350.0)
    assert differences(MACHINE, other, "cpu") == []
    assert differences(MACHINE, other, "cuda") == [("gpu_power_limit_w", 700.0, 350.0)]


def test_a_system_that_tells_nothing_still_gives_a_machine(root: Path):
    machine = inspect_machine()
    told = [machine.sockets, machine.numa_nodes, machine.last_level_cache_bytes, machine.threads_per_core]
    told += [machine.memory_limit_bytes]
    assert told == [None] * 5
    assert [machine.governor, machine.turbo, machine.transparent_hugepages, machine.virtual] == [None] * 4
    assert machine.cpu_quota is None


def test_the_topology_is_the_kernels(root: Path):
    write(
        root,
        {
            f"{CPU0}/topology/thread_siblings_list": "0-1,8-9",
            f"{CPU0}/topology/physical_package_id": "0",
            "sys/devices/system/cpu/cpu1/topology/physical_package_id": "0",
            "sys/devices/system/cpu/cpu2/topology/physical_package_id": "1",
            "sys/devices/system/node/node0/cpulist": "0-1",
            "sys/devices/system/node/node1/cpulist": "2",
            "sys/devices/system/node/node2/cpulist": "3",
            "sys/devices/system/node/online": "0-2",
        },
    )
    machine = inspect_machine()
    assert (machine.threads_per_core, machine.sockets, machine.numa_nodes) == (4, 2, 3)


def test_the_last_level_cache_is_the_highest(root: Path):
    for index, level, size in [(0, 1, "48K"), (2, 3, "32768K"), (3, 2, "2048K")]:
        folder = f"{CPU0}/cache/index{index}"
        write(root, {f"{folder}/level": str(level), f"{folder}/size": size})
    assert inspect_machine().last_level_cache_bytes == 32 * 2**20


def test_the_governor_and_the_chosen_page_size_are_the_kernels(root: Path):
    write(
        root,
        {
            f"{CPU0}/cpufreq/scaling_governor": "powersave",
            "sys/kernel/mm/transparent_hugepage/enabled": "always [madvise] never",
        },
    )
    machine = inspect_machine()
    assert (machine.governor, machine.transparent_hugepages) == ("powersave", "madvise")


@pytest.mark.parametrize(
    ("switch", "value", "turbo"),
    [
        ("intel_pstate/no_turbo", "1", "off"),
        ("intel_pstate/no_turbo", "0", "on"),
        ("cpufreq/boost", "1", "on"),
        ("cpufreq/boost", "0", "off"),
    ],
)
def test_turbo_is_read_from_either_drivers_switch(root: Path, switch: str, value: str, turbo: str):
    write(root, {f"sys/devices/system/cpu/{switch}": value})
    assert inspect_machine().turbo == turbo


def test_a_chip_of_apples_has_the_name_that_macos_gives_it(root: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    told = {("sysctl", "-n", "machdep.cpu.brand_string"): "Apple M4"}
    monkeypatch.setattr(system, "_first_line", lambda *command: told.get(command))
    assert system.cpu_name() == "Apple M4"


@pytest.mark.parametrize(
    ("flags", "product", "virtual"),
    [
        ("fpu hypervisor", "c5.large", "c5.large"),
        ("fpu hypervisor", None, "hypervisor"),
        ("fpu", "PowerEdge R740", None),
        ("fpu", "KVM Virtual Machine", "KVM Virtual Machine"),
    ],
)
def test_a_virtual_machine_is_known_by_its_flag_or_its_name(
    root: Path, flags: str, product: str | None, virtual: str | None
):
    write(root, {"proc/cpuinfo": f"model name\t: Abacus\nflags\t\t: {flags}"})
    if product:
        write(root, {"sys/class/dmi/id/product_name": product})
    assert inspect_machine().virtual == virtual


@pytest.mark.parametrize(
    ("own", "above", "quota"),
    [("150000 100000", "400000 100000", 1.5), ("max 100000", "400000 200000", 2.0), ("max 1", "max 1", None)],
)
def test_the_quota_is_the_least_of_the_control_groups(root: Path, own: str, above: str, quota: float | None):
    group = "sys/fs/cgroup/slice"
    write(
        root,
        {"proc/self/cgroup": "0::/slice/job", f"{group}/job/cpu.max": own, f"{group}/cpu.max": above},
    )
    assert inspect_machine().cpu_quota == quota


@pytest.mark.parametrize(("quota_us", "quota"), [("50000", 0.5), ("-1", None)])
def test_the_older_control_groups_tell_the_quota_too(root: Path, quota_us: str, quota: float | None):
    group = "sys/fs/cgroup/cpu"
    files = {f"{group}/cpu.cfs_quota_us": quota_us, f"{group}/cpu.cfs_period_us": "100000"}
    write(root, {"proc/self/cgroup": "9:pids:/\n4:cpu,cpuacct:/docker/abc", **files})
    assert inspect_machine().cpu_quota == quota


@pytest.mark.parametrize(
    ("group", "limit", "used"),
    [
        ("0::/|sys/fs/cgroup", "memory.max", "memory.current"),
        ("4:memory:/|sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes"),
    ],
)
def test_available_memory_is_what_the_control_group_has_left(
    root: Path, monkeypatch: pytest.MonkeyPatch, group: str, limit: str, used: str
):
    line, folder = group.split("|")
    write(
        root, {"proc/self/cgroup": line, f"{folder}/{limit}": str(8 * GIB), f"{folder}/{used}": str(5 * GIB)}
    )
    write(root, {f"{folder}/memory.stat": f"anon 7\ninactive_file {2 * GIB}"})
    memory = SimpleNamespace(total=16 * GIB, available=12 * GIB)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: memory)
    assert available_memory_bytes() == 5 * GIB
    assert inspect_machine().memory_limit_bytes == 8 * GIB


def test_the_energy_of_all_packages_goes_on_where_a_counter_begins_anew(root: Path):
    packages = [f"sys/class/powercap/intel-rapl:{number}" for number in (0, 1)]
    write(root, {f"{package}/max_energy_range_uj": "5000000" for package in packages})
    write(root, {f"{packages[0]}/energy_uj": "4000000", f"{packages[1]}/energy_uj": "7"})
    write(root, {"sys/class/powercap/intel-rapl:0:0/energy_uj": "9"})  # a part of the first package
    joules = Cpu().energy_meter()
    assert joules
    assert joules() == 0.0
    write(root, {f"{packages[0]}/energy_uj": "1000000", f"{packages[1]}/energy_uj": "1500007"})
    assert joules() == pytest.approx(2.0 + 1.5)


def test_a_package_that_falls_silent_adds_nothing(root: Path):
    package = "sys/class/powercap/intel-rapl:0"
    write(root, {f"{package}/max_energy_range_uj": "5000000", f"{package}/energy_uj": "1000000"})
    joules = Cpu().energy_meter()
    assert joules
    write(root, {f"{package}/energy_uj": ""})
    assert joules() is None
    write(root, {f"{package}/energy_uj": "3000000"})
    assert joules() == 2.0


def test_energy_that_nobody_may_read_is_unknown(root: Path):
    assert Cpu().energy_meter() is None
    write(root, {"sys/class/powercap/intel-rapl:0/max_energy_range_uj": "5000000"})
    assert Cpu().energy_meter() is None


@pytest.mark.parametrize(
    ("line", "file"),
    [
        ("0::/", "sys/fs/cgroup/memory.events"),
        ("4:memory:/job", "sys/fs/cgroup/memory/job/memory.oom_control"),
    ],
)
def test_the_kernel_counts_whom_it_ended_for_want_of_memory(root: Path, line: str, file: str):
    assert processes_killed_for_memory() is None
    write(root, {"proc/self/cgroup": line, file: "max 17\noom 3\noom_kill 2"})
    assert processes_killed_for_memory() == 2


@pytest.mark.parametrize("limit", ["max", str(2**63 - 4096)])
def test_without_a_limit_the_systems_free_memory_is_available(
    root: Path, monkeypatch: pytest.MonkeyPatch, limit: str
):
    write(root, {"proc/self/cgroup": "0::/", "sys/fs/cgroup/memory.max": limit})
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(total=16 * GIB, available=3 * GIB))
    assert available_memory_bytes() == 3 * GIB
    assert inspect_machine().memory_limit_bytes is None


def test_the_environment_is_what_matters_and_names_no_path(monkeypatch: pytest.MonkeyPatch):
    variables = {
        "KMP_BLOCKTIME": "0",
        "NVIDIA_TF32_OVERRIDE": "0",
        "OMP_NUM_THREADS": "2",
        "MKL_NUM_THREADS": "2",
        "TORCH_HOME": "/home/ada",
        "USER": "ada",
        "XOMP_DYNAMIC": "1",
    }
    monkeypatch.setattr(os, "environ", variables)
    assert inspect_machine().environment == {"KMP_BLOCKTIME": "0", "NVIDIA_TF32_OVERRIDE": "0"}


def test_an_allocator_that_is_preloaded_is_known_by_the_name_of_its_file():
    preloaded = environment({"LD_PRELOAD": "/home/me/lib/libjemalloc.so.2:libtcmalloc.so /x/y.so"})
    assert preloaded == {"LD_PRELOAD": "libjemalloc.so.2 libtcmalloc.so y.so"}
    assert environment({"LD_PRELOAD": ""}) == {}


def test_a_package_by_which_torch_contracts_in_another_order_decides_a_time():
    other = replace(MACHINE, opt_einsum="3.4.0")
    assert differences(MACHINE, other, "cpu") == [("opt_einsum", None, "3.4.0")]
    assert differences(other, other, "cpu") == []
    assert "opt_einsum" not in MACHINE.decisive("cpu")


def test_the_threading_libraries_fit_on_one_line(monkeypatch: pytest.MonkeyPatch):
    info = """ATen/Parallel:
OpenMP 201511 (a.k.a. OpenMP 4.5)
Intel(R) oneAPI Math Kernel Library Version 2024.2-Product Build 20240605 for Intel(R) 64
Intel(R) MKL-DNN v3.12.0 (Git Hash 80afa71)
ATen parallel backend: OpenMP
"""
    monkeypatch.setattr(torch.__config__, "parallel_info", lambda: info)
    assert inspect_machine().parallel == "OpenMP 201511, MKL 2024.2, oneDNN 3.12.0, backend OpenMP"


@pytest.mark.parametrize(
    ("line", "values"),
    [
        ("570.1, 700.00, [N/A]", ["570.1", "700.00", None]),
        (None, [None, None, None]),
        ("No devices were found", [None, None, None]),
    ],
)
def test_the_gpu_is_asked_once_and_may_not_answer(
    monkeypatch: pytest.MonkeyPatch, line: str | None, values: list[str | None]
):
    fields = ("driver_version", "power.limit", "ecc.mode.current")
    answers = {("--id=GPU-7", "--query-gpu=driver_version,power.limit,ecc.mode.current"): line}
    monkeypatch.setattr(system, "_first_line", lambda *command: answers.pop(command[1:3]))
    assert query_gpu(*fields, uuid="GPU-7") == values


def test_no_gpu_is_asked_for_another_one(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(system, "_first_line", lambda *command: "1980")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,1")
    assert query_gpu("clocks.sm", uuid=None) == [None]


def test_which_gpus_are_seen_and_in_which_order_is_no_speed():
    assert environment({"CUDA_VISIBLE_DEVICES": "1", "CUDA_DEVICE_ORDER": "PCI_BUS_ID"}) == {}


@pytest.mark.parametrize(("changes", "commit"), [("", "abc"), (" M file.py", "abc+")])
def test_a_commit_is_marked_where_files_differ_from_it(
    monkeypatch: pytest.MonkeyPatch, changes: str, commit: str
):
    answers = {"rev-parse": "abc", "status": changes or None}
    monkeypatch.setattr(system, "_first_line", lambda *command: answers[command[3]])
    assert inspect_machine().commit == commit


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_a_missing_gpu_is_said_with_what_torch_sees():
    with pytest.raises(
        AttnbenchError, match=rf"no CUDA device.*torch {torch.__version__.split('+')[0]}.*sees 0 devices"
    ):
        require("cuda")


def test_a_device_that_is_not_one_is_refused():
    with pytest.raises(AttnbenchError, match="'tpu' is not known; use cpu or cuda or mps or xpu"):
        require("tpu")


def test_the_peak_of_the_process_is_read_from_the_kernel(root: Path):
    write(root, {"proc/self/status": "VmPeak:\t  9 kB\nVmHWM:\t  5120 kB", "proc/self/clear_refs": "0"})
    assert system.reset_peak_process_bytes()
    assert (root / "proc/self/clear_refs").read_text() == "5"
    assert system.peak_process_bytes() == 5 * 2**20


def test_a_kernel_that_does_not_watch_processes_has_no_peak(root: Path):
    assert not system.reset_peak_process_bytes()
    assert system.peak_process_bytes() is None
