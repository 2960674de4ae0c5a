"""Settings as a word of the command line gives them after a name: `alpha=0..1/0.1,window=2,4`."""

import itertools
from collections.abc import Iterator, Mapping

from attnbench.cases import ranges
from attnbench.cases.labels import Described, closest, did_you_mean
from attnbench.errors import InvalidSetting
from attnbench.mechanism import Setting


def read_assignments(mechanism: Described, text: str) -> dict[str, list[Setting]]:
    """The values that `key=value,value,key=value` gives to each key."""
    name, settings = mechanism.name, mechanism.settings
    values: dict[str, list[Setting]] = {}
    for key, value in _assignments(name, text, settings):
        if key not in settings:
            known = ", ".join(settings) or "none"
            raise InvalidSetting(
                f"{name} has no setting {key!r}.{did_you_mean(closest(key, settings))} Its settings: {known}."
            )
        is_number = type(settings[key]) in (int, float)
        for one in ranges.expand(value) if is_number else [value]:
            values.setdefault(key, []).append(_read_setting(name, key, one, settings[key]))
    return values


def _assignments(name: str, text: str, settings: Mapping[str, Setting]) -> Iterator[tuple[str, str]]:
    """Each key with each of its values.

    A text whose default has a comma is one value, commas and all. A value that is written twice in a row
    means a pair, which no setting is.
    """
    keys: dict[str, list[str]] = {}
    key = ""
    for item in filter(None, text.split(",")):
        if "=" in item or not key:
            key, _, item = item.partition("=")
        keys.setdefault(key, []).append(item)
    for key, items in keys.items():
        if "," in str(settings.get(key)):
            items = [",".join(items)]
        if any(one == other for one, other in itertools.pairwise(items)):
            raise InvalidSetting(
                f"{name}: {key} is {','.join(items)!r}, one value twice; each value of a list makes a layer "
                "of its own, and no setting is a pair. Write it once."
            )
        yield from ((key, item) for item in items)


def _read_setting(name: str, key: str, text: str, default: Setting) -> Setting:
    """A setting's value, in the type of its default."""
    kind = type(default)
    try:
        return {"true": True, "false": False}[text.lower()] if kind is bool else kind(text)
    except (KeyError, ValueError):
        expected = {bool: "true or false", int: "a whole number", float: "a number"}[kind]
        raise InvalidSetting(f"{name}: {key} is {text!r}; it must be {expected}.") from None
