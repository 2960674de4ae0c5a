"""What a mechanism is drawn with, for readers who see all colours and for those who do not."""

import subprocess
import sys
from itertools import combinations

import numpy as np
import pytest
from numpy.typing import NDArray

from attnbench.paper import published
from attnbench.report.colours import MarkStyle, contrast, inks_in, mark_styles_of

Array = NDArray[np.float64]
PLUGINS = [f"plugin-{number}" for number in range(6)]
ALL = [*published(), *PLUGINS]
STRONGEST = ["hilo", *list(published())[:9]]  # the first ten of the palette, MSA among them

# Machado, Oliveira and Fernandes (2009): what is left without one kind of cone, in linear RGB.
VISIONS = {
    "all cones": np.eye(3),
    "protanopia": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "deuteranopia": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
    "tritanopia": np.array(
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]
    ),
}
TO_XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)

# CIE Lab distances. Half of all viewers tell two marks of 0.2° apart (1.4 mm, seen from 40 cm) that differ by
# 9 in lightness, 13 from green to red, or 20 from blue to yellow (Stone, Szafir and Setlur, 2014). Without a
# kind of cone nearly all that is left lies between blue and yellow, so 20 is the distance that is seen in any
# direction. Markers tell the others apart; two of one marker are further apart still.
SEEN, SAFE, NOT_ALIKE = 20, 25, 10


def lab(hexes: list[str], vision: Array) -> Array:
    """CIE Lab of colours as an eye with this vision has them."""
    srgb = np.array([[int(each[at : at + 2], 16) / 255 for at in (1, 3, 5)] for each in hexes])
    linear = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    xyz = np.clip(linear @ vision.T, 0, 1) @ TO_XYZ.T / [0.95047, 1, 1.08883]
    root = np.where(xyz > 216 / 24389, np.cbrt(xyz), (24389 / 27 * xyz + 16) / 116)
    x, y, z = root.T
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=1)


def nearest(pairs: list[tuple[str, str]], vision: Array) -> float:
    """The least distance between the colours of any pair of labels."""
    found = mark_styles_of(ALL)
    ours, theirs = (lab([found[label].colour for label in side], vision) for side in zip(*pairs, strict=True))
    return float(np.linalg.norm(ours - theirs, axis=1).min())


@pytest.mark.parametrize("vision", VISIONS.values(), ids=VISIONS)
def test_hilo_msa_and_the_eight_beside_them_are_told_apart_by_colour_alone(vision: Array):
    assert nearest(list(combinations(STRONGEST, 2)), vision) >= SEEN


@pytest.mark.parametrize("vision", VISIONS.values(), ids=VISIONS)
def test_two_of_one_marker_are_told_apart_by_colour(vision: Array):
    found = mark_styles_of(ALL)
    twins = [pair for pair in combinations(ALL, 2) if found[pair[0]].marker == found[pair[1]].marker]
    assert len(twins) == 10
    assert nearest(twins, vision) >= SAFE


@pytest.mark.parametrize("vision", VISIONS.values(), ids=VISIONS)
def test_no_two_of_twenty_look_alike(vision: Array):
    assert nearest(list(combinations(ALL, 2)), vision) >= NOT_ALIKE


def test_a_simulated_eye_loses_what_it_should():
    red_green = lab(["#d00000", "#00a000"], np.eye(3))
    without = lab(["#d00000", "#00a000"], VISIONS["deuteranopia"])
    assert abs(np.diff(red_green[:, 1])) > 100
    assert abs(np.diff(without[:, 1])) < 10


@pytest.mark.parametrize("label", [*ALL, *(f"hilo:alpha={number}" for number in range(11))])
def test_every_colour_stands_out_from_white(label: str):
    drawn = mark_styles_of([*ALL, *(f"hilo:alpha={number}" for number in range(11))])[label]
    assert contrast(drawn.colour) >= 3


def test_contrast_is_that_of_wcag():
    assert contrast("#000000") == pytest.approx(21)
    assert contrast("#ffffff") == pytest.approx(1)
    assert contrast("#777777") == pytest.approx(4.48, abs=0.005)
    assert contrast("#404040") == pytest.approx(10.37, abs=0.005)


