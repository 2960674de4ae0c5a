"""Which spatial frequencies a layer passes on: Algorithm 1 of the HiLo paper, for any mechanism.

A layer's output is read as maps `[B, C, H, W]`; its spectrum is log10 |FFT| over H and W, averaged over the
images. Layers have the random weights of their seed, and run in float32 with the explicit kernel.

The inputs are generated: in every channel a Gaussian random field whose amplitude falls as 1/f, as that of
natural images does, with f the distance from the zero frequency, no zero frequency, and unit variance.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from types import MappingProxyType

import torch
from torch import Tensor, nn

from attnbench.attention import use_kernel
from attnbench.cases.choice import Choice
from attnbench.errors import AttnbenchError, UnsupportedGeometry
from attnbench.measuring.failures import told
from attnbench.measuring.layouts import layer_of
from attnbench.measuring.strangers import built, wanted
from attnbench.mechanism import Geometry
from attnbench.records.spectrum import Array, Part, Spectrum, Survey, radii, require_rings

TOKENS_AT_ONCE = 1024  # few enough for attention between all tokens of an image to stay small


def survey(
    choices: Sequence[Choice],
    geometry: Geometry,
    *,
    images: int,
    seed: int,
    left_out: Mapping[str, str] = MappingProxyType({}),
) -> Survey:
    """The spectra of these mechanisms on the same generated maps, and of the maps.

    A layer that cannot have one is left out, with its reason; where none is left that is an `AttnbenchError`.
    Those that are `left_out` already are told of as well, by label and reason.
    """
    require_rings(geometry)
    first = next(natural_maps(geometry, images=1, seed=seed))
    layers: list[tuple[Choice, nn.Module]] = []
    failures = dict(left_out)
    for choice in choices:
        try:
            layer = build(choice, geometry, seed)
            log_amplitudes([layer], [first], geometry)
            layers.append((choice, layer))
        except UnsupportedGeometry:
            raise
        except AttnbenchError as failure:
            failures[choice.label] = f"{failure}"
    if not layers:
        raise AttnbenchError(" ".join(failures.values()))
    maps = natural_maps(geometry, images=images, seed=seed)
    source, *outputs = log_amplitudes([_same, *(layer for _, layer in layers)], maps, geometry)
    told_of = tuple(f"{label}: {failure}" for label, failure in failures.items())
    spectra = [cut(choice, geometry, output) for (choice, _), output in zip(layers, outputs, strict=True)]
    return Survey(geometry, images, seed, Part("input", 0, source), tuple(spectra), told_of)


def _same(x: Tensor) -> Tensor:
    return x


def build(choice: Choice, geometry: Geometry, seed: int) -> nn.Module:
    """The layer in float32, with weights that depend on the seed alone."""
    torch.manual_seed(seed)
    layer = built(partial(layer_of, choice.mechanism, geometry, choice.settings), choice.label)
    layer.eval()  # a statement: its value need not be the layer
    return layer


def at_once(geometry: Geometry, images: int) -> int:
    """How many of so many images a layer is called with."""
    return min(images, max(1, TOKENS_AT_ONCE // geometry.tokens))


def natural_maps(geometry: Geometry, *, images: int, seed: int) -> Iterator[Tensor]:
    """Tokens `[B, N, C]` in small batches, `images` in all: random fields whose amplitude falls as 1/f."""
    radius = torch.fft.ifftshift(torch.from_numpy(radii(geometry.height, geometry.width)))
    gain = torch.where(radius > 0, 1 / radius, 0.0)
    gain = (gain / gain.square().mean().sqrt()).float()
    generator = torch.Generator().manual_seed(seed)
    shape = (geometry.dim, geometry.height, geometry.width)
    most = at_once(geometry, images)
    for start in range(0, images, most):
        number = min(most, images - start)
        noise = torch.stack([torch.randn(shape, generator=generator) for _ in range(number)])
        fields = torch.fft.ifft2(torch.fft.fft2(noise) * gain).real
        yield fields.flatten(2).mT.contiguous()


@torch.inference_mode()
def log_amplitudes(
    layers: Sequence[Callable[[Tensor], Tensor]], batches: Iterable[Tensor], geometry: Geometry
) -> list[Array]:
    """For each layer log10 |FFT| of its output, `[C, H, W]`, averaged over the images of all batches.

    The zero frequency stands at [H // 2, W // 2].
    """
    shape = (geometry.dim, geometry.height, geometry.width)
    sums = [torch.zeros(shape, dtype=torch.float64) for _ in layers]
    images = 0
    for batch in batches:
        images += len(batch)
        for layer, total in zip(layers, sums, strict=True):
            output = _output(layer, batch, geometry)
            total += _log_amplitude(output.mT.unflatten(-1, shape[1:])).sum(dim=0)
    return [(total / images).numpy() for total in sums]


def cut(choice: Choice, geometry: Geometry, log_amplitude: Array) -> Spectrum:
    """The spectrum `[C, H, W]` of a mechanism's output, whole and cut into its branches' channels."""
    mechanism = choice.mechanism
    branches, start = [], 0
    for branch in mechanism.branches:
        end = start + branch.channels(geometry, **choice.settings)
        if start < end:
            branches.append(Part(branch.title, start, log_amplitude[start:end]))
        start = end
    if mechanism.branches and start != geometry.dim:
        raise AttnbenchError(
            f"The branches of {choice.label} make {start} channels of {geometry.dim}; "
            "correct the `channels` of its `Branch` values."
        )
    return Spectrum(choice.label, choice.title, Part("", 0, log_amplitude), tuple(branches))


def _log_amplitude(maps: Tensor) -> Tensor:
    """log10 |FFT| over the last two dimensions, and over those alone, zero frequency in the centre.

    What is below the rounding of a map's largest amplitude counts as that rounding.
    """
    amplitude = torch.fft.fftshift(torch.fft.fft2(maps).abs(), dim=(-2, -1))
    number = torch.finfo(amplitude.dtype)
    rounding = number.eps * amplitude.amax(dim=(-2, -1), keepdim=True)
    least = rounding.clamp_min(number.tiny)  # a map of zeros has no largest amplitude
    return torch.maximum(amplitude, least).log10().double()


def _output(layer: Callable[[Tensor], Tensor], batch: Tensor, geometry: Geometry) -> Tensor:
    """The layer's output for a batch that the others get too; an `AttnbenchError` says why there is none."""
    given, why = batch.clone(), ""
    output: object = None
    try:
        with use_kernel("explicit"):
            output = layer(given)
    except AttnbenchError:
        raise
    except (Exception, SystemExit) as error:
        why = f"a call fails with {told(error)}"
    if not isinstance(output, Tensor):
        what = wanted(layer, batch[:1], geometry) if isinstance(layer, nn.Module) else None
        raise AttnbenchError(
            f"{type(layer).__name__} has no spectrum: {what or why}. `attnbench check` says more."
        )
    if not torch.equal(given, batch):
        raise AttnbenchError(
            f"{type(layer).__name__} changes its input, and has no spectrum; `attnbench check` says more."
        )
    _require_tokens(layer, output, batch)
    return output


def _require_tokens(layer: Callable[[Tensor], Tensor], output: Tensor, batch: Tensor) -> None:
    if output.shape != batch.shape or not output.isfinite().all():
        raise AttnbenchError(
            f"{type(layer).__name__} maps tokens {list(batch.shape)} to {list(output.shape)}, or to numbers "
            "that are not finite, and has no spectrum; `attnbench check` says more."
        )
