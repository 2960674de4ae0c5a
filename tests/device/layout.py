"""Lay out the wheels that the machine lacks, and attnbench's own entry points, in a folder for PYTHONPATH.

python layout.py FOLDER WHEELS ROOT
"""

import sys
import tomllib
import zipfile
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

folder, wheels, root = map(Path, sys.argv[1:])
NEED = dict.fromkeys(
    ("fvcore", "iopath", "yacs", "termcolor", "portalocker", "tabulate", "tqdm", "nvidia-ml-py"), (0,)
)
TYPER = (
    "typer",
    "pydantic",
    "pydantic_core",
    "annotated_types",
    "typing_inspection",
    "annotated_doc",
    "shellingham",
    "typing_extensions",
)


def there(name: str, least: tuple[int, ...]) -> bool:
    try:
        found = version(name)
    except PackageNotFoundError:
        return False
    return tuple(int(part) for part in found.split(".")[:2] if part.isdigit()) >= least


wanted = [name.replace("-", "_") for name, least in NEED.items() if not there(name, least)]
if not there("typer", (0, 28)):
    wanted += TYPER
for name in wanted:
    for wheel in wheels.glob(f"{name}-*.whl"):
        zipfile.ZipFile(wheel).extractall(folder)
project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
info = folder / f"attnbench-{project['version']}.dist-info"
info.mkdir(parents=True, exist_ok=True)
(info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: attnbench\nVersion: {project['version']}\n")
groups = {"console_scripts": project["scripts"], **project["entry-points"]}
text = "".join(
    f"[{group}]\n" + "".join(f"{k} = {v}\n" for k, v in names.items()) for group, names in groups.items()
)
(info / "entry_points.txt").write_text(text)
print("laid out:", *wanted, "and attnbench", project["version"])
