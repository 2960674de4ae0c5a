"""`attnbench check`: the contract from the command line."""

from pathlib import Path

import pytest

from tests.conftest import Run

PLUGIN = """
from torch import nn
from attnbench import Geometry, Mechanism, Paper

class Half(nn.Module):
    def __init__(self, geometry: Geometry) -> None:
        super().__init__()
        self.map = nn.Linear(geometry.dim, geometry.dim)

    def forward(self, x):
        return self.map(x)

paper = Paper("None", "Nowhere", 2026, "https://example.org")
half = Mechanism("half", "Half", Half, lambda geometry: geometry.tokens * geometry.dim**2 // {divisor}, paper)
"""


@pytest.mark.parametrize(("divisor", "status"), [(1, 0), (2, 1)])
def test_a_file_is_checked_and_what_fails_is_said(attnbench: Run, tmp_path: Path, divisor: int, status: int):
    path = tmp_path / "half.py"
    path.write_text(PLUGIN.format(divisor=divisor))
    done = attnbench("check", path, "--res", "2,3x2")
    assert done.status == status
    assert "3x2" in done.out
    assert "14x14" not in done.out
    assert ("costs 9,216 multiply-adds, but its closed form says 4,608" in done.out) == bool(status)


def test_a_builtin_is_checked_with_settings_and_a_refusal_is_no_failure(attnbench: Run):
    done = attnbench("check", "sra:reduction=3", "--res", "2,4")
    assert done.status == 0
    assert "2x2, refused: " in done.out
    assert "The contract is kept." in done.out


def test_several_are_checked_each_once_and_one_that_breaks_the_contract_breaks_it_for_all(
    attnbench: Run, tmp_path: Path
):
    path = tmp_path / "half.py"
    path.write_text(PLUGIN.format(divisor=2))
    done = attnbench("check", path, "sra", "xca", "sra", "--res", "2")
    assert done.status == 1
    titles = [line.partition(",")[0] for line in done.out.splitlines() if "6 heads" in line]
    assert titles == ["half", "sra", "xca"]
    assert "The contract is broken." in done.out


def test_a_layer_that_maps_no_tokens_is_one_line_for_all_sizes(attnbench: Run, tmp_path: Path):
    path = tmp_path / "half.py"
    path.write_text(PLUGIN.format(divisor=1).replace("(self, x)", "(self, x, H, W)"))
    done = attnbench("check", path, "--res", "2,3x2")
    assert done.status == 1
    assert "2x2, 3x2, maps tokens to tokens: its forward wants (x, H, W)" in " ".join(done.out.split())
    assert done.out.count("maps tokens to tokens: ") == 1


def test_a_layer_whose_heads_share_no_channels_is_checked_at_any_number_of_them(
    attnbench: Run, tmp_path: Path
):
    path = tmp_path / "half.py"
    path.write_text(PLUGIN.format(divisor=1))
    assert attnbench("check", path, "--res", "3x4", "--dim", "100", "--heads", "8").status == 0
    done = attnbench("check", "msa", "--res", "3x4", "--dim", "100", "--heads", "8")
    assert done.status == 0
    assert "3x4, refused: 8 heads do not divide 100 channels" in " ".join(done.out.split())
