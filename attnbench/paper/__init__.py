"""Published numbers as data: Table IV of «Fast Vision Transformers with HiLo Attention», and claims.

Pan, Cai and Zhuang, NeurIPS 2022, arXiv 2205.13213. Throughputs are images per second at batch 64 on an
Intel i9-10900X and an NVIDIA RTX 3090, with float32 and PyTorch 1.8.1.
"""

import csv
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Protocol

DEVICES = {"cpu": "Intel i9-10900X", "cuda": "NVIDIA RTX 3090"}
FORMATS = {"cpu": "float32", "cuda": "tf32"}
"""In which number format a device of the paper computed, as far as its torch's defaults tell."""
REMARKS = {
    "cuda": (
        "The paper's GPU column was probably measured with TF32 on, the default of its torch 1.8.1 on an RTX "
        "3090, so that --dtype tf32 is what compares with it; and not at the GPU's own pace: MSA's 14.5 ms a "
        "call are over seven times what its multiply-adds take at that GPU's peak."
    )
}
"""What must be known of the paper's column of a device before it is compared with."""


def remark(device: str) -> str:
    """What must be known of the paper's column of this device; an empty string where that is nothing."""
    return REMARKS.get(device, "")


def processor(device: str) -> str:
    """What the paper measured on, of this kind of device; an empty string where it has none."""
    return DEVICES.get(device, "")


class Printed(Protocol):
    """What the paper printed of a layer or a model; None is what it did not."""

    @property
    def title(self) -> str: ...

    @property
    def note(self) -> str: ...

    @property
    def params_m(self) -> float | None: ...

    @property
    def flops_m(self) -> float | None: ...

    def imgs_per_s(self, device: str) -> int | None:
        """Throughput on the paper's device of this kind."""


@dataclass(frozen=True, slots=True)
class Published:
    """One row of Table IV; `note` says why our count differs where it does."""

    name: str
    title: str
    params_m: float
    flops_m: float
    cpu_imgs_per_s: int
    cuda_imgs_per_s: int
    note: str

    def imgs_per_s(self, device: str) -> int:
        """Throughput on the paper's `cpu` or `cuda` device."""
        return {"cpu": self.cpu_imgs_per_s, "cuda": self.cuda_imgs_per_s}[device]


@cache
def published() -> dict[str, Published]:
    """Table IV by mechanism, in its order."""
    text = (files(__package__) / "table_iv.csv").read_text(encoding="utf-8")
    return {
        row["name"]: Published(
            name=row["name"],
            title=row["title"],
            params_m=float(row["params_m"]),
            flops_m=float(row["flops_m"]),
            cpu_imgs_per_s=int(row["cpu_imgs_per_s"]),
            cuda_imgs_per_s=int(row["cuda_imgs_per_s"]),
            note=row["note"],
        )
        for row in csv.DictReader(text.splitlines())
    }


def in_table_order(names: Iterable[str]) -> list[str]:
    """The names of Table IV in its order, then all others as they come."""
    position = {name: index for index, name in enumerate(published())}
    return sorted(names, key=lambda name: position.get(name, len(position)))
