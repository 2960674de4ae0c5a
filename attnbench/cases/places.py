"""Mechanisms as a command line has them: names, sets, files with layers, and classes of packages."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from attnbench.cases.choice import Choices
from attnbench.cases.classes import is_class
from attnbench.cases.registry import Registry, discover
from attnbench.errors import AttnbenchError
from attnbench.mechanism import FAMILIES, MODEL

SET = "@"
ALL, TABLE, MODERN, MODELS = "all", "table-iv", "modern", "models"
Known = TypeVar("Known", bound=Choices[Any], covariant=True)


@dataclass(frozen=True, slots=True)
class Opened(Generic[Known]):
    """What the words of a command mean: all mechanisms that there are, and the words of those asked for."""

    registry: Known
    plugins: tuple[str, ...]
    words: list[str]

    @property
    def one(self) -> str:
        """The word of the only mechanism that was asked for."""
        if len(self.words) != 1:
            raise AttnbenchError(
                f"There are {len(self.words)} mechanisms there, {', '.join(self.words)}, where one is "
                "needed; name it, and its file with --plugin."
            )
        return self.words[0]


def opened(words: Sequence[str] | None, plugins: Sequence[Path] | None) -> Opened[Registry]:
    """Open what words and plugins name.

    A word that is a Python file, a folder or `package.module:Class` stands for all mechanisms in it, and is a
    plugin as if `--plugin` had named it.
    """
    named = list(dict.fromkeys([*(plugins or ()), *(Path(word) for word in words or () if is_place(word))]))
    registry = discover(named)
    meant = [name for word in words or () for name in (registry.of(Path(word)) if is_place(word) else [word])]
    whole = tuple(str(path) if is_class(str(path)) else str(path.resolve()) for path in named)
    return Opened(registry, whole, meant)


def is_place(word: str) -> bool:
    """Whether a word says where layers are, and is no name of one.

    A slash is a folder's where that is there or is written as `./here`, and else a model's: `litv2-s/hilo`.
    """
    if word.startswith(SET):
        return False
    name = word.partition(":")[0]
    if "/" in name and not word.endswith(".py"):
        return Path(name).exists() or not MODEL.fullmatch(name)
    return word.endswith(".py") or is_class(word) or (Path(word) / "__init__.py").is_file()


def slug(family: str) -> str:
    """A family as a word of the command line."""
    return family.replace(" ", "-")


NAMES = (TABLE, MODERN, ALL, MODELS, *map(slug, FAMILIES))
"""The sets that attnbench itself has; packages of mechanisms may have more."""
