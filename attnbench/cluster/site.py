"""What a cluster needs to be told: `slurm:partition=gpu,time=20`, or a TOML file with the same keys."""

import re
import sys
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from attnbench.errors import AttnbenchError, reading

SLURM = "slurm"
OURS = frozenset(
    {
        *("array", "job-name", "output", "error", "wrap", "parsable", "exclusive", "export", "dependency"),
        *("nodes", "ntasks", "requeue", "open-mode", "chdir", "test-only", "wait", "hold"),
    }
)
"""Options of sbatch that attnbench sets, or that would keep it from knowing its jobs."""
POLL_S = 3.0
YES, NO = "yes", "no"
GPUS = ("gres", "gpus", "gpus-per-node", "gpus-per-task")  # options that ask for one


@dataclass(frozen=True, slots=True)
class Site:
    """How jobs are asked for; `options` are sbatch's own by name, and `counts` is a partition for counting.

    `python` runs the jobs, after the lines of `setup`. Slurm is asked every `poll_s` seconds how they are.
    Without `shared` a job must have its node to itself; with `same_machine` all nodes must be of one kind.
    """

    options: Mapping[str, str]
    python: str = sys.executable
    counts: str = ""
    setup: tuple[str, ...] = ()
    poll_s: float = POLL_S
    shared: bool = False
    same_machine: bool = False

    @property
    def device(self) -> str:
        """What is measured unless somebody says otherwise: the GPU that is asked for, or the CPU."""
        return "cuda" if any(name in self.options for name in GPUS) else "cpu"


def read_site(text: str) -> Site:
    """What `--on` says; what it cannot be is an `AttnbenchError`."""
    if text.endswith(".toml"):
        return _of(_from_file(Path(text)), text)
    engine, _, assignments = text.partition(":")
    if engine != SLURM:
        raise AttnbenchError(
            f"--on is {text!r}; it must be {SLURM}, {SLURM}:partition=NAME,time=20, or a TOML file with the "
            "same keys."
        )
    return _of(_assignments(assignments), text)


def _from_file(path: Path) -> dict[str, object]:
    with reading(path):
        content = path.read_text(encoding="utf-8")
    try:
        return tomllib.loads(content)
    except tomllib.TOMLDecodeError as error:
        raise AttnbenchError(f"--on: {path} is not TOML: {error}.") from None


def _assignments(text: str) -> dict[str, object]:
    """Keys with their values; an item without `=` goes on with the value before it."""
    values: dict[str, object] = {}
    key = ""
    for item in filter(None, text.split(",")):
        name, equals, value = item.partition("=")
        if equals and not (key and ":" in name):
            key = name.strip()
            values[key] = value.strip()
        elif key:
            values[key] = f"{values[key]},{item}"
        else:
            raise AttnbenchError(f"--on: {item!r} has no value; write {SLURM}:{item}=…")
    return values


def _of(values: Mapping[str, object], where: str) -> Site:
    site = Site({})
    options: dict[str, str] = {}
    for key, value in values.items():
        match key, value:
            case "python", str():
                site = replace(site, python=value)
            case "counts", str():
                site = replace(site, counts=value)
            case "setup", str() | list():
                site = replace(site, setup=(value,) if isinstance(value, str) else tuple(map(str, value)))
            case "poll", str() | int() | float():
                site = replace(site, poll_s=_seconds(str(value)))
            case "shared", _:
                site = replace(site, shared=_yes(value))
            case _:
                options[_option(key, where)] = str(value)
    return replace(site, options=options)


def _option(key: str, where: str) -> str:
    """The name of an option of sbatch that a site may set."""
    name = key.replace("_", "-")
    if not re.fullmatch(r"[a-z][a-z-]*", name):
        raise AttnbenchError(f"--on is {where!r}; {key!r} is no long option of sbatch, such as partition.")
    if name in OURS:
        raise AttnbenchError(f"--on is {where!r}; {key} is attnbench's own to set: leave it out.")
    return name


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not seconds >= 1:
        raise AttnbenchError(f"--on: poll is {text!r}; it must be seconds, at least 1.")
    return seconds


def _yes(value: object) -> bool:
    if value not in (YES, NO, True, False):
        raise AttnbenchError(f"--on: shared is {value!r}; it must be {YES} or {NO}.")
    return value in (YES, True)
