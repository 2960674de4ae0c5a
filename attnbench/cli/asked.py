"""What the options of `attnbench run` say together, and which blocks a cluster is asked for by them."""

import hashlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from attnbench.cases.case import Mode, Workload
from attnbench.cases.classes import is_class
from attnbench.cases.places import is_place
from attnbench.cases.protocol import Protocol, lasting
from attnbench.cases.request import Request
from attnbench.cases.variant import Variant
from attnbench.errors import AttnbenchError
from attnbench.mechanism import Geometry


@dataclass(frozen=True, slots=True)
class Asked:
    """What the options say, before mechanisms are looked up and devices are asked; `seconds` are for all."""

    words: tuple[str, ...]
    plugins: tuple[Path, ...]
    baseline: str | None
    geometries: Sequence[Geometry]
    batches: Callable[[str], list[int]]
    modes: Sequence[Mode]
    variants: Sequence[Variant]
    protocol: Protocol
    seconds: float | None
    threads: int | None
    memory_limit_bytes: int | None


@dataclass(frozen=True, slots=True)
class Job:
    """What a cluster is asked for, and what is to become of the jobs."""

    on: str
    at_most: int | None
    detach: bool
    cancel: bool


def requests(asked: Asked, devices: Sequence[str], at_most: int | None) -> list[Request]:
    """A block for each device, size, batch and mode, as `sweep` orders them."""
    workloads = [
        (name, Workload(geometry, batch, mode))
        for name in devices
        for geometry in asked.geometries
        for batch in asked.batches(name)
        for mode in asked.modes
    ]
    protocol = asked.protocol
    if asked.seconds:
        at_once = min(at_most or len(workloads), len(workloads))
        protocol = lasting(protocol, asked.seconds, math.ceil(len(workloads) / at_once))
    return [
        Request(
            words=asked.words,
            plugins=tuple(str(path) for path in asked.plugins),
            baseline=asked.baseline,
            device=name,
            workload=workload,
            variants=tuple(asked.variants),
            protocol=protocol,
            threads=asked.threads,
            memory_limit_bytes=asked.memory_limit_bytes,
            code=_code_of(asked.words, asked.plugins),
        )
        for name, workload in workloads
    ]


def _code_of(words: Sequence[str], plugins: Sequence[Path]) -> str:
    """Twelve digits that change with the files that a command names; `""` without any."""
    named = [*plugins, *(Path(word) for word in words if is_place(word) and not is_class(word))]
    files = [file for path in named for file in (sorted(path.rglob("*.py")) if path.is_dir() else [path])]
    missing = [file for file in files if not file.is_file()]
    if missing:
        raise AttnbenchError(f"The plugin {missing[0]} does not exist; give the path of a Python file.")
    text = b"\0".join(file.read_bytes() for file in files)
    return hashlib.sha256(text).hexdigest()[:12] if files else ""
