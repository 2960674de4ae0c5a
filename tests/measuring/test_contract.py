"""The contract notices each way of breaking it, and nothing else."""

import re
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attnbench import Geometry, Mechanism, Paper, UnsupportedGeometry
from attnbench.attention import KERNELS, explicit
from attnbench.cases.choice import Choice
from attnbench.measuring.contract import QUESTIONS, examine
from attnbench.measuring.cost import Uncountable
from attnbench.records.cost import CheckResult
from mechanisms.msa import msa
from tests.own_fused import OwnFused

GEOMETRY = Geometry(8, 2, 3, 2)


class Good(nn.Module):
    """A layer that keeps the contract."""

    def __init__(self, geometry: Geometry) -> None:
        super().__init__()
        self.dim = geometry.dim
        self.map = nn.Linear(geometry.dim, geometry.dim)

    def forward(self, x: Tensor) -> Tensor:
        return self.map(x)


class OtherShape(Good):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x).mT


class NotANumber(Good):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) * float("nan")


class MixesImages(Good):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) / x.amax()


class DropsGradients(Good):
    def forward(self, x: Tensor) -> Tensor:
        with torch.no_grad():
            return super().forward(x) + 0 * x


class Unused(Good):
    def __init__(self, geometry: Geometry) -> None:
        super().__init__(geometry)
        self.spare = nn.Parameter(torch.zeros(1))


class Counts(Good):
    def __init__(self, geometry: Geometry) -> None:
        super().__init__(geometry)
        self.calls = nn.Buffer(torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        self.calls.add_(1)
        return super().forward(x)


class EditsItsInput(Good):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.detach().mul_(0.5) + 0 * x)


class PassesItsInputOn(Good):
    def forward(self, x: Tensor) -> Tensor:
        return x.mT.mT


class KeepsItsOutput(Good):
    out: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:
        out = super().forward(x)
        if self.out is None or self.out.shape != out.shape:
            self.out = torch.empty_like(out)
        return self.out.copy_(out)


class IdleInInferenceMode(Good):
    def forward(self, x: Tensor) -> Tensor:
        return x.mT.contiguous().mT if torch.is_inference_mode_enabled() else super().forward(x)


class NumpySeed(Good):
    def __init__(self, geometry: Geometry) -> None:
        super().__init__(geometry)
        self.map.weight.data += torch.from_numpy(np.random.default_rng().normal(size=(8, 8))).float()


class StaysBehind(Good):
    def __init__(self, geometry: Geometry) -> None:
        super().__init__(geometry)
        self.one = torch.ones(1, dtype=torch.float64)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) * self.one


class Hidden(Good):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) + torch.linalg.matrix_exp(x @ x.mT).sum(-1, keepdim=True)


class LosesPrecision(Good):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x).float()


class NanGradient(Good):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) + (x - x).sqrt()


class IgnoresItsInput(Good):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.detach())


class SharesOnlyWhatIsLarge(Good):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) / x.amax().clamp(min=6)


class DiffersInFloat32(Good):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) * (1.01 if x.dtype == torch.float32 else 1.0)


class Frozen(Good):
    def __init__(self, geometry: Geometry) -> None:
        super().__init__(geometry)
        self.spare = nn.Parameter(torch.zeros(1), requires_grad=False)


class Complex(Good):
    def __init__(self, geometry: Geometry) -> None:
        super().__init__(geometry)
        self.phase = nn.Parameter(torch.tensor(0.6 + 0.8j))

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(torch.view_as_real(x * self.phase).sum(dim=-1))


class ReturnsNothingFromTrain(Good):
    def train(self, mode: bool = True) -> None:  # type: ignore[override]
        super().train(mode)


class DropsOut(Good):
    def forward(self, x: Tensor) -> Tensor:
        return F.dropout(super().forward(x), training=self.training)


class MaskInFloat32(Good):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x + torch.zeros(x.shape[1:]))


