"""A mechanism with all its settings, and the words that ask for one or for several."""

import itertools
from abc import abstractmethod
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

from attnbench.cases.assignments import read_assignments
from attnbench.cases.labels import Described, Labelled, label_of, title_of
from attnbench.errors import AttnbenchError
from attnbench.mechanism import Mechanism, Setting

Kind = TypeVar("Kind", bound=Described)
Of = TypeVar("Of", bound=Described, covariant=True)
Label = TypeVar("Label", bound=Labelled)


@dataclass(frozen=True)  # slots have no room for what `Choice` remembers of its kind
class Chosen(Generic[Of]):
    """A mechanism, or what its file says of it, with all its settings, as `name:key=value` asks for it.

    `label` is that text normalised: only settings that differ from the defaults, in the mechanism's order.
    `source` stands for the mechanism's code and changes with it.
    """

    mechanism: Of
    settings: Mapping[str, Setting]
    source: str

    @property
    def label(self) -> str:
        return label_of(self.mechanism, self.settings)

    @property
    def title(self) -> str:
        """What a table shows: `HiLo (alpha=0.5)`."""
        return title_of(self.mechanism, self.settings)


Choice = Chosen[Mechanism]


class Choices(Mapping[str, Kind], Generic[Kind]):
    """Mechanisms by name, which words ask for.

    `problems` says which third-party plugins could not be loaded, and why; `sets` has names for several
    mechanisms, and `builtin` those that come with attnbench. `backbones` are the names of what makes models.
    """

    problems: tuple[str, ...] = ()
    sets: Mapping[str, tuple[str, ...]]
    builtin: Collection[str]
    backbones: Collection[str]

    def choose(self, text: str) -> Chosen[Kind]:
        """Read `name` or `name:key=value,key=value`."""
        choices = self.choose_all(text)
        if len(choices) > 1:
            raise AttnbenchError(
                f"{text!r} means {len(choices)} choices, {choices[0].label} to {choices[-1].label}, where "
                "one is needed; give each setting one value."
            )
        return choices[0]

    def choose_all(self, text: str) -> list[Chosen[Kind]]:
        """Read a sweep over settings: all combinations of their values, each once, the last key fastest.

        A key takes lists and, where its setting is a number, ranges: `hilo:alpha=0..1/0.1,window=2,4`. An
        item without `=` goes on with the key before it.
        """
        name, _, assignments = text.partition(":")
        mechanism = self[name]
        swept = read_assignments(mechanism, assignments)
        source = self._source_of(mechanism)
        choices = [
            Chosen(mechanism, {**mechanism.settings, **dict(zip(swept, values, strict=True))}, source)
            for values in itertools.product(*swept.values())
        ]
        return unique(choices)

    @abstractmethod
    def _source_of(self, mechanism: Kind) -> str:
        """What stands for a mechanism's code."""


def unique(choices: Iterable[Label]) -> list[Label]:
    """The choices without those that are the same as an earlier one."""
    return list({choice.label: choice for choice in choices}.values())
