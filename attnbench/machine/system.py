"""What the system says of itself: the kernel's files, control groups, nvidia-smi, the environment.

Whatever it does not tell is None. No host or user name, and no path.
"""

import os
import platform
import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path, PurePosixPath

import psutil

ROOT = Path("/")
"""Where the kernel's files are; a test puts a tree of its own here."""

CPU = "sys/devices/system/cpu"
CPU0 = f"{CPU}/cpu0"
POWERCAP = "sys/class/powercap"

MATTERING = re.compile(
    r"(MALLOC|MIMALLOC|TCMALLOC|JE_MALLOC|OMP|MKL|KMP|GOMP|TORCH|CUDA|CUBLAS|PYTORCH|DNNL|ONEDNN)_"
)
PRELOADED = "LD_PRELOAD"  # an allocator, mostly: of its paths the names of the files
MATTERING_NAMES = ("ATEN_CPU_CAPABILITY", "GLIBC_TUNABLES", "NVIDIA_TF32_OVERRIDE", "OPENBLAS_NUM_THREADS")
HARMLESS = (
    *("OMP_NUM_THREADS", "MKL_NUM_THREADS"),  # the runner sets them for its workers, as --threads says
    *("TORCHINDUCTOR_CACHE_DIR", "TORCHINDUCTOR_COMPILE_THREADS"),  # and these, for every worker alike
    *("CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER"),  # decide what is used, no speed
    *("CUDA_VERSION", "TORCH_CUDA_ARCH_LIST"),  # or what is built
)


def physical_cores() -> int:
    """Cores that this process may use, hyper-threads not counted twice."""
    return min(logical_cores(), cores_of_node())


def cores_of_node() -> int:
    """All cores of the machine, whoever may use them, hyper-threads not counted twice."""
    return psutil.cpu_count(logical=False) or 1


def logical_cores() -> int:
    """Cores that this process may use, hyper-threads counted."""
    return len(affinity()) or os.cpu_count() or 1


def affinity() -> tuple[int, ...]:
    """The numbers of those cores; nothing where the system has no such list."""
    if not hasattr(psutil.Process, "cpu_affinity"):
        return ()
    return tuple(sorted(psutil.Process().cpu_affinity() or ()))


def available_memory_bytes() -> int:
    """What this process may still allocate: what the system has free, or its control group if less."""
    limits = ((group, _group_limit_bytes(group)) for group in control_groups("memory"))
    spare = [limit - _group_used_bytes(group) for group, limit in limits if limit is not None]
    return max(0, min([psutil.virtual_memory().available, *spare]))


def reset_peak_process_bytes() -> bool:
    """Begin the process's high-water mark anew; False where the kernel does not allow it."""
    try:
        (ROOT / "proc/self/clear_refs").write_text("5", encoding="utf-8")
    except OSError:
        return False
    return True


def peak_process_bytes() -> int | None:
    """The most memory that this process has had at once, libraries included."""
    status = system_text("proc/self/status") or ""
    peak = re.search(r"^VmHWM:\s+(\d+) kB$", status, re.MULTILINE)
    return int(peak[1]) * 1024 if peak else None


def system_text(path: str) -> str | None:
    """What the kernel says in the file at `path` below `ROOT`; None where it is missing or closed to us."""
    try:
        return (ROOT / path).read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return None


def control_groups(controller: str) -> list[str]:
    """The folders of this process's control group and of those above it, in either version of cgroups.

    Every one of them limits the process. In a container only some of the folders exist.
    """
    folders = []
    for line in (system_text("proc/self/cgroup") or "").splitlines():
        _, controllers, group = line.split(":", 2)
        if controllers == "" or controller in controllers.split(","):
            mount = f"sys/fs/cgroup/{controller}" if controllers else "sys/fs/cgroup"
            path = PurePosixPath(group)
            folders += [f"{mount}{above}".rstrip("/") for above in (path, *path.parents)]
    return folders


def query_gpu(*fields: str, uuid: str | None) -> list[str | None]:
    """What nvidia-smi says of the GPU of this `uuid`, a value for each field, without units; one call.

    A number would not do: CUDA's order is not the driver's where GPUs differ, and the environment may name
    some of them alone.
    """
    options = (f"--query-gpu={','.join(fields)}", "--format=csv,noheader,nounits")
    line = _first_line("nvidia-smi", f"--id={uuid}", *options) if uuid else None
    values = [value.strip() for value in (line or "").split(",")]
    if len(values) != len(fields):
        return [None] * len(fields)
    return [None if value == "" or value.startswith(("[", "N/A")) else value for value in values]


