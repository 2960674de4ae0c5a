"""The contract notices each way of breaking it, and nothing else."""

import re

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from attnbench import Geometry, Mechanism, Paper, UnsupportedGeometry
from attnbench.contract import QUESTIONS, examine
from attnbench.findings import Finding
from attnbench.registry import Choice

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
        return super().forward(x) + torch.cdist(x, x).sum(-1, keepdim=True)


class Raises(Good):
    def forward(self, x: Tensor) -> Tensor:
        raise KeyError("no such thing")


def found(layer: type[nn.Module], macs: int = 6 * 8 * 8) -> list[Finding]:
    paper = Paper("None", "Nowhere", 2026, "https://example.org")
    mechanism = Mechanism("mine", "Mine", layer, lambda geometry: macs, paper)
    return list(examine(Choice(mechanism, {}), [GEOMETRY]))


def broken(layer: type[nn.Module], macs: int = 6 * 8 * 8) -> dict[str, str]:
    return {finding.question: finding.detail for finding in found(layer, macs) if not finding.passed}


def test_a_good_layer_passes_every_question():
    findings = found(Good)
    assert [finding.question for finding in findings] == list(QUESTIONS)
    assert all(finding.passed for finding in findings)


@pytest.mark.parametrize(
    ("layer", "question", "says"),
    [
        (OtherShape, "maps tokens to tokens", r"\[3, 6, 8\] float64 to \[3, 8, 6\]"),
        (NotANumber, "maps tokens to tokens", "NaN or infinite"),
        (MixesImages, "keeps images apart", "depends on the other images"),
        (DropsGradients, "passes gradients", "does not require grad|map.weight"),
        (Unused, "passes gradients", "reaches spare"),
        (Counts, "repeats itself", "changes calls"),
        (EditsItsInput, "repeats itself", "changes its input|two calls"),
        (NumpySeed, "follows the seed", "torch.manual_seed does not fix"),
        (StaysBehind, "moves with its module", "float64: a tensor of its own"),
        (Hidden, "costs what its closed form says", "no formula for aten::cdist"),
        (Raises, "maps tokens to tokens", "KeyError: 'no such thing'"),
    ],
)
def test_each_way_of_breaking_it_is_named(layer: type[nn.Module], question: str, says: str):
    details = broken(layer)
    assert question in details
    assert re.search(says, details[question]), details[question]


def test_a_closed_form_that_differs_from_the_count_is_named_with_both():
    details = broken(Good, macs=385)
    assert details == {
        "costs what its closed form says": "costs 384 multiply-adds, but its closed form says 385"
    }


def test_a_refused_geometry_is_one_finding_with_its_reason():
    class Picky(Good):
        def __init__(self, geometry: Geometry) -> None:
            raise UnsupportedGeometry("only odd maps")

    (finding,) = found(Picky)
    assert finding.passed is None
    assert finding.detail == "only odd maps"
