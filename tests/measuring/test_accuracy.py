"""A variant is compared with its layer in float64: what is too far away is wrong."""

import re
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import cycle
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from attnbench import Geometry, Mechanism, attention
from attnbench.cases.case import Case, Mode
from attnbench.cases.registry import Registry, discover
from attnbench.cases.variant import Variant
from attnbench.machine.cuda import Cuda
from attnbench.measuring import accuracy
from attnbench.measuring.accuracy import (
    BOUNDS,
    IMAGES,
    Agreement,
    ask_in_float64,
    relative_error,
    require_agreement,
)
from attnbench.measuring.execution import CannotRun
from attnbench.measuring.layers import Results, WrongOutput, make_data, make_step
from tests.fakes import changed
from tests.shards import case

BATCH = IMAGES + 2


@pytest.fixture(scope="module")
def registry() -> Registry:
    return discover()


def asked(name: str, variant: Variant, mode: Mode = Mode.inference) -> Case:
    settings = discover()[name].settings
    geometry = Geometry(48, 6, 4, 4)
    return case(name, settings=settings, geometry=geometry, batch=BATCH, variant=variant, mode=mode)


def agreement(registry: Registry, one: Case) -> Agreement:
    with torch.inference_mode(one.workload.mode is Mode.inference):
        return require_agreement(registry, one, 0, ask_in_float64(registry, one, 0))


def error(registry: Registry, one: Case) -> float:
    found = agreement(registry, one)
    assert found.error is not None
    assert not found.remark
    return found.error


def test_the_error_is_the_distance_over_the_size():
    assert relative_error(torch.tensor([3.0, 4.5]), torch.tensor([3.0, 4.0]).double()) == pytest.approx(0.1)


@pytest.mark.parametrize("mode", Mode)
@pytest.mark.parametrize(
    ("dtype", "least", "most"),
    [
        ("float32", 1e-8, 1e-6),
        ("bfloat16", 1e-3, 2e-2),
        ("autocast-bfloat16", 1e-3, 2e-2),
        ("float64", 0, 1e-14),
    ],
)
def test_a_layer_is_as_far_from_float64_as_its_numbers_are_rounded(
    registry: Registry, mode: Mode, dtype: str, least: float, most: float
):
    variant = Variant("fused", dtype)
    assert least <= error(registry, asked("msa", variant, mode)) <= most
    assert most < BOUNDS[variant.computed]


@pytest.mark.parametrize("batch", [1, IMAGES - 1])
def test_a_batch_of_fewer_images_than_are_compared_is_compared_whole(registry: Registry, batch: int):
    assert error(registry, changed(asked("msa", Variant("fused"), Mode.training), batch=batch)) < 1e-6


def broken(q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None, *, masked: bool) -> Tensor:
    """Attention without its scale."""
    return (q @ k.mT).softmax(dim=-1) @ v


def blind(q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None, *, masked: bool) -> Tensor:
    """Attention that is right, but whose values learn nothing."""
    return attention.explicit(q, k, v.detach(), bias, masked=masked)