def test_forty_are_told_apart_without_any_colour():
    labels = [*published(), *(f"plugin-{number}" for number in range(26))]
    lines = {(style.marker, style.dash) for style in mark_styles_of(labels).values()}
    points = {(style.marker, style.fill) for style in mark_styles_of(labels).values()}
    assert (len(lines), len(points)) == (40, 40)


def test_twenty_have_colours_of_their_own():
    assert len({style.colour for style in mark_styles_of(ALL).values()}) == 20


def test_a_mechanism_of_the_paper_keeps_its_ink_whatever_stands_beside_it():
    assert {label: mark_styles_of([label])[label] for label in published()} == mark_styles_of(published())
    assert mark_styles_of(["mine", "hilo"])["hilo"] == MarkStyle("#d55e00", "s", "-", "full")
    assert mark_styles_of(["mine", "msa"])["msa"] == MarkStyle("#004488", "o", "-", "full")


def test_a_model_has_the_ink_of_what_fills_it_unless_that_tells_too_little():
    alone = mark_styles_of(["hilo", "msa", "hilo:alpha=0.5"])
    models = mark_styles_of(["litv2-s/hilo", "litv2-s/msa", "litv2-s/hilo:alpha=0.5"])
    assert list(models.values()) == list(alone.values())
    assert inks_in("litv2-s/hilo", ["litv2-s/msa"], 2) == inks_in("hilo", ["msa"], 2)
    beside_layers = mark_styles_of(["hilo", "litv2-s/hilo", "vit-b16/hilo"])
    assert len(set(beside_layers.values())) == 3
    assert beside_layers["hilo"] == alone["hilo"]


def test_plugins_follow_in_the_order_of_the_run():
    assert mark_styles_of(["first", "msa", "second"])["first"] == mark_styles_of(["first"])["first"]
    assert mark_styles_of(["first", "second"])["second"] == mark_styles_of(["other", "second"])["second"]
    assert mark_styles_of(["first"])["first"].colour not in {
        style.colour for style in mark_styles_of(published()).values()
    }


def test_the_first_layers_of_ones_own_are_no_shades_of_hilo_or_msa():
    shaded = [style.colour for name in ("hilo", "msa") for style in inks_in(name, [], 5)]
    own = mark_styles_of(["first", "second"])
    for style in own.values():
        apart = np.linalg.norm(lab([style.colour], np.eye(3)) - lab(shaded, np.eye(3)), axis=1)
        assert apart.min() >= SAFE


def test_settings_of_a_mechanism_are_shades_from_dark_to_light_with_markers_of_their_own():
    labels = ["hilo:alpha=0.1", "hilo:alpha=0.2", "hilo:alpha=0.3"]
    found = list(mark_styles_of(["msa", *labels]).values())[1:]
    lightness = lab([style.colour for style in found], np.eye(3))[:, 0]
    assert np.diff(lightness).min() > 5
    assert len({style.marker for style in found}) == 3
    assert mark_styles_of(["hilo:alpha=0.1"])["hilo:alpha=0.1"] == mark_styles_of(["hilo"])["hilo"]


@pytest.mark.parametrize("place", [0, 1, 2])
@pytest.mark.parametrize("name", ["hilo", "msa"])
def test_default_settings_keep_the_mechanisms_own_ink_among_shades_in_order(name: str, place: int):
    labels = [f"{name}:window=1", f"{name}:window=2", f"{name}:window=3"]
    labels[place] = name
    found = mark_styles_of(labels)
    assert found[name] == mark_styles_of([name])[name]
    lightness = lab([style.colour for style in found.values()], np.eye(3))[:, 0]
    assert abs(np.sign(np.diff(lightness)).sum()) == 2
    assert len({(style.marker, style.dash) for style in found.values()}) == 3


def test_lines_within_a_mechanism_start_with_its_own_ink():
    first, second = inks_in("hilo:alpha=0.5", ["msa"], 2)
    assert first == mark_styles_of(["hilo"])["hilo"]
    assert (second.colour, second.marker) != (first.colour, first.marker)


def test_colours_need_no_matplotlib():
    code = "import sys, attnbench.report.colours; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