class AnswersInFloat32(Good):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) + torch.zeros(x.shape[1:])


class OverflowsInBfloat16(Good):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) + (torch.inf if x.dtype is torch.bfloat16 else 0.0)


class Float32Alone(Good):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(
            x @ torch.eye(8).to(torch.bfloat16 if x.dtype is torch.bfloat16 else torch.float32)
        )


class RefusesGradients(Good):
    """As an operator without a backward pass."""

    def forward(self, x: Tensor) -> Tensor:
        if torch.is_grad_enabled():
            raise NotImplementedError("no backward pass")
        return super().forward(x)


class InPlace(Good):
    def forward(self, x: Tensor) -> Tensor:
        x += super().forward(x)
        return x


class Exits(Good):
    def forward(self, x: Tensor) -> Tensor:
        raise SystemExit(3)


class Raises(Good):
    def forward(self, x: Tensor) -> Tensor:
        raise KeyError("no such thing")


def found(layer: type[nn.Module], macs: int = 6 * 8 * 8) -> list[CheckResult]:
    paper = Paper("None", "Nowhere", 2026, "https://example.org")
    mechanism = Mechanism("mine", "Mine", layer, lambda geometry: macs, paper)
    return list(examine(Choice(mechanism, {}, "source"), [GEOMETRY]))


def broken(layer: type[nn.Module], macs: int = 6 * 8 * 8) -> dict[str, str]:
    return {result.question: result.detail for result in found(layer, macs) if not result.passed}


@pytest.mark.parametrize("layer", [Good, Frozen, DropsOut, ReturnsNothingFromTrain])
def test_a_good_layer_passes_every_question(layer: type[nn.Module]):
    results = found(layer)
    assert [result.question for result in results] == list(QUESTIONS)
    assert all(result.passed for result in results)


@pytest.mark.parametrize(
    ("layer", "question", "says"),
    [
        (OtherShape, "maps tokens to tokens", r"\[2, 6, 8\] float64 to \[2, 8, 6\]"),
        (LosesPrecision, "maps tokens to tokens", "to .* float32"),
        (NotANumber, "maps tokens to tokens", "NaN or infinite"),
        (NotANumber, "keeps images apart", "by nan"),
        (SharesOnlyWhatIsLarge, "keeps images apart", "depends on the other images"),
        (NanGradient, "passes gradients", "reaches the input"),
        (IgnoresItsInput, "passes gradients", "reaches the input"),
        (DiffersInFloat32, "moves with its module", "by more than rounding"),
        (MixesImages, "keeps images apart", "depends on the other images"),
        (DropsGradients, "passes gradients", "does not require grad|map.weight"),
        (Unused, "passes gradients", "reaches spare"),
        (Counts, "repeats itself", "changes calls"),
        (EditsItsInput, "repeats itself", "changes its input"),
        (PassesItsInputOn, "repeats itself", "its output is its input, or a view of it"),
        (KeepsItsOutput, "repeats itself", "it keeps its output"),
        (IdleInInferenceMode, "answers alike in inference mode", "in which `run` times it, its output is an"),
        (NumpySeed, "follows the seed", "torch.manual_seed does not fix"),
        (StaysBehind, "moves with its module", "float64: a tensor of its own"),
        (Hidden, "costs what its closed form says", "no formula for aten::linalg_matrix_exp"),
        (MaskInFloat32, "moves to bfloat16", r"bfloat16: RuntimeError: .*\(test_contract.py, line \d+\)$"),
        (AnswersInFloat32, "moves to bfloat16", "in bfloat16 it answers in float32: a tensor of its own"),
        (OverflowsInBfloat16, "moves to bfloat16", "NaN or infinite"),
        (Exits, "maps tokens to tokens", r"SystemExit: 3 \(test_contract.py, line \d+\)"),
        (Raises, "maps tokens to tokens", "KeyError: 'no such thing'"),
    ],
)
def test_each_way_of_breaking_it_is_named(layer: type[nn.Module], question: str, says: str):
    details = broken(layer)
    assert question in details
    assert re.search(says, details[question]), details[question]


