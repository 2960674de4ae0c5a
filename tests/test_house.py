"""The rooms of the house: what stands at the root, and who may know a device by name."""

import re
from pathlib import Path

import attnbench

HOUSE = Path(attnbench.__file__).parent
ROOT = {"__init__", "__main__", "api", "attention", "backbone", "errors", "file_marks", "mechanism", "words"}
ROOMS = {
    "analysis",
    "cases",
    "cli",
    "cluster",
    "machine",
    "measuring",
    "paper",
    "records",
    "report",
    "run",
    "statistics",
}
BY_NAME = re.compile(r"""[=!]= ["'](cpu|cuda|mps|xpu)["']|in \(["']cpu["']|["'](cpu|cuda|mps|xpu)["']:""")


def test_only_what_every_room_needs_stands_at_the_root():
    assert {path.stem for path in HOUSE.glob("*.py")} == ROOT
    assert {path.name for path in HOUSE.iterdir() if (path / "__init__.py").exists()} == ROOMS


def test_a_device_is_known_by_name_in_its_own_room_and_the_papers_alone():
    found = [
        f"{path.relative_to(HOUSE)}: {line.strip()}"
        for path in HOUSE.rglob("*.py")
        if path.relative_to(HOUSE).parts[0] not in ("machine", "paper")
        for line in path.read_text(encoding="utf-8").splitlines()
        if BY_NAME.search(line)
    ]
    assert found == []
