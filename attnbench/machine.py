"""The machine and the software that made a number; no host or user name."""

import os
import platform
import subprocess
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import psutil

from attnbench.errors import AttnbenchError


@dataclass(frozen=True, slots=True)
class Machine:
    """What a reader must know to expect the same number; None = the system does not tell."""

    cpu: str
    cores: int
    memory_bytes: int
    capability: str
    gpu: str | None
    gpu_memory_bytes: int | None
    driver: str | None
    cuda: str | None
    system: str
    python: str
    torch: str
    attnbench: str
    commit: str | None

    def processor(self, device: str) -> str:
        """The name of what computes on `device`."""
        return self.cpu if device == "cpu" else self.gpu or "unknown GPU"

    def describe(self, device: str, threads: int) -> str:
        """One line for a title: the processor of `device` and the software."""
        used = f", {threads} thread{'s' * (threads != 1)}" if device == "cpu" else ""
        return f"{self.processor(device)}{used}, torch {self.torch}"


def inspect_machine() -> Machine:
    """The machine that this process runs on; imports torch."""
    import torch

    gpu = torch.cuda.get_device_properties(0) if torch.cuda.is_available() else None
    return Machine(
        cpu=_cpu_name(),
        cores=physical_cores(),
        memory_bytes=psutil.virtual_memory().total,
        capability=torch.backends.cpu.get_cpu_capability(),
        gpu=gpu.name if gpu else None,
        gpu_memory_bytes=gpu.total_memory if gpu else None,
        driver=_first_line("nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader")
        if gpu
        else None,
        cuda=torch.version.cuda,
        system=f"{platform.system()} {platform.release()}",
        python=platform.python_version(),
        torch=torch.__version__,
        attnbench=version("attnbench"),
        commit=_commit(),
    )


def physical_cores() -> int:
    """Cores that this process may use, hyper-threads not counted twice."""
    allowed = (
        len(psutil.Process().cpu_affinity()) if hasattr(psutil.Process, "cpu_affinity") else os.cpu_count()
    )
    return max(1, min(allowed or 1, psutil.cpu_count(logical=False) or 1))


def devices() -> tuple[str, ...]:
    """The devices that torch can use here, as `--device` names them; imports torch."""
    import torch

    return ("cpu", "cuda") if torch.cuda.is_available() else ("cpu",)


def require_device(device: str) -> None:
    """Raise `AttnbenchError` unless `device` can be used here, saying what torch sees."""
    import torch

    if device not in ("cpu", "cuda"):
        raise AttnbenchError(f"The device {device!r} is not known; use cpu or cuda.")
    if device not in devices():
        built_for = f"built for CUDA {torch.version.cuda}" if torch.version.cuda else "built without CUDA"
        raise AttnbenchError(
            f"There is no CUDA device to measure on: torch {torch.__version__}, {built_for}, sees "
            f"{torch.cuda.device_count()} devices. Check its build and the driver, or use --device cpu."
        )


def _cpu_name() -> str:
    """The model name as the kernel gives it, or else the architecture."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text(encoding="utf-8").splitlines() if cpuinfo.exists() else []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    name = next(names, platform.processor() or platform.machine())
    return name.replace("(R)", "").replace("(TM)", "")


def _commit() -> str | None:
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
