"""The machine and the software that made a number; no host or user name, and no path."""

import hashlib
import json
import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.metadata import version

from attnbench.file_marks import SPARSE
from attnbench.machine import system
from attnbench.machine.devices import DEVICES, device_of


@dataclass(frozen=True, slots=True)
class Machine:
    """What a reader must know to expect the same number; None = the system does not tell, or has none.

    `cores` are physical ones that the process may use, `logical_cores` count hyper-threads. `cpu_quota` is in
    cores. `environment` holds the variables that change what a library does; `opt_einsum` is the version of
    the package by which torch contracts three operands and more in another order, where it is there.
    """

    cpu: str
    cores: int
    logical_cores: int
    threads_per_core: int | None
    sockets: int | None
    numa_nodes: int | None
    last_level_cache_bytes: int | None
    memory_bytes: int
    memory_limit_bytes: int | None
    capability: str
    governor: str | None
    turbo: str | None
    transparent_hugepages: str | None
    virtual: str | None
    cpu_quota: float | None
    gpu: str | None
    gpu_memory_bytes: int | None
    gpu_processors: int | None
    gpu_power_limit_w: float | None
    gpu_ecc: str | None
    gpu_clock_max_mhz: float | None
    driver: str | None
    cuda: str | None
    cudnn: str | None
    triton: str | None
    system: str
    python: str
    torch: str
    torch_commit: str | None
    parallel: str | None
    environment: Mapping[str, str] = field(hash=False)  # what is equal in all else has the same hash, too
    attnbench: str
    commit: str | None
    opt_einsum: str | None = field(default=None, metadata=SPARSE)

    def processor(self, device: str) -> str:
        """The name of what computes on `device`."""
        return device_of(device).processor(self)

    def describe(self, device: str, threads: int) -> str:
        """One line for over a table or figure: the processor of `device` and the software."""
        system, _, release = self.system.partition(" ")
        software = [
            f"torch {self.torch.partition('+')[0]}",
            f"Python {'.'.join(self.python.split('.')[:2])}",
            f"{system} {release.partition('.')[0]}",
            f"attnbench {self.attnbench}",
        ]
        return ", ".join([*device_of(device).describe(self, threads), *software])

    @property
    def kind(self) -> str:
        """Eight digits that machines share whose times may be compared on every device of theirs."""
        return _kind(self)

    def decisive(self, device: str) -> dict[str, object]:
        """The fields that decide a time on `device`: where they are equal, times may be compared."""
        fields = {name: getattr(self, name) for name in device_of(device).decides}
        return fields | ({"opt_einsum": self.opt_einsum} if self.opt_einsum else {})


@lru_cache(maxsize=1024)  # a run has thousands of rows, and few machines
def _kind(machine: Machine) -> str:
    decisive = [machine.decisive(name) for name in DEVICES]
    return hashlib.sha256(json.dumps(decisive, sort_keys=True).encode()).hexdigest()[:8]


def inspect_machine() -> Machine:
    """The machine that this process runs on; imports torch."""
    import torch

    gpu = next((gpu for device in DEVICES.values() if (gpu := device.gpu())), None)
    cudnn = torch.backends.cudnn.version() if torch.cuda.is_available() else None
    return Machine(
        cpu=system.cpu_name(),
        cores=system.physical_cores(),
        logical_cores=system.logical_cores(),
        threads_per_core=system.threads_per_core(),
        sockets=system.sockets(),
        numa_nodes=system.numa_nodes(),
        last_level_cache_bytes=system.last_level_cache_bytes(),
        memory_bytes=system.memory_bytes(),
        memory_limit_bytes=system.memory_limit_bytes(),
        capability=torch.backends.cpu.get_cpu_capability(),
        governor=system.governor(),
        turbo=system.turbo(),
        transparent_hugepages=system.transparent_hugepages(),
        virtual=system.virtual(),
        cpu_quota=system.cpu_quota(),
        gpu=gpu.name if gpu else None,
        gpu_memory_bytes=gpu.memory_bytes if gpu else None,
        gpu_processors=gpu.processors if gpu else None,
        gpu_power_limit_w=gpu.power_limit_w if gpu else None,
        gpu_ecc=gpu.ecc if gpu else None,
        gpu_clock_max_mhz=gpu.clock_max_mhz if gpu else None,
        driver=gpu.driver if gpu else None,
        cuda=torch.version.cuda,
        cudnn=str(cudnn) if cudnn else None,
        triton=system.version_of("triton"),
        system=f"{platform.system()} {platform.release()}",
        python=platform.python_version(),
        torch=torch.__version__,
        torch_commit=torch.version.git_version[:12] if torch.version.git_version else None,
        parallel=system.parallel(torch.__config__.parallel_info()),
        environment=system.environment(os.environ),
        attnbench=version("attnbench"),
        commit=system.commit(),
        opt_einsum=system.version_of("opt_einsum") if torch.backends.opt_einsum.is_available() else None,
    )


def differences(ours: Machine, theirs: Machine, device: str) -> list[tuple[str, object, object]]:
    """The fields that decide a time on `device` and differ: name, our value, their value."""
    mine, other = ours.decisive(device), theirs.decisive(device)
    names = dict.fromkeys((*mine, *other))
    return [(name, mine.get(name), other.get(name)) for name in names if mine.get(name) != other.get(name)]
