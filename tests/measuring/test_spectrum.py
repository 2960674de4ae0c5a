"""Spectra of layers whose answer is known."""

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attnbench.attention import attend
from attnbench.cases.choice import Choice
from attnbench.cases.registry import discover
from attnbench.errors import AttnbenchError, UnsupportedGeometry
from attnbench.measuring.spectrum import cut, log_amplitudes, natural_maps, survey
from attnbench.mechanism import Branch, Geometry
from attnbench.records.spectrum import Array, Part, radii, ring_frequencies
from attnbench.report.spectrum import spectrum_notes
from mechanisms.hilo import HiLo

GEOMETRY = Geometry(dim=24, heads=3, height=14, width=14)
Forward = Callable[[Tensor], Tensor]


class Plain(nn.Module):
    """A layer that is a function."""

    def __init__(self, forward: Forward) -> None:
        super().__init__()
        self.answer = forward

    def forward(self, x: Tensor) -> Tensor:
        return self.answer(x)


def choice(forward: Forward, *branches: Branch) -> Choice:
    msa = discover()["msa"]
    mechanism = replace(msa, name="plain", build=lambda geometry: Plain(forward), branches=branches)
    return Choice(mechanism, {}, "")


def spectrum_of(maps: Tensor) -> Array:
    """The spectrum of maps `[B, C, H, W]` themselves."""
    _, channels, height, width = maps.shape
    tokens = maps.flatten(2).mT
    (found,) = log_amplitudes([nn.Identity()], [tokens], Geometry(channels, 1, height, width))
    return found


def smoothed(x: Tensor) -> Tensor:
    """The mean of each token and its neighbours, on a map that is a torus."""
    maps = x.mT.unflatten(-1, (14, 14))
    return F.avg_pool2d(F.pad(maps, (1, 1, 1, 1), mode="circular"), 3, 1).flatten(2).mT


def test_a_layer_that_returns_its_input_has_the_inputs_profile():
    found = survey([choice(lambda x: 3 * x)], GEOMETRY, images=3, seed=0)
    (curve,) = found.curves
    np.testing.assert_allclose(curve.profile, found.source.profile, atol=1e-5)
    np.testing.assert_allclose(curve.gain, math.log10(3), atol=1e-5)


def test_a_layer_that_averages_neighbours_falls_below_its_input_as_its_filter_does():
    found = survey([choice(smoothed)], Geometry(8, 1, 14, 14), images=2, seed=0)
    (curve,) = found.curves
    kernel = (1 + 2 * np.cos(2 * np.pi * np.fft.fftshift(np.fft.fftfreq(14)))) / 3
    expected = Part("", 0, np.log10(np.abs(np.outer(kernel, kernel)))[None])
    np.testing.assert_allclose(curve.gain, expected.rings[1:], atol=1e-3)
    assert curve.profile[found.highest] < found.source.profile[found.highest] - 0.5


def test_a_cosine_puts_its_energy_into_its_pixel_and_its_ring():
    rows, columns = torch.meshgrid(torch.arange(14), torch.arange(28), indexing="ij")
    wave = torch.cos(
        2 * math.pi * (3 * rows / 14 + 4 * columns / 28)
    )  # √(6² + 4²) = 7.2 cycles a longer side
    found = spectrum_of(wave.expand(1, 1, 14, 28))
    brightest = np.argwhere(found[0] > found.max() - 1)
    np.testing.assert_array_equal(brightest, [[7 - 3, 14 - 4], [7 + 3, 14 + 4]])
    assert found.max() == pytest.approx(math.log10(14 * 28 / 2), abs=1e-5)
    assert ring_frequencies(14, 28)[np.argmax(Part("", 0, found).rings)] == 7 / 28


def test_the_mean_is_of_logarithms_over_all_images_of_all_batches():
    ones = torch.ones(1, 49, 6)
    (found,) = log_amplitudes(
        [nn.Identity()], [torch.cat([ones, 10 * ones]), 1e4 * ones], Geometry(6, 1, 7, 7)
    )
    np.testing.assert_allclose(found[:, 3, 3], math.log10(49) + 5 / 3, atol=1e-6)


def test_channels_and_images_stay_in_their_order():
    maps = torch.randn(4, 6, 7, 8) * torch.arange(1, 7).view(6, 1, 1) ** 3
    expected = [spectrum_of(maps[:, channel : channel + 1])[0] for channel in range(6)]
    np.testing.assert_allclose(spectrum_of(maps), expected, atol=1e-6)


def test_white_noise_is_flat():
    profile = Part("", 0, spectrum_of(torch.randn(20, 64, 15, 15))).profile
    np.testing.assert_allclose(profile, 0, atol=0.02)


