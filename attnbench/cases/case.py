"""A case: everything that decides a number; and the block of those that are timed in turn."""

import math
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

from attnbench.cases.variant import Variant
from attnbench.file_marks import FLAT, SHARED
from attnbench.mechanism import Geometry, Setting, Shape
from attnbench.words import plural


class Mode(StrEnum):
    """What one call does: a forward pass, or a training step's forward and backward pass."""

    inference = "inference"
    training = "training"

    @property
    def passes(self) -> int:
        """The work of a call in forward passes: a backward pass takes two for each of the forward."""
        return 3 if self is Mode.training else 1


class Role(StrEnum):
    """Why a case is in its block: as a row of the table, or to judge those rows by.

    A `control` is the baseline again, beside rows that are measured without it; the `twin` is the baseline a
    second time, whose ratio shows the noise; a `ceiling` is what this machine can do at best.
    """

    member = "member"
    control = "control"
    twin = "twin"
    ceiling = "ceiling"


PATCH = 16  # pixels of a token's side, in most models
COPIES = 32  # of its tokens, and of C² weights, that a layer of a guess holds at once


@dataclass(frozen=True, slots=True)
class Workload:
    """What one call does, whichever layer does it."""

    geometry: Geometry = field(metadata=FLAT)
    batch: int
    mode: Mode

    @property
    def shape(self) -> Shape:
        """That of what is fed: tokens `[B, N, C]`, or images `[B, 3, H, W]`."""
        return self.geometry.input_shape(self.batch)

    @property
    def output_shape(self) -> Shape:
        """That of what comes out: tokens `[B, N, C]`, or scores `[B, 1000]`."""
        return self.geometry.output_shape(self.batch)

    @property
    def guessed_bytes(self) -> int:
        """About the most that a forward pass in float32 needs, where all tokens of an image attend to all.

        It says of which layers a prediction is worth asking for, and no more. A model is taken for one of
        some layers on patches of its images.
        """
        g = self.geometry
        if g.images:
            height, width = (math.ceil(side / PATCH) for side in (g.height, g.width))
            g = Geometry(PATCH**2 * g.dim, 12, height, width)
        image = COPIES * g.tokens * g.dim + 2 * g.heads * g.tokens**2
        return 4 * (self.batch * image + COPIES * g.dim**2)

    @property
    def words(self) -> str:
        """`14x14 batch 64 training`, or `224x224 images batch 8`."""
        return self.words_for(f"{self.batch}")

    def words_for(self, batch: str) -> str:
        """The same of another batch, which may be no number yet."""
        images, training = " images" * self.geometry.images, " training" * (self.mode == Mode.training)
        return f"{self.geometry.size}{images} batch {batch}{training}"

    @property
    def spelled(self) -> str:
        """The map and the layer's size, as prose has them: `14×14 tokens, dim 768, 12 heads`.

        Of a model, its images: `images of 224×224 pixels`.
        """
        return ", ".join(filter(None, (self.map_words, self.geometry.layer_words)))

    @property
    def map_words(self) -> str:
        """What is fed: `14×14 tokens`, or `images of 224×224 pixels`."""
        size = f"{self.geometry.height}×{self.geometry.width}"
        return f"images of {size} pixels" if self.geometry.images else f"{size} tokens"

    @property
    def side(self) -> float:
        """Tokens a side, or pixels of an image; of one that is not square, of the square with as many."""
        return math.sqrt(self.geometry.tokens)

    @property
    def brief_size(self) -> str:
        """The map as the command line takes it: `14`, or `14x28`."""
        height, width = self.geometry.height, self.geometry.width
        return str(height) if height == width else self.geometry.size

    @property
    def is_paper(self) -> bool:
        """Whether it is Table IV's: inference on 14×14 tokens, 768 channels in 12 heads, batch 64."""
        return self == TABLE_IV


TABLE_IV = Workload(Geometry(dim=768, heads=12, height=14, width=14), 64, Mode.inference)


@dataclass(frozen=True, slots=True)
class Case:
    """Everything that decides a number: a mechanism with its settings, under a workload, run in one way.

    `source` stands for the mechanism's code: it changes when a line of that does.
    """

    role: Role
    mechanism: str = field(metadata=SHARED)
    label: str = field(metadata=SHARED)
    title: str = field(metadata=SHARED)
    settings: Mapping[str, Setting] = field(metadata=SHARED)
    source: str = field(metadata=SHARED)
    workload: Workload = field(metadata=FLAT)
    device: str = field(metadata=SHARED)
    variant: Variant = field(metadata=FLAT)

    @property
    def heading(self) -> str:
        """The title, and how it is run where that is not the plain way: `MSA (bfloat16, fused)`."""
        return f"{self.title} ({self.variant.name})" if self.variant.name else self.title

    @property
    def row(self) -> tuple[str, Variant]:
        """What tells it from others of its block; a twin or control shares it with its original."""
        return self.label, self.variant


def samples_in_round(cases: Sequence[Case]) -> list[int]:
    """How many samples each of these has in a round that holds them all; all but the baseline have one.

    The baseline is in every ratio of its variant, so that its samples pay most: with about √p of them the
    ratios of p others are as precise as they can be in the same time (Dunnett 1955, *A multiple comparison
    procedure for comparing several treatments with a control*).
    """
    label = next((case.label for case in cases if case.role is Role.twin), None)
    timed = Counter(case.variant for case in cases if case.role is not Role.ceiling)
    return [
        max(1, math.isqrt(timed[case.variant] - 1))
        if case.label == label and case.role in (Role.member, Role.control)
        else 1
        for case in cases
    ]


@dataclass(frozen=True, slots=True)
class Block:
    """Cases that share device, geometry, batch, mode and the number of threads.

    They are timed in turn, in one process, so that every ratio between them is paired: between mechanisms,
    their settings, and the ways to run them. One that `is_open` has one image, until it is known how many fit
    in a call; `batch_note` says then what set the number.
    """

    cases: tuple[Case, ...]
    threads: int = 1
    is_open: bool = False
    batch_note: str = ""

    @property
    def members(self) -> tuple[Case, ...]:
        """The cases that become rows of a table."""
        return tuple(case for case in self.cases if case.role is Role.member)

    @property
    def device(self) -> str:
        return self.cases[0].device

    @property
    def workload(self) -> Workload:
        return self.cases[0].workload

    @property
    def name(self) -> str:
        """What the members share, in a few words: `cpu 14x14 batch 64 training`."""
        return f"{self.device} {self.workload.words}"

    def name_among(self, others: Iterable["Block"]) -> str:
        """Its name beside those of others, with its threads where theirs are not as many."""
        differ = any(other.threads != self.threads for other in others)
        return f"{self.name}, {plural(self.threads, 'thread')}" if differ else self.name

    def filled(self, batch: int, note: str) -> "Block":
        """The same with so many images in a call, for this reason."""
        cases = (
            case if case.role is Role.ceiling else replace(case, workload=replace(case.workload, batch=batch))
            for case in self.cases
        )
        return replace(self, cases=tuple(cases), is_open=False, batch_note=note)

    def of(self, members: Collection[Case]) -> "Block":
        """This block with only some of its members; a baseline that is not among them becomes a control."""
        (twin,) = (case for case in self.cases if case.role is Role.twin)
        kept = []
        for case in self.cases:
            if case.role is not Role.member or case in members:
                kept.append(case)
            elif case.row == twin.row:
                kept.append(replace(case, role=Role.control))
        return replace(self, cases=tuple(kept))
