"""A block as a command asks for it, before its mechanisms are looked up: words alone, which need no torch."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from attnbench.cases.case import Workload
from attnbench.cases.declared import HOST, backbones, builtin
from attnbench.cases.places import MODELS, SET, is_place
from attnbench.cases.protocol import Protocol
from attnbench.cases.variant import Variant
from attnbench.file_marks import SPARSE
from attnbench.words import plural

AS_MANY_AS_FIT = "max"  # for a number of images that a node's memory decides
MOST_THREADS = 4096  # more than any machine has cores for


@dataclass(frozen=True, slots=True)
class Request:
    """All that decides one block but the machine that will measure it.

    `words` and `plugins` are as `attnbench run` takes them, none of the former meaning Table IV's. `threads`
    of None are the cores that the machine gives. `code` changes with the files that plugins are in. One that
    `is_open` gets as many images in a call as fit, whatever the batch of its workload is.
    """

    words: tuple[str, ...]
    plugins: tuple[str, ...]
    baseline: str | None
    device: str
    workload: Workload
    variants: tuple[Variant, ...]
    protocol: Protocol
    threads: int | None
    memory_limit_bytes: int | None
    code: str = ""
    is_open: bool = field(default=False, metadata=SPARSE)

    @property
    def name(self) -> str:
        """The setting in a few words, as a block's; with the threads that were asked for."""
        threads = f", {plural(self.threads, 'thread')}" if self.threads else ""
        batch = AS_MANY_AS_FIT if self.is_open else f"{self.workload.batch}"
        return f"{self.device} {self.workload.words_for(batch)}{threads}"


def mean_layers(words: Sequence[str]) -> bool:
    """Whether words mean layers, as far as names tell: without any they are Table IV's, and files may."""
    return not words or any(is_place(word) or _means_layers(word) for word in words)


def mean_models(words: Sequence[str]) -> bool:
    """Whether words mean whole models, as far as names tell."""
    return any(not is_place(word) and _means_models(word) for word in words)


def _means_models(word: str) -> bool:
    if word.startswith(SET):
        return word == f"{SET}{MODELS}"
    name = word.partition(":")[0]
    return HOST in name or _fits(name, backbones())


def _means_layers(word: str) -> bool:
    """What nobody knows for a model is taken for a layer, and `litv2-*` may mean both."""
    return not _means_models(word) or _fits(word, builtin())


def _fits(pattern: str, names: Iterable[str]) -> bool:
    return any(fnmatchcase(name, pattern) for name in names)
