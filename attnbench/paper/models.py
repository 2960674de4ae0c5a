"""What the paper printed of whole models, Tables 1, 4, 5, 6 and III, and the claims that those numbers make.

Throughputs are images per second at batch 64 on the GPU that is named, memory is in GB at batch 64 on an RTX
3090. Accuracies are data alone: nothing here can measure one.
"""

import csv
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import cache
from importlib.resources import files
from typing import Any

from attnbench.cases.case import Mode
from attnbench.cases.variant import Variant
from attnbench.mechanism import Geometry
from attnbench.paper import FORMATS
from attnbench.paper.claims import Claim, Conditions, Metric, Relation

GPUS = {
    "rtx3090": "NVIDIA RTX 3090",
    "a100": "NVIDIA A100",
    "v100": "NVIDIA V100",
    "rtx6000": "NVIDIA RTX 6000",
}
MEMORY = {Mode.training: "train_gb", Mode.inference: "test_gb"}
COMPARED = {
    Metric.speed: (Relation.faster, Relation.slower),
    Metric.memory: (Relation.more, Relation.less),
}
"""What a model is whose number is the larger of two, and the smaller."""
SUBJECTS = ("litv2-s", "litv2-m", "litv2-b", "litv2-s/hilo")  # what the tables are printed for
POOLED = "litv2-s/hilo:pooled_queries=True"
USUAL_SIDE = 224  # pixels of an image
BY_THOUSANDS = 3  # FLOPs are printed in G, and claims have M
NOTES = {
    ("litv2-s/sra", Metric.flops): "no setting of SRA that has 32 M parameters here has 4.0 G",
    ("litv1-s", Metric.params): "the table's number fits without the classifier, cut off and not rounded",
    ("litv1-m", Metric.params): "the table's number fits without the classifier, cut off and not rounded",
    ("litv1-b", Metric.params): "the table's number fits without the classifier, cut off and not rounded",
    ("litv1-b", Metric.flops): "the authors' own counter has 15.04 G, without three merging convolutions",
}
"""Why a printed count is not ours, where that is known."""


@dataclass(frozen=True, slots=True)
class PublishedModel:
    """A row of the paper's tables of models; `label` is empty where no model here is it.

    `numbers` are the row's as they are printed, by the names of the columns in `models.csv`.
    """

    label: str
    title: str
    source: str
    side: int
    numbers: Mapping[str, str]

    def number(self, name: str) -> float | None:
        """A number of the row; None where the table has none, or says that memory ran out."""
        text = self.numbers[name]
        return float(text) if text.replace(".", "").isdecimal() else None

    @property
    def image(self) -> Geometry:
        return Geometry.image(self.side, self.side)

    @property
    def note(self) -> str:
        """Why a printed count is not ours."""
        return NOTES.get((self.label, Metric.params)) or NOTES.get((self.label, Metric.flops)) or ""

    @property
    def params_m(self) -> float | None:
        return self.number("params_m")

    @property
    def flops_m(self) -> float | None:
        giga = self.number("flops_g")
        return None if giga is None else 1e3 * giga

    def imgs_per_s(self, device: str) -> int | None:
        """Throughput on an RTX 3090; of a CPU the tables have none."""
        found = self.number("rtx3090_imgs_per_s") if device == "cuda" else None
        return None if found is None else round(found)

    @property
    def conditions(self) -> Conditions:
        """What the row is about, but for the GPU and the mode."""
        return Conditions(
            size=self.image.size,
            dim=self.image.dim,
            heads=self.image.heads,
            variant=Variant(dtype=FORMATS["cuda"]),
            torch="1.8.1",
            gpu=GPUS["rtx3090"],
        )


@dataclass(frozen=True, slots=True)
class Comparing:
    """A column of the tables, by its `name` in `models.csv`, in which models stand beside each other.

    A claim of it is `about` a GPU or a mode, by a word for its name, and holds under these `conditions`. Its
    `sentence` has room for a model, how it stands to another, and that one.
    """

    metric: Metric
    name: str
    about: str
    sentence: str
    conditions: Mapping[str, Any]