@pytest.mark.parametrize(("height", "width"), [(15, 15), (9, 27)])
def test_the_amplitude_of_the_generated_maps_falls_as_one_over_f(height: int, width: int):
    geometry = Geometry(48, 6, height, width)
    maps = torch.cat(list(natural_maps(geometry, images=20, seed=0)))
    found = spectrum_of(maps.mT.unflatten(-1, (height, width))).mean(axis=0)
    radius = radii(height, width)
    slope, _ = np.polyfit(np.log10(radius[radius > 0]), found[radius > 0], 1)
    assert slope == pytest.approx(-1, abs=0.02)


def test_generated_maps_have_no_mean_and_unit_variance():
    maps = torch.cat(list(natural_maps(Geometry(48, 6, 9, 27), images=40, seed=0)))
    assert maps.shape == (40, 9 * 27, 48)
    torch.testing.assert_close(maps.mean(dim=1), torch.zeros(40, 48), atol=1e-5, rtol=0)
    assert maps.var().item() == pytest.approx(1, abs=0.05)


def test_generated_maps_follow_the_seed_and_not_their_number():
    odd = Geometry(3, 1, 7, 7)
    few, many = (torch.cat(list(natural_maps(odd, images=images, seed=1))) for images in (3, 25))
    torch.testing.assert_close(few, many[:3], atol=0, rtol=0)
    assert not torch.equal(few, torch.cat(list(natural_maps(odd, images=3, seed=2))))


def test_branches_are_cut_where_their_channels_are():
    hilo = discover().choose("hilo:alpha=0.34")
    found = survey([hilo], GEOMETRY, images=2, seed=0)
    (layer,) = found.layers
    torch.manual_seed(0)
    module = HiLo(GEOMETRY, 0.34, 2)
    maps = torch.cat(list(natural_maps(GEOMETRY, images=2, seed=0))).unflatten(1, (14, 14))
    with torch.inference_mode():
        high, low = (spectrum_of(part(maps).permute(0, 3, 1, 2)) for part in (module.hi_fi, module.lo_fi))
    assert [(part.title, part.start) for part in layer.rows] == [("Hi-Fi", 0), ("Lo-Fi", 16)]
    np.testing.assert_allclose(layer.branches[0].log_amplitude, high, atol=1e-3)
    np.testing.assert_allclose(layer.branches[1].log_amplitude, low, atol=1e-3)


def test_a_branch_without_channels_is_left_out():
    (layer,) = survey([discover().choose("hilo:alpha=0")], GEOMETRY, images=1, seed=0).layers
    assert [part.title for part in layer.rows] == ["Hi-Fi"]
    assert len(layer.rows[0].log_amplitude) == GEOMETRY.dim