class CopiesIntoItsInput(Good):
    def forward(self, x: Tensor) -> Tensor:
        return x.scatter(1, torch.arange(x.shape[1]).view(1, -1, 1).expand_as(x), super().forward(x))


def test_a_layer_that_fails_under_autocast_alone_is_told_so():
    (remark,) = (result.detail for result in found(CopiesIntoItsInput) if result.detail)
    assert re.match(
        "under torch.autocast, as --autocast bfloat16 runs it, it fails: RuntimeError.*dtype", remark
    )
    assert broken(CopiesIntoItsInput) == {}


def test_what_has_no_form_in_bfloat16_breaks_nothing():
    refused = [result for result in found(Complex) if not result.passed]
    assert [(each.question, each.passed) for each in refused] == [("moves to bfloat16", None)]
    assert refused[0].detail == "it has complex numbers, which torch has no bfloat16 form of"


def test_what_does_not_run_in_float64_is_asked_in_float32():
    details = broken(Float32Alone, macs=2 * 6 * 8 * 8)
    assert list(details) == ["moves with its module"]
    assert re.match(
        "it does not run in float64: RuntimeError: expected .*test_contract.py", details.popitem()[1]
    )


def test_faults_are_found_in_float32_too():
    class Mixes(Float32Alone):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x) * (1 + 1e-3 * x.amax())

    assert "keeps images apart" in broken(Mixes)


class KeepsForInference(Good):
    """Gives its weight's gradient in training alone: what it made of it is kept for inference."""

    def forward(self, x: Tensor) -> Tensor:
        return x @ (self.map.weight if self.training else self.map.weight.detach()).mT + self.map.bias


def test_what_gets_its_gradient_in_training_alone_gets_it():
    assert list(broken(KeepsForInference)) == []


def test_only_the_question_for_gradients_asks_for_them():
    details = broken(RefusesGradients)
    assert list(details) == ["passes gradients"]
    assert re.match(
        "NotImplementedError: no backward pass .test_contract.py, line", details["passes gradients"]
    )


def test_what_cannot_be_counted_is_said_in_a_line(monkeypatch: pytest.MonkeyPatch):
    def fails(*_: object) -> None:
        raise Uncountable(1, 1, RuntimeError("not here\nnor there"))

    monkeypatch.setattr("attnbench.measuring.contract.count", fails)
    assert broken(Good) == {
        "costs what its closed form says": "its FLOPs cannot be counted: RuntimeError: not here"
    }


def test_images_are_not_blamed_for_what_a_layer_does_to_its_input():
    assert list(broken(InPlace)) == ["passes gradients", "repeats itself"]


def test_a_closed_form_that_differs_from_the_count_is_named_with_both():
    details = broken(Good, macs=385)
    assert details == {
        "costs what its closed form says": "costs 384 multiply-adds, but its closed form says 385"
    }


def test_an_output_that_changes_with_the_kernel_is_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(
        KERNELS, "fused", lambda q, k, v, bias, *, masked: 1 + explicit(q, k, v, bias, masked=masked)
    )
    results = list(examine(Choice(msa, {}, "source"), [GEOMETRY]))
    assert [f.question for f in results if not f.passed] == ["agrees under every kernel"]


