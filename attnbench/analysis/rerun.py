"""The commands that measure a run again, from its records."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from attnbench.analysis.rows import grouped, identity
from attnbench.cases.case import Role
from attnbench.cases.declared import is_builtin
from attnbench.cases.protocol import DEFAULT, KEPT, QUICK, RIGOROUS, Protocol
from attnbench.cases.sweep import BASELINE
from attnbench.cases.variant import PLAIN, Variant
from attnbench.machine.allocator import without_allocator_variables
from attnbench.records.record import Record

PRESETS = {"": DEFAULT, "--quick": QUICK, "--rigorous": RIGOROUS}
EFFORT = {
    "sessions": "--sessions",
    "precision": "--precision",
    "max_seconds": "--max-seconds",
    "timeout_s": "--timeout",
    "seed": "--seed",
    "allocator": "--allocator",
}
SWITCH = {False: "off", True: "on"}  # how --cuda-graph and its like are written
LISTS = ("res", "batch", "mode", "device", "threads")  # options whose values commands join
PLUGIN = "FILE"  # no record names a file: paths may name users


@dataclass(frozen=True, slots=True)
class _Asked:
    """What one command asks for: every combination of what stands in its lists.

    `layer` are channels and heads, of which a model has its own.
    """

    mechanisms: tuple[str, ...]
    with_plugin: bool
    baseline: str | None
    variants: tuple[Variant, ...]
    layer: tuple[int, ...]
    protocol: Protocol
    environment: tuple[tuple[str, str], ...]
    device: tuple[str, ...]
    res: tuple[str, ...]
    batch: tuple[str, ...]
    mode: tuple[str, ...]
    threads: tuple[str, ...]


def commands(records: Sequence[Record]) -> list[str]:
    """As few commands as ask for all that was measured, with what differs from the defaults.

    Mechanisms that are not in Table IV come from a file that the records do not name.
    """
    members = {identity(record): record for record in records if record.case.role is Role.member}.values()
    by_setting = grouped(
        members,
        lambda record: (
            record.case.device,
            record.case.workload,
            record.conditions.threads,
            record.conditions.protocol,
        ),
    )
    twins = {record.block: record.case.label for record in records if record.case.role is Role.twin}
    asked = [_asked(mine, twins) for mine in by_setting]
    for name in LISTS:
        asked = _together(asked, name)
    return [_command(each) for each in asked]


def chosen_variables(record: Record) -> dict[str, str]:
    """The environment of a record without what attnbench itself sets for an allocator of the kind `kept`."""
    environment = record.conditions.machine.environment
    kept = record.conditions.protocol.allocator == KEPT
    return without_allocator_variables(environment) if kept else dict(environment)


def _asked(members: Sequence[Record], twins: Mapping[str, str]) -> _Asked:
    """The command for one setting alone."""
    first = members[-1]
    workload = first.case.workload
    labels = tuple(dict.fromkeys(record.case.label for record in members))
    usual = BASELINE if BASELINE in labels else labels[0]
    baseline = twins.get(first.block, usual)
    return _Asked(
        mechanisms=labels,
        with_plugin=any(not is_builtin(record.case.mechanism) for record in members),
        baseline=baseline if baseline != usual else None,
        variants=tuple(dict.fromkeys(record.case.variant for record in members)),
        layer=() if workload.geometry.images else (workload.geometry.dim, workload.geometry.heads),
        protocol=first.conditions.protocol,
        environment=tuple(chosen_variables(first).items()),
        device=(first.case.device,),
        res=(workload.brief_size,),
        batch=(str(workload.batch),),
        mode=(workload.mode,),
        threads=(str(first.conditions.threads),),
    )


def _together(asked: Sequence[_Asked], name: str) -> list[_Asked]:
    """Commands that differ in one of their lists become one."""
    alike: dict[_Asked, list[str]] = {}
    for each in asked:
        alike.setdefault(_with(each, name, ()), []).extend(getattr(each, name))
    return [_with(rest, name, tuple(values)) for rest, values in alike.items()]


def _with(asked: _Asked, name: str, values: tuple[str, ...]) -> _Asked:
    """A command with other values in one of its lists."""
    changed: dict[str, Any] = {name: values}
    return replace(asked, **changed)


def _command(asked: _Asked) -> str:
    words = [f"{name}={value}" for name, value in asked.environment]
    words += ["attnbench", "run", *asked.mechanisms]
    words += ["--plugin", PLUGIN] * asked.with_plugin
    for name in ("device", "res", "batch", "mode"):
        words += [f"--{name}", ",".join(getattr(asked, name))]
    for name, number in zip(("dim", "heads"), asked.layer, strict=False):
        words += [f"--{name}", str(number)]
    if asked.variants != (PLAIN,):
        words += _variants(asked.variants)
    if asked.baseline:
        words += ["--baseline", asked.baseline]
    return shlex.join([*words, "--threads", ",".join(asked.threads), *_effort(asked.protocol)])


def _variants(variants: Sequence[Variant]) -> list[str]:
    """The lists whose combinations are these variants."""
    words = []
    for name in asdict(PLAIN):
        values = dict.fromkeys(getattr(variant, name) for variant in variants)
        words += [f"--{name.replace('_', '-')}", ",".join(SWITCH.get(value, value) for value in values)]
    return words


def _effort(protocol: Protocol) -> list[str]:
    """The preset that is nearest, and what differs from it."""
    preset = min(PRESETS, key=lambda flag: len(_differing(protocol, PRESETS[flag])))
    words = [preset] if preset else []
    for name, value in _differing(protocol, PRESETS[preset]).items():
        if option := EFFORT.get(name):
            shown = value if isinstance(value, str) else f"{value:g}"
            words += [option, f"{100 * value:g}%" if name == "precision" else shown]
    return words


def _differing(protocol: Protocol, preset: Protocol) -> dict[str, float | str]:
    usual = asdict(preset)
    return {name: value for name, value in asdict(protocol).items() if value != usual[name]}
