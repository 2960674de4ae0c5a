"""NVIDIA's GPUs as torch and their driver tell of them, made of words and numbers."""

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from attnbench.cases.variant import Variant
from attnbench.errors import AttnbenchError
from attnbench.machine.devices import device_of, require
from attnbench.measuring.execution import CannotRun, require_runnable

TF32 = Variant(dtype="tf32")
PASCAL, TURING, AMPERE, ADA, BLACKWELL = (6, 1), (7, 5), (8, 0), (8, 9), (12, 0)
BUILT = ["sm_75", "sm_80", "sm_86", "sm_90a", "compute_90"]


def seen(
    monkeypatch: pytest.MonkeyPatch, capability: tuple[int, int] = AMPERE, built: Sequence[str] = BUILT
) -> None:
    """Let torch see two GPUs, of which it computes on the second, and be built for some kinds."""
    properties = {
        number: SimpleNamespace(
            name=name, uuid=f"uuid-{number}", total_memory=2**33, multi_processor_count=20
        )
        for number, name in enumerate(("Other", "Loom"))
    }
    answers: dict[str, Any] = {
        "is_available": lambda: True,
        "current_device": lambda: 1,
        "get_device_properties": properties.__getitem__,
        "get_device_capability": {0: (1, 0), 1: capability}.__getitem__,
        "get_arch_list": lambda: list(built),
    }
    for name, answer in answers.items():
        monkeypatch.setattr(torch.cuda, name, answer)


@pytest.mark.parametrize("capability", [PASCAL, TURING])
def test_a_gpu_without_tf32_does_not_run_float32_under_its_name(
    monkeypatch: pytest.MonkeyPatch, capability: tuple[int, int]
):
    seen(monkeypatch, capability)
    with pytest.raises(CannotRun, match=rf"compute capability {capability[0]}.{capability[1]}\) has no TF32"):
        require_runnable(TF32, "cuda")
    require_runnable(Variant(dtype="float32"), "cuda")


@pytest.mark.parametrize("capability", [AMPERE, ADA, BLACKWELL])
def test_a_gpu_with_tf32_runs_it(monkeypatch: pytest.MonkeyPatch, capability: tuple[int, int]):
    seen(monkeypatch, capability)
    require_runnable(TF32, "cuda")


@pytest.mark.parametrize(("value", "runs"), [("0", False), ("1", True)])
def test_tf32_that_the_environment_forbids_does_not_run(
    monkeypatch: pytest.MonkeyPatch, value: str, runs: bool
):
    seen(monkeypatch)
    monkeypatch.setenv("NVIDIA_TF32_OVERRIDE", value)
    says = device_of("cuda").refuses(dtype="tf32", cuda_graph=False)
    assert (says is None) == runs
    assert device_of("cuda").refuses(dtype="float32", cuda_graph=False) is None


@pytest.mark.parametrize(
    ("capability", "built"),
    [
        (PASCAL, BUILT),
        (BLACKWELL, ["sm_80", "sm_90"]),
        ((8, 0), ["sm_86"]),
        ((10, 0), ["sm_90a"]),
    ],
)
def test_a_gpu_that_torch_has_no_code_for_is_refused_before_anything_fails(
    monkeypatch: pytest.MonkeyPatch, capability: tuple[int, int], built: list[str]
):
    seen(monkeypatch, capability, built)
    says = rf"{' '.join(built)}, and has no code for this GPU, Loom \(compute capability {capability[0]}"
    with pytest.raises(AttnbenchError, match=says):
        require("cuda")


@pytest.mark.parametrize(
    ("capability", "built"),
    [
        (TURING, BUILT),
        (ADA, BUILT),
        (BLACKWELL, BUILT),
        ((9, 0), ["sm_90a"]),
        ((10, 3), ["sm_100f"]),
        (ADA, []),
        (ADA, ["gfx942"]),
    ],
)
def test_a_gpu_that_torch_has_code_for_is_used(
    monkeypatch: pytest.MonkeyPatch, capability: tuple[int, int], built: list[str]
):
    seen(monkeypatch, capability, built)
    require("cuda")