def decimal(text: str | None) -> float | None:
    """A number as nvidia-smi writes it; None for None, and for whatever else it may answer."""
    try:
        return None if text is None else float(text)
    except ValueError:
        return None


def cpu_name() -> str:
    """The model name as the kernel gives it, or else the architecture."""
    name = _cpuinfo("model name") or _apple_chip() or platform.processor() or platform.machine()
    return name.replace("(R)", "").replace("(TM)", "")


def _apple_chip() -> str | None:
    """macOS's name of its chip, such as Apple M4, which is that of the GPU in it too."""
    return _first_line("sysctl", "-n", "machdep.cpu.brand_string") if sys.platform == "darwin" else None


def _cpuinfo(key: str) -> str | None:
    """What /proc/cpuinfo says of its first core."""
    lines = (line.partition(":") for line in (system_text("proc/cpuinfo") or "").splitlines())
    return next((value.strip() for name, _, value in lines if name.strip() == key), None)


def threads_per_core() -> int | None:
    """How many logical cores share the first core, from a list such as `0,32` or `0-1`."""
    siblings = system_text(f"{CPU0}/topology/thread_siblings_list")
    if not siblings:
        return None
    spans = [[int(end) for end in span.split("-")] for span in siblings.split(",")]
    return sum(span[-1] - span[0] + 1 for span in spans)


def sockets() -> int | None:
    packages = (ROOT / CPU).glob("cpu[0-9]*/topology/physical_package_id")
    return len({package.read_text(encoding="utf-8") for package in packages}) or None


def numa_nodes() -> int | None:
    """How many parts the memory has that are near to some cores and far from others."""
    return len(list((ROOT / "sys/devices/system/node").glob("node[0-9]*"))) or None


def governor() -> str | None:
    """How the kernel chooses the first core's clock."""
    return system_text(f"{CPU0}/cpufreq/scaling_governor")


def memory_bytes() -> int:
    """The memory of the machine."""
    return psutil.virtual_memory().total


def last_level_cache_bytes() -> int | None:
    """The size of the first core's highest cache, which the kernel writes in KiB, as `32768K`."""
    folders = [f"{CPU0}/cache/{folder.name}" for folder in (ROOT / CPU0 / "cache").glob("index*")]
    levels = {system_text(f"{folder}/level") or "": system_text(f"{folder}/size") for folder in folders}
    kibibytes = _whole((levels[max(levels)] or "").removesuffix("K")) if levels else None
    return kibibytes * 1024 if kibibytes else None


def turbo() -> str | None:
    """Whether the clock may rise above its nominal rate, from either driver's switch."""
    no_turbo = system_text(f"{CPU}/intel_pstate/no_turbo")
    boost = system_text(f"{CPU}/cpufreq/boost")
    return {"0": "on", "1": "off"}.get(no_turbo or "") or {"1": "on", "0": "off"}.get(boost or "")


def transparent_hugepages() -> str | None:
    """The bracketed choice of `always [madvise] never`."""
    choices = system_text("sys/kernel/mm/transparent_hugepage/enabled") or ""
    return choices.partition("[")[2].partition("]")[0] or None


def virtual() -> str | None:
    """The name of the virtual machine's product, `hypervisor` where it has none, None on bare metal."""
    product = system_text("sys/class/dmi/id/product_name")
    if "hypervisor" in (_cpuinfo("flags") or "").split():
        return product or system_text("sys/hypervisor/type") or "hypervisor"
    # ARM has no such flag
    virtual = re.search("virtual|kvm|qemu|compute engine", product or "", re.IGNORECASE)
    return product if virtual else system_text("sys/hypervisor/type")


def cpu_quota() -> float | None:
    """The least number of cores that a control group allows, on average."""
    quotas = (_group_quota(group) for group in control_groups("cpu"))
    return min((quota for quota in quotas if quota is not None), default=None)


def _group_quota(group: str) -> float | None:
    """Quota over period, in cores: cgroups v2 write both into one file, v1 into two."""
    both = (system_text(f"{group}/cpu.max") or "").split()
    quota, period = both or (
        system_text(f"{group}/cpu.cfs_quota_us"),
        system_text(f"{group}/cpu.cfs_period_us"),
    )
    quota_us, period_us = _whole(quota), _whole(period)
    return quota_us / period_us if quota_us and period_us else None


def memory_limit_bytes() -> int | None:
    """The least that a control group allows; v1 writes a huge number for no limit."""
    total = psutil.virtual_memory().total
    limits = (_group_limit_bytes(group) for group in control_groups("memory"))
    return min((limit for limit in limits if limit is not None and limit < total), default=None)


