"""What figures and tables of spectra show, read back."""

import csv
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

from attnbench.mechanism import Geometry
from attnbench.records.spectrum import Array, Part, Spectrum, Survey, radii
from attnbench.report.colours import mark_styles_of
from attnbench.report.figure.spectrum import (
    channels_page,
    curves_page,
    draw_gains,
    draw_profiles,
    file_name,
)
from attnbench.report.figure.style import LINE_INCHES
from attnbench.report.spectrum import caption, spectrum_notes, write_profile
from attnbench.report.terminal.spectrum import spectrum_table

RADII = radii(14, 14)
FAR = np.clip(np.rint(14 * RADII) / 14, 1 / 14, None)  # every ring at one distance


def falling(power: float, channels: int = 1) -> Array:
    """Amplitudes that fall as f to a power, each channel ten times the one before."""
    return -power * np.log10(FAR) + np.arange(channels)[:, None, None]


@pytest.fixture
def survey() -> Survey:
    hilo = Spectrum(
        "hilo", "HiLo", Part("", 0, falling(2, 30)),
        (Part("Hi-Fi", 0, falling(1, 15)), Part("Lo-Fi", 15, falling(3, 15))),
    )  # fmt: skip
    msa = Spectrum("msa", "MSA", Part("", 0, falling(1)), ())
    return Survey(Geometry(30, 3, 14, 14), 4, 7, Part("input", 0, falling(1)), (hilo, msa))


def numbers(drawn: object) -> Array:
    """What an axis was given, as numbers."""
    return np.asarray(drawn, dtype=float)


def images(figure: Figure) -> list[AxesImage]:
    return [image for strip in figure.subfigs for axes in strip.axes for image in axes.get_images()]


def test_panels_hold_the_channels_of_each_branch(survey: Survey):
    hilo = survey.layers[0]
    panels = [numbers(image.get_array()) for image in images(channels_page(survey, hilo))]
    assert len(panels) == 16
    np.testing.assert_array_equal(panels[:8], hilo.branches[0].log_amplitude[::2])
    np.testing.assert_array_equal(panels[8:], hilo.branches[1].log_amplitude[::2])


def test_rows_are_titled_with_their_branch_and_panels_with_their_channel(survey: Survey):
    strips = channels_page(survey, survey.layers[0]).subfigs
    assert [strip.get_suptitle() for strip in strips] == ["Hi-Fi", "Lo-Fi"]
    assert [axes.get_title() for axes in strips[1].axes[:2]] == ["channel 15", "channel 17"]


def test_lighter_is_larger_on_one_scale_for_all_rows_of_a_layer(survey: Survey):
    shown = images(channels_page(survey, survey.layers[0]))
    brightness = shown[0].to_rgba(np.array([1.0, 5.0, 15.0]))[:, :3].sum(axis=1)
    assert np.diff(brightness).min() > 0
    low, high = falling(1, 15)[::2].min(), falling(3, 15)[::2].max()  # of Hi-Fi, and of Lo-Fi
    assert {image.get_clim() for image in shown} == {(low, high)}


def test_a_layer_without_branches_has_one_row_and_few_channels_few_panels(survey: Survey):
    (strip,) = channels_page(survey, survey.layers[1]).subfigs
    assert strip.get_suptitle() == "MSA"
    assert len([axes for axes in strip.axes if axes.get_title()]) == 1
    assert not any(axes.axison for axes in strip.axes[:8])


def test_profiles_start_at_nought_and_fall_as_they_were_made(survey: Survey):
    axes = Figure().subplots()
    draw_profiles(axes, survey)
    lines = {str(line.get_label()): line for line in axes.lines}
    expected = -np.log10(np.arange(1, 11))
    for name, power in {"input": 1, "HiLo": 2, "HiLo, Hi-Fi": 1, "HiLo, Lo-Fi": 3, "MSA": 1}.items():
        np.testing.assert_allclose(numbers(lines[name].get_xdata()), np.arange(1, 11) / 14)
        np.testing.assert_allclose(numbers(lines[name].get_ydata()), power * expected, atol=1e-12)
    assert lines["input"].get_linestyle() == "--"


