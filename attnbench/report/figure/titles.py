"""What figures call layers: where several settings of a mechanism stand beside each other, all say theirs."""

from collections.abc import Sequence
from typing import TypeVar

from attnbench.analysis.rows import Row
from attnbench.cases.case import Case
from attnbench.mechanism import Setting

SomeRow = TypeVar("SomeRow", bound=Row)


def with_values(rows: Sequence[SomeRow]) -> list[SomeRow]:
    """The rows under titles that say the settings in which those of a mechanism differ, its defaults too.

    `Shifted Window` beside `Shifted Window (mask=-1000.0)` is `Shifted Window (mask=-100)`. A title that a
    reader gave stays.
    """
    titles = _titles([row.record.case for row in rows])
    return [row.titled(titles[row.record.case.label]) for row in rows]


def _titles(cases: Sequence[Case]) -> dict[str, str]:
    """The title of each label, told from those of the same mechanism under the same name."""
    families: dict[tuple[str, str], list[Case]] = {}
    for case in {case.label: case for case in cases}.values():
        families.setdefault((case.mechanism, _own_title(case)), []).append(case)
    return {case.label: _title(case, own, family) for (_, own), family in families.items() for case in family}


def _title(case: Case, own: str, family: Sequence[Case]) -> str:
    """The name that a family shares with the settings in which it differs, or the title as it is."""
    differing = [key for key in case.settings if len({each.settings.get(key) for each in family}) > 1]
    values = ", ".join(f"{key}={_value(case.settings[key])}" for key in differing)
    return f"{own} ({values})" if values else case.title


def _own_title(case: Case) -> str:
    """A title without the settings that the label tells as well."""
    told = case.label.partition(":")[2].split(",")
    return case.title.removesuffix(f" ({', '.join(told)})")


def _value(value: Setting) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