SPEEDS = [
    Comparing(Metric.speed, f"{gpu}_imgs_per_s", gpu, f"{{}} is {{}} than {{}} on an {name}.", {"gpu": name})
    for gpu, name in GPUS.items()
]
NEEDS = [
    Comparing(Metric.memory, name, mode, f"{{}} takes {{}} memory in {mode} than {{}}.", {"mode": mode})
    for mode, name in MEMORY.items()
]


@cache
def printed() -> tuple[PublishedModel, ...]:
    """All rows, in the order of the tables."""
    text = (files(__package__) / "models.csv").read_text(encoding="utf-8")
    return tuple(
        PublishedModel(
            row.pop("label"), row.pop("title"), row.pop("source"), int(row.pop("image")), numbers=row
        )
        for row in csv.DictReader(text.splitlines())
    )


def published_model(label: str, image: Geometry) -> PublishedModel | None:
    """What the paper printed of a model on images of this size."""
    rows = (row for row in printed() if row.label == label and row.image == image)
    return next(rows, None)


@cache
def model_claims() -> tuple[Claim, ...]:
    """All claims about models: every count, and speed and memory of the paper's models beside others'."""
    known = [row for row in printed() if row.label]
    counts = [claim for row in _once(known) for claim in _counts(row)]
    rivals = [
        (row, other) for row in known if row.label in SUBJECTS for other in known if _are_rivals(row, other)
    ]
    speeds, memory = (
        [claim for pair in rivals for column in columns for claim in _beside(*pair, column)]
        for columns in (SPEEDS, NEEDS)
    )
    return (*counts, *speeds, *memory)


def _once(rows: Iterable[PublishedModel]) -> list[PublishedModel]:
    """Rows that are in several tables, the first time."""
    return list({(row.label, row.side): row for row in reversed(list(rows))}.values())[::-1]


def _are_rivals(row: PublishedModel, other: PublishedModel) -> bool:
    """Whether a table prints these beside each other, as models of about one size."""
    if row.side != other.side or row.label == other.label:
        return False
    if row.label == "litv2-s/hilo":
        return other.source == "Table 4" or other.label == POOLED
    if other.source in ("Table 4", "Table 5", "Table III"):
        return False
    return _size(row) == _size(other)


def _size(row: PublishedModel) -> int:
    """Which of the paper's three groups of models a row is in: about 25, 50 or 85 million parameters."""
    params = row.params_m or 0.0
    return int(params > 35) + int(params > 58)


def _counts(row: PublishedModel) -> Iterator[Claim]:
    for metric, name, shift, words in (
        (Metric.params, "params_m", 0, "M parameters"),
        (Metric.flops, "flops_g", BY_THOUSANDS, "G FLOPs"),
    ):
        if text := row.numbers[name]:
            yield Claim(
                id=_id(row, metric),
                sentence=f"{row.title} has {text} {words}.",
                source=row.source,
                mechanism=row.label,
                metric=metric,
                relation=Relation.equal,
                millions=Decimal(text).scaleb(shift),
                note=NOTES.get((row.label, metric), ""),
                conditions=row.conditions,
            )


def _beside(row: PublishedModel, other: PublishedModel, column: Comparing) -> Iterator[Claim]:
    """The claim that a column makes of two models, where it has a number of each and they differ."""
    ours, theirs = (each.number(column.name) for each in (row, other))
    if ours and theirs and ours != theirs:
        upward, downward = COMPARED[column.metric]
        relation = upward if ours > theirs else downward
        yield Claim(
            id=_id(row, column.about, other),
            sentence=column.sentence.format(row.title, relation, other.title),
            source=other.source,
            mechanism=row.label,
            metric=column.metric,
            relation=relation,
            than=(other.label,),
            device="cuda",
            reported=ours / theirs,
            conditions=replace(row.conditions, **column.conditions),
        )


def _id(row: PublishedModel, about: str, other: PublishedModel | None = None) -> str:
    """A word of letters and dashes: `litv2-s-hilo-rtx3090-litv2-s-msa`."""
    size = str(row.side) if row.side != USUAL_SIDE else ""
    parts = (row.label, size, about, other.label if other else "")
    return re.sub("[/:=]", "-", "-".join(filter(None, parts)))