def quieten_profiler() -> None:
    """Keep torch's profiler from telling standard error that it starts and stops, as that of 2.13 does."""
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")


def package_energy_meter() -> Callable[[], float | None] | None:
    """Joules that all processor packages have used since this call, memory and devices left out.

    The kernel's RAPL counters have them in µJ, some of its users alone may read them, and each begins at 0
    again behind its range: to be asked more often than once a minute. None where they cannot be read, or can
    no more.
    """
    folders = sorted((ROOT / POWERCAP).glob("intel-rapl:[0-9]*"))
    packages = [f"{POWERCAP}/{folder.name}" for folder in folders if folder.name.count(":") == 1]
    before = [_whole(system_text(f"{package}/energy_uj")) for package in packages]
    ranges = [_whole(system_text(f"{package}/max_energy_range_uj")) or 0 for package in packages]
    if not packages or None in before:
        return None
    total_uj = 0

    def joules() -> float | None:
        nonlocal before, total_uj
        now = [_whole(system_text(f"{package}/energy_uj")) for package in packages]
        for late, early, full in zip(now, before, ranges, strict=True):
            if late is None or early is None:
                return None
            total_uj += late - early if late >= early else late - early + full
        before = now
        return total_uj / 1e6

    return joules


def processes_killed_for_memory() -> int | None:
    """How many processes the kernel has killed because this control group, or one above, had no memory left.

    The control group's own count comes first; v1 has it only where the kernel is new enough.
    """
    texts = (
        system_text(f"{group}/memory.events") or system_text(f"{group}/memory.oom_control")
        for group in control_groups("memory")
    )
    counts = (re.search(r"^oom_kill (\d+)$", text or "", re.MULTILINE) for text in texts)
    told = [int(count[1]) for count in counts if count]
    return max(told) if told else None


def _group_limit_bytes(group: str) -> int | None:
    return _whole(system_text(f"{group}/memory.max") or system_text(f"{group}/memory.limit_in_bytes"))


def _group_used_bytes(group: str) -> int:
    """The memory of a control group, less the file cache that the kernel gives back when it is needed."""
    used = _whole(system_text(f"{group}/memory.current") or system_text(f"{group}/memory.usage_in_bytes"))
    lines = (system_text(f"{group}/memory.stat") or "").splitlines()
    statistics = dict(line.split(" ", 1) for line in lines)
    cache = _whole(statistics.get("total_inactive_file", statistics.get("inactive_file")))
    return (used or 0) - (cache or 0)


def parallel(info: str) -> str | None:
    """Torch's threading libraries on one line, from `torch.__config__.parallel_info()`."""
    patterns = {
        "OpenMP": r"^OpenMP (\d+)",
        "MKL": r"Math Kernel Library Version ([\w.]+)",
        "oneDNN": r"MKL-DNN v(\S+)",
        "backend": r"parallel backend: (.+)",
    }
    matches = {name: re.search(pattern, info, re.MULTILINE) for name, pattern in patterns.items()}
    return ", ".join(f"{name} {match[1]}" for name, match in matches.items() if match) or None


def environment(variables: Mapping[str, str]) -> dict[str, str]:
    """The variables that change what torch's libraries do, but no path, which may name a user."""
    mattering = {
        name: value
        for name, value in sorted(variables.items())
        if (MATTERING.match(name) or name in MATTERING_NAMES)
        and name not in HARMLESS
        and not re.search(r"[/\\]", value)
    }
    libraries = [Path(each).name for each in re.split(r"[\s:]+", variables.get(PRELOADED, "")) if each]
    return mattering | ({PRELOADED: " ".join(libraries)} if libraries else {})


def version_of(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _whole(text: str | None) -> int | None:
    """A count of 0 or more; None for anything else, such as `max` or -1, which mean no limit."""
    return int(text) if text and text.isdigit() else None


def commit() -> str | None:
    """attnbench's own commit, marked `+` when files differ from it; None outside a checkout."""
    here = str(Path(__file__).parent)
    commit = _first_line("git", "-C", here, "rev-parse", "--short=12", "HEAD")
    changed = commit and _first_line(
        "git", "-C", here, "status", "--porcelain", "--untracked-files=no", "--", ".."
    )
    return f"{commit}+" if changed else commit


def _first_line(*command: str) -> str | None:
    """The first line that a command prints; None where it is missing, fails or prints nothing."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=10)
    except (OSError, subprocess.SubprocessError):
        return None
    return next(iter(done.stdout.splitlines()), None)