def test_a_kernel_that_computes_something_else_is_wrong(registry: Registry, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(attention.KERNELS, "fused", broken)
    with pytest.raises(
        WrongOutput, match=r"away from those of the same layer in float64; float32 is allowed"
    ):
        error(registry, asked("msa", Variant("fused")))


def test_a_kernel_whose_gradients_are_wrong_is_wrong_in_training_alone(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setitem(attention.KERNELS, "fused", blind)
    assert error(registry, asked("msa", Variant("fused"))) < 1e-6
    with pytest.raises(WrongOutput, match="away from"):
        error(registry, asked("msa", Variant("fused"), Mode.training))


def with_layer(layer: type[nn.Module]) -> Registry:
    """A registry whose MSA is this layer."""
    msa = replace(discover()["msa"], build=lambda geometry: layer())
    found: dict[str, Mechanism] = {"msa": msa}
    return found  # type: ignore[return-value]


class Filter(nn.Module):
    """A product with a complex number."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(1 + 2j))

    def forward(self, x: Tensor) -> Tensor:
        return torch.view_as_real(x * self.weight).sum(dim=-1) ** 2


@pytest.mark.parametrize("mode", Mode)
def test_a_layer_with_complex_weights_is_measured_as_it_was_built(mode: Mode):
    assert error(with_layer(Filter), asked("msa", Variant("fused"), mode)) < 1e-6
    with pytest.raises(CannotRun):
        error(with_layer(Filter), asked("msa", Variant("fused", "bfloat16"), mode))


def test_a_difference_of_imaginary_parts_counts():
    assert relative_error(torch.tensor([3 + 4.5j]), torch.tensor([3 + 4j])) == pytest.approx(0.1)


def test_numbers_that_are_none_are_wrong():
    class Nan(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x if x.dtype is torch.float64 else x / x.new_zeros(())

    with pytest.raises(WrongOutput):
        error(with_layer(Nan), asked("msa", Variant(dtype="float16")))


def test_nothing_is_as_near_to_nothing_as_can_be():
    class Zero(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return 0 * x

    assert error(with_layer(Zero), asked("msa", Variant("fused"))) == 0


def test_an_error_that_is_no_number_is_wrong(monkeypatch: pytest.MonkeyPatch, registry: Registry):
    errors = cycle([0.0, float("nan"), 0.0])
    monkeypatch.setattr(accuracy, "relative_error", lambda *_: next(errors))
    with pytest.raises(WrongOutput, match="nan of their size"):
        error(registry, asked("msa", Variant("fused"), Mode.training))


class Single(nn.Module):
    """Has a matrix that is float32 whatever it is asked for, and takes nothing else but bfloat16."""

    def forward(self, x: Tensor) -> Tensor:
        return x @ torch.eye(x.shape[-1], dtype=x.dtype if x.dtype is torch.bfloat16 else torch.float32)


@pytest.mark.parametrize("mode", Mode)
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_what_does_not_run_in_float64_is_compared_with_float32(dtype: str, mode: Mode):
    found = agreement(with_layer(Single), asked("msa", Variant("fused", dtype), mode))
    assert found.error == pytest.approx(0, abs=1e-2)
    assert re.match(
        r"compared with float32, for it does not run in float64: RuntimeError: expected .*"
        r" \(test_accuracy.py, line \d+\)$",
        found.remark,
    )


def test_what_is_wrong_beside_float32_says_so():
    class Wrong(Single):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x) * (2 if x.dtype is torch.bfloat16 else 1)

    with pytest.raises(WrongOutput, match="those of the same layer in float32; bfloat16 is allowed"):
        agreement(with_layer(Wrong), asked("msa", Variant("fused", "bfloat16")))


def test_a_layer_without_any_reference_says_where_it_failed():
    class Half(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x @ torch.eye(x.shape[-1], dtype=torch.float16)

    with pytest.raises(RuntimeError, match="in float64, as the reference, expected"):
        agreement(with_layer(Half), asked("msa", Variant("fused", "float16")))


MOVING = ["dropping", "random-features", "normalised", "following", "placed", "rounded", "closed", "begun"]
IN_EVAL = "compared with float64 in eval mode: in training its results differ from call to call"
NOT_AT_ALL = "not compared with float64: its results differ from call to call"


@pytest.mark.parametrize("mode", Mode)
@pytest.mark.parametrize("dtype", ["float64", "float32", "bfloat16", "float16"])
@pytest.mark.parametrize("name", MOVING)
def test_no_layer_is_wrong_against_itself(name: str, dtype: str, mode: Mode):
    plugin = discover([Path(__file__).parents[1] / "moving.py"])
    one = changed(asked("msa", Variant("fused", dtype), mode), mechanism=name, settings={})
    found = agreement(plugin, one)
    assert found.remark == (NOT_AT_ALL if name == "random-features" and dtype != "float64" else "")
    assert (found.error is None) == (found.remark == NOT_AT_ALL)


class Dropping(nn.Module):
    """Drops a tenth of its numbers in training, others in each dtype, and is wrong in bfloat16 always."""

    def forward(self, x: Tensor) -> Tensor:
        out = x * (2 if x.dtype is torch.bfloat16 else 1)
        return out * (torch.rand(x.shape, dtype=x.dtype) > 0.1) if self.training else out


class Normalised(nn.Module):
    """Sees all images of a batch in training, of which no more than a few fit in float64."""

    def forward(self, x: Tensor) -> Tensor:
        if x.dtype is torch.float64 and len(x) > IMAGES:
            raise MemoryError
        return x / x.std(dim=0)


class Distorted(nn.Module):
    """Is further from its input by this share in every format but float64."""

    share = 0.0

    def forward(self, x: Tensor) -> Tensor:
        return x if x.dtype is torch.float64 else x * (1 + self.share)


@pytest.mark.parametrize(("dtype", "bound"), [("float32", 1e-5), ("float16", 0.1), ("bfloat16", 0.15)])
def test_each_format_may_be_as_far_away_as_the_harness_says(
    monkeypatch: pytest.MonkeyPatch, dtype: str, bound: float
):
    monkeypatch.setattr(Distorted, "share", 0.9 * bound)
    error(with_layer(Distorted), asked("msa", Variant("fused", dtype)))
    monkeypatch.setattr(Distorted, "share", 1.1 * bound)
    with pytest.raises(WrongOutput, match=f"is allowed {bound:g}"):
        error(with_layer(Distorted), asked("msa", Variant("fused", dtype)))


def test_a_weight_that_learns_nothing_is_wrong():
    class Scale(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.ones(()))

        def forward(self, x: Tensor) -> Tensor:
            return x * (self.weight.detach() if x.dtype is torch.bfloat16 else self.weight)

    assert error(with_layer(Scale), asked("msa", Variant("fused"), Mode.training)) < 1e-6
    with pytest.raises(WrongOutput, match="bfloat16 is allowed"):
        error(with_layer(Scale), asked("msa", Variant("fused", "bfloat16"), Mode.training))


def test_a_layer_that_has_no_numbers_in_float64_is_wrong_and_not_compared_with_float32():
    class NanInFloat64(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x / x.new_zeros(()) if x.dtype is torch.float64 else x

    with pytest.raises(WrongOutput, match="NaN or infinite"):
        agreement(with_layer(NanInFloat64), asked("msa", Variant("fused")))


class Centred(nn.Module):
    """Sees all images of a batch, and is wrong in bfloat16."""

    def forward(self, x: Tensor) -> Tensor:
        return (x - x.mean(dim=0)) * (2 if x.dtype is torch.bfloat16 else 1)


def test_images_that_see_each_other_excuse_nothing_where_the_whole_batch_has_a_reference():
    assert error(with_layer(Centred), asked("msa", Variant("fused"))) < 1e-5
    with pytest.raises(WrongOutput, match="bfloat16 is allowed"):
        error(with_layer(Centred), asked("msa", Variant("fused", "bfloat16")))


def test_a_layer_whose_reference_takes_no_other_batch_is_not_compared():
    class OfFour(Centred):
        def forward(self, x: Tensor) -> Tensor:
            if x.dtype is torch.float64 and len(x) != IMAGES:
                raise ValueError
            return super().forward(x)

    assert agreement(with_layer(OfFour), asked("msa", Variant("fused"))).error is None


def test_one_image_sees_no_other():
    class Wrong(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            if x.dtype is torch.float64 and len(x) > 1:
                raise MemoryError
            return x if x.dtype is torch.float64 else 2 * x

    registry, one = with_layer(Wrong), asked("msa", Variant("fused"))
    with torch.inference_mode(), pytest.raises(WrongOutput, match="float32 is allowed"):
        require_agreement(registry, one, 0, ask_in_float64(registry, one, 0, images=1))


def test_tokens_are_not_those_that_are_timed_and_images_that_are_not_compared_teach_nothing(
    registry: Registry,
):
    one = asked("msa", Variant("fused"), Mode.training)
    question = ask_in_float64(registry, one, 0)
    assert not torch.equal(question.batch, make_data(one, 0).inputs[0])
    assert [image.any().item() for image in question.gradient] == [True] * IMAGES + [False] * 2


def test_a_graph_is_compared_on_tokens_that_it_was_not_captured_on(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
):
    def frozen(step: Callable[[Tensor], object], inputs: Sequence[Tensor]) -> Callable[[], object]:
        kept = step(inputs[0])
        return lambda: kept

    one = asked("msa", Variant("fused", cuda_graph=True))
    monkeypatch.setattr(accuracy, "graphed", lambda step, inputs: lambda: step(inputs[0]))
    assert error(registry, one) < 1e-6
    monkeypatch.setattr(accuracy, "graphed", frozen)
    with pytest.raises(WrongOutput, match="float32 is allowed"):
        error(registry, one)


def test_a_layer_that_is_random_must_be_right_in_eval_mode():
    assert agreement(with_layer(Dropping), asked("msa", Variant("fused"), Mode.training)).remark == IN_EVAL
    with pytest.raises(WrongOutput, match="bfloat16 is allowed"):
        agreement(with_layer(Dropping), asked("msa", Variant("fused", "bfloat16"), Mode.training))


def test_a_layer_that_is_random_and_has_no_reference_in_eval_mode_is_not_compared():
    class Learns(Dropping):
        def forward(self, x: Tensor) -> Tensor:
            if x.dtype is torch.float64 and not self.training:
                raise NotImplementedError
            return super().forward(x)

    found = agreement(with_layer(Learns), asked("msa", Variant("fused"), Mode.training))
    assert (found.error, found.remark) == (None, NOT_AT_ALL)


def test_images_that_see_each_other_are_not_compared_where_the_batch_is_too_large_for_float64():
    found = agreement(with_layer(Normalised), asked("msa", Variant("fused"), Mode.training))
    assert found.error is None
    assert "its images see each other, and there is no reference for the whole batch" in found.remark


def test_a_device_that_is_lost_in_a_second_comparison_is_told_of(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(Cuda, "is_lost", lambda _: True)
    with pytest.raises(MemoryError):
        agreement(with_layer(Normalised), asked("msa", Variant("fused"), Mode.training))


@pytest.mark.parametrize("mode", Mode)
def test_a_gradient_is_on_the_device_where_one_goes_back_alone(
    registry: Registry, monkeypatch: pytest.MonkeyPatch, mode: Mode
):
    given: list[Tensor | None] = []

    def noted(layer: nn.Module, one: Case, gradient: Tensor | None) -> Callable[[Tensor], Results]:
        given.append(gradient)
        return make_step(layer, one, gradient)

    monkeypatch.setattr(accuracy, "make_step", noted)
    agreement(registry, asked("msa", Variant("fused"), mode))
    assert {gradient is not None for gradient in given} == {mode is Mode.training}


def test_the_time_of_a_first_call_is_not_that_of_other_comparisons():
    class Slow(Dropping):
        def forward(self, x: Tensor) -> Tensor:
            time.sleep(0 if x.dtype is torch.float32 else 0.2)
            return super().forward(x)

    found = agreement(with_layer(Slow), asked("msa", Variant("fused"), Mode.training))
    assert found.first_s < 0.2


ON_A_GPU = [
    Variant(dtype="tf32"),
    Variant("fused", "float16"),
    Variant("flash", "bfloat16"),
    Variant("fused", "bfloat16", cuda_graph=True),
    Variant("explicit", "float32", "default", cuda_graph=True),
]


@pytest.mark.cuda
@pytest.mark.slow
@pytest.mark.parametrize("mode", Mode)
@pytest.mark.parametrize("variant", ON_A_GPU, ids=lambda variant: variant.name)
@pytest.mark.parametrize("name", ["msa", "hilo", "xca", "van", "quadtree"])
def test_every_way_on_a_gpu_agrees_with_float64(registry: Registry, name: str, variant: Variant, mode: Mode):
    one = changed(asked(name, variant, mode), device="cuda", geometry=Geometry(384, 6, 14, 14))
    assert error(registry, one) <= BOUNDS[variant.dtype]
