"""Spectra of maps as plain arrays: measured by `measure.spectrum`, shown by `report`, and free of torch."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from attnbench.errors import AttnbenchError
from attnbench.mechanism import Geometry

PANELS = 8  # as many channels of a part as Figure 5 shows
NYQUIST = 0.5  # cycles per token: no axis of a map holds a faster wave
ROUNDING = -6  # log10 of a share of the mean below which what varies over a map is rounding in float32

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Part:
    """The spectrum of some channels that stand together: a layer's whole output, or one branch of it.

    `log_amplitude` is `[channels, H, W]`: log10 of the Fourier amplitude, averaged over the images, with the
    zero frequency at [H // 2, W // 2]. `start` is the output's channel that its first one is.
    """

    title: str
    start: int
    log_amplitude: Array

    @property
    def shown(self) -> list[int]:
        """The channels to draw, counted in the output: spread evenly from the first to the last."""
        channels = len(self.log_amplitude)
        return [self.start + int(offset) for offset in np.linspace(0, channels - 1, min(PANELS, channels))]

    @property
    def panels(self) -> Array:
        """The channels to draw, `[panels, H, W]`."""
        return np.take(self.log_amplitude, np.array(self.shown) - self.start, axis=0)

    @property
    def rings(self) -> Array:
        """Mean log10 amplitude in each ring of `ring_frequencies`, over channels and frequencies."""
        ring = ring_numbers(*self.log_amplitude.shape[1:]).ravel()
        sums = np.bincount(ring, self.log_amplitude.mean(axis=0).ravel())
        sizes = np.bincount(ring)
        return sums[sizes > 0] / sizes[sizes > 0]

    @property
    def profile(self) -> Array:
        """The rings from the lowest non-zero one on, relative to that: how many decades above it."""
        decades: Array = self.rings[1:] - self.rings[1]
        return decades

    @property
    def is_rounding(self) -> bool:
        """Whether the channels are so nearly constant over the map that their spectrum is rounding."""
        return bool(self.rings[1:].max() < self.rings[0] + ROUNDING)


@dataclass(frozen=True, slots=True)
class Spectrum:
    """The spectrum of a layer's output, whole and by branch."""

    label: str
    title: str
    whole: Part
    branches: tuple[Part, ...]

    @property
    def parts(self) -> tuple[Part, ...]:
        """What has a curve: the whole output, then each branch."""
        return (self.whole, *self.branches)

    @property
    def rows(self) -> tuple[Part, ...]:
        """What Figure 5 shows, a row each: the branches, or the whole output where there are none."""
        return self.branches or (self.whole,)


@dataclass(frozen=True, slots=True)
class Curve:
    """A part's numbers over the rings of `Survey.frequencies`, from the lowest non-zero one on.

    `profile` is the log10 amplitude relative to the lowest ring, `gain` relative to the input's in that ring.
    """

    label: str
    title: str
    branch: str
    profile: Array
    gain: Array
    is_rounding: bool

    @property
    def name(self) -> str:
        """What a legend calls it: `HiLo, Lo-Fi`."""
        return ", ".join(filter(None, (self.title, self.branch)))


@dataclass(frozen=True, slots=True)
class Survey:
    """Spectra of several layers on the same `images` generated maps, and of those maps themselves.

    `failures` has a sentence for each layer that has none.
    """

    geometry: Geometry
    images: int
    seed: int
    source: Part
    layers: tuple[Spectrum, ...]
    failures: tuple[str, ...] = ()

    @property
    def frequencies(self) -> Array:
        """The frequency of each value of a profile, in cycles per token."""
        return ring_frequencies(self.geometry.height, self.geometry.width)[1:]

    @property
    def curves(self) -> list[Curve]:
        """A curve for every layer, and one for each of its branches."""
        return [
            Curve(
                label=layer.label,
                title=layer.title,
                branch=part.title,
                profile=part.profile,
                gain=(part.rings - self.source.rings)[1:],
                is_rounding=part.is_rounding,
            )
            for layer in self.layers
            for part in layer.parts
        ]

    @property
    def highest(self) -> int:
        """The index in a profile of the highest ring up to the Nyquist frequency of an axis."""
        return int(np.searchsorted(self.frequencies, NYQUIST, side="right")) - 1


def require_rings(geometry: Geometry) -> None:
    """Refuse a map whose profile would be a single point."""
    if max(geometry.height, geometry.width) < 4:
        raise AttnbenchError(
            f"A map of {geometry.size} has too few frequencies for a profile; choose --res 4 or more."
        )


def radii(height: int, width: int) -> Array:
    """How far each frequency of a shifted FFT lies from zero, `[H, W]`, in cycles per token."""
    rows, columns = (np.fft.fftshift(np.fft.fftfreq(side)) for side in (height, width))
    return np.hypot(rows[:, None], columns)


def ring_numbers(height: int, width: int) -> NDArray[np.int64]:
    """The ring that each frequency of a shifted FFT lies in, `[H, W]`.

    Ring k is centred on k cycles per longer side and one such cycle wide; ring 0 is the zero frequency.
    """
    return np.rint(max(height, width) * radii(height, width)).astype(np.int64)


def ring_frequencies(height: int, width: int) -> Array:
    """The centres of the rings that hold a frequency, rising from 0, in cycles per token."""
    return np.unique(ring_numbers(height, width)) / max(height, width)
