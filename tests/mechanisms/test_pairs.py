"""Pairs of neighbouring channels are rotated, as complex numbers or not, by angles of rows and columns."""

import pytest
import torch

from attnbench import Geometry
from mechanisms._pairs import axial_angles, rotate


def test_neighbours_are_rotated_by_their_angle() -> None:
    x, angles = torch.randn(2, 3, 5, 8), torch.randn(5, 4)
    turned = rotate(x, angles.cos(), angles.sin())
    for j, angle in enumerate(angles.unbind(-1)):
        first, second = x[..., 2 * j], x[..., 2 * j + 1]
        torch.testing.assert_close(turned[..., 2 * j], first * angle.cos() - second * angle.sin())
        torch.testing.assert_close(turned[..., 2 * j + 1], first * angle.sin() + second * angle.cos())


def test_the_form_that_is_compiled_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    x, angles = torch.randn(2, 5, 8), torch.randn(5, 4)
    as_complex_numbers = rotate(x, angles.cos(), angles.sin())
    monkeypatch.setattr(torch.compiler, "is_compiling", lambda: True)
    torch.testing.assert_close(rotate(x, angles.cos(), angles.sin()), as_complex_numbers)


def test_angles_are_those_of_the_row_and_then_of_the_column() -> None:
    angles = axial_angles(Geometry(8, 1, 2, 3), torch.tensor([1.0, 0.1])).view(2, 3, 4)
    torch.testing.assert_close(angles[1, 2], torch.tensor([1.0, 0.1, 2.0, 0.2]))
