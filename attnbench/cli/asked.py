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
from attnbench.cases.request import Request, mean_layers, mean_models
from attnbench.cases.variant import Variant
from attnbench.cli.geometry_options import image_of, read_geometries, read_images
from attnbench.errors import AttnbenchError
from attnbench.mechanism import Geometry


@dataclass(frozen=True, slots=True)
class Maps:
    """How large the options say that maps and images are; `None` where they say nothing."""

    sizes: list[str] | None
    dims: list[str] | None
    heads: list[str] | None
    stages: list[str] | None
    images: list[str] | None
    patch: int

    def geometries(self, *, layers: bool, models: bool) -> list[Geometry]:
        """What `layers` are built for, and `models`, as far as there are any."""
        if not layers and (self.dims or self.heads or self.stages):
            raise AttnbenchError(
                "--dim, --heads and --stage are for layers, and models have their own; leave them out."
            )
        of_layers = None if self.stages and models else self.images  # which have their maps from the stages
        found: list[Geometry] = []
        if layers:
            found += read_geometries(self.sizes, self.dims, self.heads, self.stages, of_layers, self.patch)
        if models:
            found += read_images(self.images, self.sizes, alone=not layers)
        return found

    def remarks(self, geometries: Sequence[Geometry]) -> list[str]:
        """What to say of maps that were perhaps meant as images."""
        remark = None if self.images else image_of(geometries)
        return [remark] if remark else []


@dataclass(frozen=True, slots=True)
class Asked:
    """What the options say, before mechanisms are looked up and devices are asked.

    `threads` are empty, and stand for the cores that there are, where nobody said; `seconds` are for all.
    """

    words: tuple[str, ...]
    plugins: tuple[Path, ...]
    baseline: str | None
    maps: Maps
    batches: Callable[[str], list[int | None]]
    modes: Sequence[Mode]
    variants: Sequence[Variant]
    protocol: Protocol
    seconds: float | None
    threads: Sequence[int]
    memory_limit_bytes: int | None


@dataclass(frozen=True, slots=True)
class Job:
    """What a cluster is asked for, and what is to become of the jobs."""

    on: str
    at_most: int | None
    same_machine: bool
    detach: bool
    cancel: bool


def requests(asked: Asked, devices: Sequence[str], at_most: int | None) -> list[Request]:
    """A block for each device, size, batch, mode and number of threads, as `sweep` orders them."""
    geometries = asked.maps.geometries(layers=mean_layers(asked.words), models=mean_models(asked.words))
    counts: Sequence[int | None] = asked.threads or [None]
    workloads = [
        (name, Workload(geometry, batch or 1, mode), threads, batch is None)
        for name in devices
        for geometry in geometries
        for batch in asked.batches(name)
        for mode in asked.modes
        for threads in counts
    ]
    protocol = asked.protocol
    if asked.seconds:
        at_once = min(at_most or len(workloads), len(workloads))
        protocol = lasting(protocol, asked.seconds, math.ceil(len(workloads) / at_once))
    code = _code_of(asked.words, asked.plugins)
    return [
        Request(
            words=asked.words,
            plugins=tuple(str(path) for path in asked.plugins),
            baseline=asked.baseline,
            device=name,
            workload=workload,
            variants=tuple(asked.variants),
            protocol=protocol,
            threads=threads,
            memory_limit_bytes=asked.memory_limit_bytes,
            code=code,
            is_open=is_open,
        )
        for name, workload, threads, is_open in workloads
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
