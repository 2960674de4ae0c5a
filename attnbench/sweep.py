"""What is measured, how much of it, and what is compared with what."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from attnbench.errors import AttnbenchError
from attnbench.mechanism import Geometry, Setting
from attnbench.registry import Choice


@dataclass(frozen=True, slots=True)
class Case:
    """Everything that decides a number: a mechanism with its settings, on a geometry, run in one way."""

    mechanism: str
    label: str
    title: str
    settings: Mapping[str, Setting]
    geometry: Geometry
    batch: int
    mode: str
    device: str
    dtype: str
    kernel: str


@dataclass(frozen=True, slots=True)
class Block:
    """Cases that share device, geometry, batch and mode.

    They are timed in turn, in one process, so that every ratio between them is paired.
    """

    cases: tuple[Case, ...]

    @property
    def device(self) -> str:
        return self.cases[0].device

    @property
    def geometry(self) -> Geometry:
        return self.cases[0].geometry

    @property
    def batch(self) -> int:
        return self.cases[0].batch

    @property
    def name(self) -> str:
        """What the members share, in a few words: `cpu 14x14 batch 64`."""
        return f"{self.device} {self.geometry.size} batch {self.batch}"


@dataclass(frozen=True, slots=True)
class Protocol:
    """How much is measured: at most `rounds` rounds, in at most `max_seconds` with the warm-up.

    A member warms up for `least_warmup_s` to `most_warmup_s`; a sample lasts at least `min_sample_s`; `seed`
    fixes weights, inputs and the order inside the rounds.
    """

    rounds: int
    max_seconds: float
    least_warmup_s: float
    most_warmup_s: float
    min_sample_s: float
    seed: int = 0


DEFAULT = Protocol(rounds=30, max_seconds=300, least_warmup_s=0.3, most_warmup_s=3.0, min_sample_s=0.005)
QUICK = Protocol(rounds=10, max_seconds=70, least_warmup_s=0.1, most_warmup_s=0.5, min_sample_s=0.005)


def read_size(text: str) -> tuple[int, int]:
    """Height and width from `14` or `14x28`."""
    sides = text.split("x")
    if not (len(sides) <= 2 and all(side.isdecimal() and int(side) > 0 for side in sides)):
        raise AttnbenchError(
            f"{text!r} is not a size; write 14 for 14×14 tokens, or 14x28 for 14 rows of 28. Both at least 1."
        )
    return int(sides[0]), int(sides[-1])


def sweep(
    choices: Sequence[Choice],
    geometries: Sequence[Geometry],
    devices: Sequence[str],
    *,
    batch: int,
    dtype: str,
    kernel: str,
) -> tuple[Block, ...]:
    """One block for each device and geometry, with every chosen mechanism in it once."""
    return tuple(
        Block(
            tuple(
                Case(
                    mechanism=choice.mechanism.name,
                    label=choice.label,
                    title=choice.title,
                    settings=choice.settings,
                    geometry=geometry,
                    batch=batch,
                    mode="inference",
                    device=device,
                    dtype=dtype,
                    kernel=kernel,
                )
                for choice in {choice.label: choice for choice in choices}.values()
            )
        )
        for device in devices
        for geometry in geometries
    )
