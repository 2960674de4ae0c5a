"""A block as a command asks for it, before its mechanisms are looked up: words alone, which need no torch."""

from dataclasses import dataclass

from attnbench.cases.case import Workload
from attnbench.cases.protocol import Protocol
from attnbench.cases.variant import Variant
from attnbench.errors import AttnbenchError
from attnbench.words import plural


@dataclass(frozen=True, slots=True)
class Request:
    """All that decides one block but the machine that will measure it.

    `words` and `plugins` are as `attnbench run` takes them, none of the former meaning Table IV's. `threads`
    of None are the cores that the machine gives. `code` changes with the files that plugins are in.
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

    @property
    def name(self) -> str:
        """The setting in a few words, as a block's; with the threads that were asked for."""
        threads = f", {plural(self.threads, 'thread')}" if self.threads else ""
        return f"{self.device} {self.workload.words}{threads}"


def of_a_model(word: str) -> AttnbenchError:
    """Why a whole model is not asked for."""
    return AttnbenchError(
        f"{word} is a whole model, and --on measures layers alone so far. Leave it out, or measure it "
        "without --on, on one node."
    )
