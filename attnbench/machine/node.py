"""Which node of several measured, and what of it a scheduler gave; no host name, and nobody's hash of one."""

import hashlib
import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass

from attnbench.machine.system import affinity, cores_of_node, system_text

NODE_NAME = "SLURMD_NODENAME"
CORES_GIVEN = "SLURM_CPUS_ON_NODE"
MACHINE_IDS = ("etc/machine-id", "var/lib/dbus/machine-id")


@dataclass(frozen=True, slots=True)
class Allocation:
    """What a scheduler gave to the process that measured.

    `affinity` are the logical cores that it may run on, of the `node_cores` physical ones of its node. Where
    it is not `exclusive`, others had some of them meanwhile.
    """

    affinity: tuple[int, ...]
    node_cores: int
    exclusive: bool


def fingerprint(salt: str, variables: Mapping[str, str] = os.environ) -> str:
    """Twelve digits that stand for this node among those of one run, whose `salt` no record holds.

    Images of one disk may give many nodes one machine id; a scheduler's name for each tells them apart.
    """
    ids = filter(None, map(system_text, MACHINE_IDS))
    name = variables.get(NODE_NAME, "")
    identity = [salt, next(ids, "") or ("" if name else platform.node()), name]
    return hashlib.sha256("\n".join(identity).encode()).hexdigest()[:12]


def allocation(variables: Mapping[str, str] = os.environ) -> Allocation | None:
    """What Slurm gave to this process; None where it runs in no job."""
    given = variables.get(CORES_GIVEN, "")
    if not given.isdecimal():
        return None
    cores = cores_of_node()
    return Allocation(affinity(), cores, exclusive=int(given) >= cores)