def test_branches_that_do_not_make_up_the_output_are_refused():
    half = Branch("Half", lambda geometry: 0, lambda geometry: geometry.dim // 2)
    with pytest.raises(
        AttnbenchError, match="branches of plain make 12 channels of 24; correct the `channels`"
    ):
        cut(choice(lambda x: x, half), GEOMETRY, np.zeros((24, 14, 14)))


def test_eight_channels_are_spread_over_a_part():
    part = Part("", 16, np.arange(71.0).reshape(71, 1, 1))
    assert part.shown == [16, 26, 36, 46, 56, 66, 76, 86]
    np.testing.assert_array_equal(part.panels.ravel(), [0, 10, 20, 30, 40, 50, 60, 70])
    assert Part("", 0, np.zeros((3, 7, 7))).shown == [0, 1, 2]


@pytest.mark.parametrize(("side", "frequency"), [(14, 7 / 14), (7, 3 / 7)])
def test_the_highest_ring_is_the_last_that_an_axis_can_hold(side: int, frequency: float):
    found = survey([choice(lambda x: x)], Geometry(4, 1, side, side), images=1, seed=0)
    assert found.frequencies[found.highest] == frequency
    assert len(found.frequencies) == len(found.source.profile)


def test_a_layer_that_answers_the_same_everywhere_is_known_to_be_rounding():
    constant = choice(lambda x: torch.ones_like(x) + 1e-7 * x)
    nearly = choice(lambda x: torch.ones_like(x) + 1e-3 * x)
    found = survey([constant, nearly], GEOMETRY, images=1, seed=0)
    assert [curve.is_rounding for curve in found.curves] == [True, False]


def test_amplitudes_below_rounding_count_as_rounding():
    found = spectrum_of(torch.full((1, 1, 16, 16), 2.0))[0]
    assert found[8, 8] == pytest.approx(math.log10(512))
    np.testing.assert_allclose(np.delete(found.ravel(), 8 * 16 + 8), math.log10(512 * 2**-23), atol=1e-6)


def test_a_layer_that_answers_zero_has_finite_numbers():
    (curve,) = survey([choice(torch.zeros_like)], GEOMETRY, images=1, seed=0).curves
    np.testing.assert_array_equal(curve.profile, 0)


@pytest.mark.parametrize("forward", [lambda x: x[:, :5], lambda x: x / 0])
def test_a_layer_that_does_not_answer_with_tokens_is_refused(forward: Forward):
    with pytest.raises(AttnbenchError, match="has no spectrum; `attnbench check` says more"):
        survey([choice(forward)], GEOMETRY, images=1, seed=0)


@pytest.mark.parametrize(
    ("forward", "says"),
    [
        (lambda x: (x, x), "returns a tuple of 2; return the tokens alone"),
        (lambda x: x.nothing, r"a call fails with AttributeError: .* \(test_spectrum\.py, line \d+\)"),
    ],
)
def test_a_layer_that_does_not_answer_with_a_tensor_says_what_it_wants(forward: Forward, says: str):
    with pytest.raises(AttnbenchError, match=f"Plain has no spectrum: {says}"):
        survey([choice(forward)], GEOMETRY, images=1, seed=0)


def test_a_constructor_that_raises_is_named_with_its_line():
    def build(geometry: Geometry) -> nn.Module:
        raise AssertionError("square maps only")

    broken = choice(torch.sin)
    broken = replace(broken, mechanism=replace(broken.mechanism, build=build))
    with pytest.raises(AttnbenchError, match=r"plain cannot be built: .* \(test_spectrum\.py, line \d+\)"):
        survey([broken], GEOMETRY, images=1, seed=0)


def raising(_: Tensor) -> Tensor:
    raise SystemExit("no more")


def test_what_a_layer_raises_is_told_with_its_place():
    says = (
        r"has no spectrum: a call fails with SystemExit: no more \(test_spectrum.py, line \d+\). `attnbench"
    )
    with pytest.raises(AttnbenchError, match=says):
        survey([choice(raising)], GEOMETRY, images=1, seed=0)


def test_layers_beside_one_that_fails_have_their_spectra():
    found = survey([choice(raising), choice(lambda x: 2 * x)], GEOMETRY, images=1, seed=0)
    assert [layer.label for layer in found.layers] == ["plain"]
    (failure,) = found.failures
    assert failure.startswith("plain: ")
    assert failure in spectrum_notes(found)


def test_a_layer_that_changes_its_input_changes_it_for_no_other():
    found = survey([choice(lambda x: x.mul_(0)), choice(lambda x: 1 * x)], GEOMETRY, images=1, seed=0)
    assert "changes its input" in found.failures[0]
    np.testing.assert_array_equal(found.layers[0].whole.log_amplitude, found.source.log_amplitude)


def test_a_refused_geometry_is_the_mechanisms_own_words():
    with pytest.raises(UnsupportedGeometry, match="sra"):
        survey([discover().choose("sra:reduction=20")], GEOMETRY, images=1, seed=0)


def test_layers_run_with_the_explicit_kernel_and_without_gradients(monkeypatch: pytest.MonkeyPatch):
    def ask(x: Tensor) -> Tensor:
        assert torch.is_inference_mode_enabled()
        return attend(x[:, None], x[:, None], x[:, None])[:, 0]

    monkeypatch.setattr(F, "scaled_dot_product_attention", None)
    assert survey([choice(ask)], GEOMETRY, images=1, seed=0).layers


def test_layers_run_as_in_inference():
    dropout = replace(discover()["msa"], build=lambda geometry: nn.Dropout(), settings={})
    (curve,) = survey([Choice(dropout, {}, "")], GEOMETRY, images=1, seed=0).curves
    np.testing.assert_allclose(curve.gain, 0, atol=1e-12)


@pytest.mark.parametrize("side", [1, 3])
def test_a_map_without_two_rings_is_refused(side: int):
    with pytest.raises(AttnbenchError, match=f"{side}x{side} has too few frequencies .* --res 4 or more"):
        survey([choice(lambda x: x)], Geometry(4, 1, side, side), images=1, seed=0)


def test_weights_follow_the_seed():
    msa = discover().choose("msa")
    runs = [survey([msa, msa], Geometry(8, 2, 4, 4), images=1, seed=seed) for seed in (0, 0, 1)]
    first, again, other = (run.layers[1].whole.log_amplitude for run in runs)
    np.testing.assert_array_equal(first, again)
    np.testing.assert_array_equal(first, runs[0].layers[0].whole.log_amplitude)
    assert not np.array_equal(first, other)
