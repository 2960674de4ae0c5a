"""Mechanisms as users write them: by label or by title, in any case, their settings in any order."""

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from attnbench.errors import AttnbenchError
from attnbench.mechanism import Setting

NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?")


class Described(Protocol):
    """A mechanism, or what its file says of it: a name, a title, and settings with their defaults."""

    @property
    def name(self) -> str: ...

    @property
    def title(self) -> str: ...

    @property
    def settings(self) -> Mapping[str, Setting]: ...

    @property
    def family(self) -> str: ...

    @property
    def is_model(self) -> bool: ...


def label_of(mechanism: Described, settings: Mapping[str, Setting]) -> str:
    """`name`, or `name:key=value,key=value` with the settings that are not usual, in their own order."""
    return ":".join(filter(None, (mechanism.name, ",".join(_changed(mechanism, settings)))))


def title_of(mechanism: Described, settings: Mapping[str, Setting]) -> str:
    """What a table shows: `HiLo (alpha=0.5)`."""
    changed = ", ".join(_changed(mechanism, settings))
    return mechanism.title + (f" ({changed})" if changed else "")


def _changed(mechanism: Described, settings: Mapping[str, Setting]) -> list[str]:
    usual = mechanism.settings
    return [f"{key}={value}" for key, value in settings.items() if value != usual[key]]


class Labelled(Protocol):
    """What has a label such as `hilo:alpha=0.5`, a title such as `HiLo (alpha=0.5)`, and all its settings."""

    @property
    def label(self) -> str: ...

    @property
    def title(self) -> str: ...

    @property
    def settings(self) -> Mapping[str, object]: ...


def find(text: str, known: Iterable[Labelled]) -> str | None:
    """The label of the one that a text means; None where it means none of them, or several.

    Labels come before titles. A setting that has its default may be written or left out.
    """
    by_label = {each.label: each for each in known}
    if text in by_label:
        return text
    by_title = {label: each.title for label, each in by_label.items()}
    for names in ({label: label for label in by_label}, by_title):
        labels = [label for label, name in names.items() if _means(text, name, by_label[label].settings)]
        if len(labels) == 1:
            return labels[0]
    return None


def nearest(text: str, known: Iterable[Labelled]) -> str | None:
    """The label of the one whose label or title looks most like a text; None where none does.

    Of a mechanism that is known with other settings, that one whose settings are nearest.
    """
    known = list(known)
    mechanism, asked = _assignments(text)
    if asked and (siblings := [each for each in known if _assignments(each.label)[0] == mechanism]):
        return min(siblings, key=lambda each: _distance(asked, each.settings)).label
    labels: dict[str, str] = {}
    for each in known:
        labels |= {each.title: each.label, each.label: each.label}
    name = closest(text, labels)
    return None if name is None else labels[name]


def closest(text: str, names: Iterable[str]) -> str | None:
    """The name that looks most like a text, whatever the case of either; None where none does."""
    originals = {name.casefold(): name for name in names}
    matches = difflib.get_close_matches(text.casefold(), originals, n=1)
    return originals[matches[0]] if matches else None


def label_among(cases: Sequence[Labelled], text: str) -> str:
    """The label of the mechanism that a text means, of those in a run."""
    label = find(text, cases)
    if label is None:
        known = ", ".join(dict.fromkeys(case.label for case in cases))
        raise AttnbenchError(f"The run has no {text!r}.{did_you_mean(nearest(text, cases))} It has {known}.")
    return label


def did_you_mean(name: str | None) -> str:
    """The question after an error, with the space before it; nothing without a name."""
    return f" Did you mean {name!r}?" if name else ""


def _assignments(text: str) -> tuple[str, dict[str, str]]:
    """The mechanism of a label, and the settings that it names."""
    name, _, rest = text.partition(":")
    pairs = (item.partition("=") for item in rest.split(",") if "=" in item)
    return name.strip().casefold(), {key.strip(): value.strip() for key, _, value in pairs}


def _distance(asked: Mapping[str, str], settings: Mapping[str, object]) -> float:
    """How far settings are from those asked for: 1 for each that is another word, less for near numbers."""
    return sum(_apart(value, str(settings.get(key))) for key, value in asked.items())


def _apart(one: str, other: str) -> float:
    if not (NUMBER.fullmatch(one) and NUMBER.fullmatch(other)):
        return float(one.casefold() != other.casefold())
    first, second = float(one), float(other)
    return abs(first - second) / (1 + abs(first) + abs(second))


def _means(text: str, name: str, settings: Mapping[str, object]) -> bool:
    """Whether a text has the words of a name, its settings, and no others than it has by default."""
    (asked, wanted), (own, changed) = _read(text), _read(name)
    every = {_setting(key, str(value)) for key, value in settings.items()}
    return asked == own and changed <= wanted <= changed | every


def _read(text: str) -> tuple[str, frozenset[str]]:
    """The words and the settings of a label or a title."""
    name, *rest = re.split("[:(]", text, maxsplit=1)
    items = "".join(rest).strip().removesuffix(")").split(",")
    pairs = (item.partition("=") for item in items if item.strip())
    return name.strip().casefold(), frozenset(_setting(key, value) for key, _, value in pairs)


def _setting(key: str, value: str) -> str:
    """A setting as all ways to write it have in common: `alpha=1.0` and `Alpha = 1` alike."""
    value = value.strip().casefold()
    number = float(value) if NUMBER.fullmatch(value) else value
    return f"{key.strip().casefold()}={number}"
