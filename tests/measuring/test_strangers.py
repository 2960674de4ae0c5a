"""What a layer wants that does not map tokens to tokens, and where what it raises is from."""

import re

import pytest
import torch
from torch import Tensor, nn

from attnbench import AttnbenchError, Geometry
from attnbench.measuring.failures import told
from attnbench.measuring.layers import WrongOutput
from attnbench.measuring.strangers import built, explained, wanted

GEOMETRY = Geometry(8, 2, 3, 2)


class WantsTheSize(nn.Linear):
    def forward(self, x: Tensor, H: int, W: int, dropout: float = 0.0) -> Tensor:  # type: ignore[override]  # noqa: N803
        return super().forward(x)


class WantsMapsThatEndInChannels(nn.Linear):
    def forward(self, x: Tensor) -> Tensor:
        batch, _, _, _ = x.shape
        return super().forward(x).view(batch, *x.shape[1:])


class Returns(nn.Module):
    def __init__(self, make: object) -> None:
        super().__init__()
        self.make = make

    def forward(self, x: Tensor, *_rest: object) -> object:
        return self.make(x)  # type: ignore[operator]


class Fails(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        raise KeyError("no such thing")


@pytest.mark.parametrize(
    ("layer", "says"),
    [
        (WantsTheSize(8, 8), r"forward wants \(x, H, W\), .* say layout='tokens, height, width' in its"),
        (
            nn.Conv2d(8, 8, 3, padding=1),
            r"it takes maps \[B, C, H, W\], and gets .* layout='channels first' in",
        ),
        (
            WantsMapsThatEndInChannels(8, 8),
            r"it takes maps \[B, H, W, C\], and gets .* layout='channels last' in",
        ),
        (Returns(lambda x: (x, x)), "returns a tuple of 2; return the tokens alone, or say .* output=0"),
        (Returns(lambda x: {"out": x}), "returns a dict of 1; .*: output='out'"),
        (Returns(lambda x: None), "returns nothing; return the tokens"),
    ],
)
def test_what_maps_no_tokens_says_what_it_wants(layer: nn.Module, says: str):
    assert re.search(says, wanted(layer, torch.randn(2, 6, 8), GEOMETRY) or "")


@pytest.mark.parametrize("layer", [nn.Linear(8, 8), Returns(lambda x: x[:, 1:]), Fails(), nn.Conv2d(8, 9, 1)])
def test_of_what_maps_tokens_or_fails_for_reasons_of_its_own_nothing_is_guessed(layer: nn.Module):
    assert wanted(layer, torch.randn(2, 6, 8), GEOMETRY) is None


def test_a_forward_pass_that_has_no_signature_wants_nothing_in_particular():
    layer = nn.Module()
    layer.forward = max
    assert wanted(layer, torch.randn(2, 6, 8), GEOMETRY) is None


def test_an_exception_has_the_line_of_the_layers_own_file_though_torch_raised_it():
    with pytest.raises(RuntimeError) as caught:
        WantsMapsThatEndInChannels(8, 8)(torch.randn(1, 1, 1, 9))
    line = WantsMapsThatEndInChannels.forward.__code__.co_firstlineno + 2
    assert re.search(rf"^RuntimeError: .*\(test_strangers\.py, line {line}\)$", told(caught.value), re.DOTALL)


def test_what_cannot_be_built_is_the_users_to_mend_and_named_with_its_line():
    def build() -> nn.Module:
        raise AssertionError("square maps only")

    with pytest.raises(
        AttnbenchError,
        match=r"mine cannot be built: AssertionError: square maps only \(test_strangers\.py, line \d+\)",
    ):
        built(build, "mine")


def test_a_failure_that_is_one_of_what_a_layer_wants_is_a_wrong_output():
    with (
        pytest.raises(WrongOutput, match="returns a tuple of 2"),
        explained(lambda: Returns(lambda x: (x, x)), GEOMETRY),
    ):
        raise AttributeError("'tuple' object has no attribute 'shape'")


def test_any_other_failure_stays_what_it_is():
    with pytest.raises(KeyError, match="bang"), explained(lambda: nn.Linear(8, 8), GEOMETRY):
        raise KeyError("bang")


def test_what_a_layer_wants_is_found_out_on_tensors_without_memory():
    huge = Geometry(8, 2, 10**6, 10**6)
    with pytest.raises(WrongOutput, match="it takes maps"), explained(lambda: nn.Conv2d(8, 8, 1), huge):
        raise RuntimeError("bang")