def test_gains_are_relative_to_the_input(survey: Survey):
    axes = Figure().subplots()
    draw_gains(axes, survey)
    lines = {str(line.get_label()): line for line in axes.lines}
    np.testing.assert_allclose(numbers(lines["HiLo, Hi-Fi"].get_ydata()), 7, atol=1e-12)  # its channels' mean
    np.testing.assert_allclose(numbers(lines["MSA"].get_ydata()), 0, atol=1e-12)


def test_a_layer_keeps_its_colour_and_its_branches_have_it_with_dashes(survey: Survey):
    axes = Figure().subplots()
    draw_profiles(axes, survey)
    hilo = [line for line in axes.lines if str(line.get_label()).startswith("HiLo")]
    assert {line.get_color() for line in hilo} == {mark_styles_of(["hilo"])["hilo"].colour}
    assert [line.get_linestyle() for line in hilo] == ["-", "-.", ":"]


def test_names_stand_apart_and_nyquist_is_marked(survey: Survey):
    axes = Figure().subplots()
    draw_profiles(axes, survey)
    names = [text for text in axes.texts if text.get_text() != "Nyquist of an axis"]
    heights = sorted(text.get_position()[1] for text in names)
    assert {text.get_text() for text in names} == {"input", "HiLo", "HiLo, Hi-Fi", "HiLo, Lo-Fi", "MSA"}
    low, high = axes.get_ylim()
    assert np.diff(heights).min() * axes.get_window_extent().height / axes.figure.dpi >= LINE_INCHES - 1e-9
    assert heights[0] == pytest.approx((-3 - low) / (high - low))
    (mark,) = (line for line in axes.lines if list(numbers(line.get_xdata())) == [0.5, 0.5])
    assert mark in axes.lines


def test_both_figures_say_that_weights_and_maps_are_made_up(survey: Survey):
    for figure in (channels_page(survey, survey.layers[0]), curves_page(survey, draw_gains)):
        said = " ".join(figure.get_supxlabel().split())
        assert caption(survey) in said
    assert "14×14 tokens, 30 channels, 3 heads, 4 images, seed 7. Weights are random" in caption(survey)
    assert "not of a trained model" in caption(survey)


def test_a_label_becomes_a_file_name():
    assert file_name("hilo:alpha=0.5,window=4") == "hilo-alpha-0.5-window-4"


def test_the_csv_holds_every_ring_of_every_curve(survey: Survey, tmp_path: Path):
    lines = list(csv.DictReader(write_profile(survey, tmp_path).read_text().splitlines()))
    assert len(lines) == 5 * 10
    low = [line for line in lines if (line["mechanism"], line["branch"]) == ("hilo", "Lo-Fi")]
    assert [line["frequency"] for line in low[:2]] == ["0.071429", "0.142857"]
    assert [line["log10_amplitude_relative"] for line in low[:2]] == ["0.000000", "-0.903090"]
    assert low[0]["log10_amplitude_over_input"] == f"{7 + 2 * np.log10(14):.6f}"


def test_the_table_says_how_far_each_curve_falls_to_nyquist(survey: Survey):
    table = spectrum_table(survey)
    columns = [list(column.cells) for column in table.columns]
    assert columns[0] == ["HiLo", "HiLo, Hi-Fi", "HiLo, Lo-Fi", "MSA"]
    assert columns[1] == ["1.69", "0.85", "2.54", "0.85"]
    assert columns[2] == ["0.85"] * 4
    assert (columns[3][3], columns[4][2]) == ("1", "4e+07")
    assert table.columns[4].heading == "× input at 0.50"


def test_a_curve_of_rounding_is_said_to_be_one(survey: Survey):
    flat = falling(0)
    flat[:, 7, 7] = 7
    still = Spectrum("still", "Still", Part("", 0, flat), ())
    found = Survey(survey.geometry, 1, 0, survey.source, (still, survey.layers[1]))
    assert [note for note in spectrum_notes(found) if "is rounding" in note] == [
        "Still hardly varies over the map: its frequencies above zero are under a millionth of its mean, "
        "so its curve is rounding."
    ]