class BiasedFused(OwnFused):
    """Gives torch's fused attention a mask that it learns."""

    def __init__(self, geometry: Geometry) -> None:
        super().__init__(geometry)
        self.bias = nn.Parameter(torch.zeros(geometry.tokens, geometry.tokens))

    def attention(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return F.scaled_dot_product_attention(q, k, v, self.bias)


def test_a_layer_that_asks_for_attention_by_itself_is_told_what_that_means():
    def remark(build: type[nn.Module]) -> str:
        results = examine(Choice(replace(msa, build=build), {}, "source"), [GEOMETRY])
        (remark,) = (each.detail for each in results if each.detail)
        return remark

    assert remark(OwnFused) == (
        "it asks for torch's fused attention by itself, which runs as flash whatever --kernel says; "
        "attnbench.attention.attend would let that choose"
    )
    assert remark(BiasedFused).endswith(
        "which runs as math whatever --kernel says; attnbench.attention.attend would let that choose. It "
        "would run as flash if no parameter asked for a gradient: where none is needed, give it the mask as "
        "bias.detach()"
    )


def test_a_refused_geometry_does_not_end_the_examination():
    class Square(Good):
        def __init__(self, geometry: Geometry) -> None:
            if geometry.height != geometry.width:
                raise UnsupportedGeometry("not a square")
            super().__init__(geometry)

    paper = Paper("None", "Nowhere", 2026, "https://example.org")
    square = Mechanism("square", "Square", Square, lambda geometry: 4 * 64, paper)
    results = list(examine(Choice(square, {}, "source"), [GEOMETRY, Geometry(8, 2, 2, 2)]))
    assert [result.passed for result in results] == [None] + [True] * len(QUESTIONS)


def test_a_refused_geometry_is_one_finding_with_its_reason():
    class Picky(Good):
        def __init__(self, geometry: Geometry) -> None:
            raise UnsupportedGeometry("only odd maps")

    (result,) = found(Picky)
    assert result.passed is None
    assert result.detail == "only odd maps"


class WantsTheSize(Good):
    def forward(self, x: Tensor, H: int, W: int) -> Tensor:  # type: ignore[override]  # noqa: N803
        return super().forward(x)


class WantsMaps(nn.Conv2d):
    def __init__(self, geometry: Geometry) -> None:
        super().__init__(geometry.dim, geometry.dim, 3, padding=1)


class ReturnsItsMapToo(Good):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x), x  # type: ignore[return-value]


@pytest.mark.parametrize(
    ("layer", "says"),
    [
        (WantsTheSize, r"its forward wants \(x, H, W\)"),
        (WantsMaps, r"it takes maps \[B, C, H, W\]"),
        (ReturnsItsMapToo, "returns a tuple of 2; return the tokens alone"),
        (Raises, r"KeyError: 'no such thing' \(test_contract\.py, line \d+\)"),
    ],
)
def test_a_layer_that_maps_no_tokens_is_one_finding(layer: type[nn.Module], says: str):
    (result,) = found(layer)
    assert (result.question, result.passed) == ("maps tokens to tokens", False)
    assert re.search(says, result.detail)


def test_what_several_questions_fail_of_is_told_once():
    class NoSingleImage(Good):
        def forward(self, x: Tensor) -> Tensor:
            if len(x) == 1 or x.dtype == torch.float32:
                raise ValueError("not this one")
            return super().forward(x)

    failed = [result for result in found(NoSingleImage) if not result.passed]
    assert [result.question for result in failed if "not this one" in result.detail] == ["keeps images apart"]


def test_a_constructor_that_raises_is_one_finding_with_its_line_and_the_other_sizes_go_on():
    class Square(Good):
        def __init__(self, geometry: Geometry) -> None:
            assert geometry.height == geometry.width, "square maps only"
            super().__init__(geometry)

    paper = Paper("None", "Nowhere", 2026, "https://example.org")
    square = Mechanism("square", "Square", Square, lambda geometry: 4 * 64, paper)
    first, *others = examine(Choice(square, {}, "source"), [GEOMETRY, Geometry(8, 2, 2, 2)])
    assert (first.question, first.passed) == ("builds", False)
    assert re.search(
        r"AssertionError: square maps only.* \(test_contract\.py, line \d+\); .* with UnsupportedGeometry",
        first.detail, re.DOTALL,
    )  # fmt: skip
    assert [result.passed for result in others] == [True] * len(QUESTIONS)
