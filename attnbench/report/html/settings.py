"""The settings in which mechanisms are compared with each other, and what they differ in."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from attnbench.analysis.analysis import Analysis
from attnbench.analysis.rows import Row, grouped, place, setting
from attnbench.records.record import Record
from attnbench.words import plural

PIXELS = " pixels"


@dataclass(frozen=True, slots=True)
class MeasuredSetting:
    """Rows of one run in one setting on one device: what is compared with each other."""

    run: Analysis
    rows: Sequence[Row]

    @property
    def record(self) -> Record:
        """Any of the records, for what they share."""
        return self.rows[0].record

    @property
    def size(self) -> str:
        geometry = self.record.case.workload.geometry
        return geometry.size.replace("x", "×") + PIXELS * geometry.images

    @property
    def title(self) -> str:
        """The whole setting: `cpu, 14×14 tokens, 768 channels, …`."""
        return self.name(FACETS)

    def name(self, facets: Sequence["Facet"]) -> str:
        """Its values in these facets."""
        return ", ".join(filter(None, (facet.words([facet.text(self)]) for facet in facets)))


@dataclass(frozen=True, slots=True)
class Facet:
    """Something that settings differ in; `words` is what a sentence makes of its values."""

    name: str
    title: str
    text: Callable[[MeasuredSetting], str]
    words: Callable[[Sequence[str]], str] = ", ".join


def _sizes(texts: Sequence[str]) -> str:
    """Maps of tokens, and images: `7×7, 14×14 tokens, 224×224 pixels`."""
    maps = ", ".join(text for text in texts if not text.endswith(PIXELS))
    return ", ".join(filter(None, [maps and f"{maps} tokens", *(t for t in texts if t.endswith(PIXELS))]))


def _dim(setting: MeasuredSetting) -> str:
    return setting.record.case.workload.geometry.layer_words.removeprefix("dim ")


def _after(word: str) -> Callable[[Sequence[str]], str]:
    """Values that are named: `batch 8, 64`; nothing where there are none."""

    def words(texts: Sequence[str]) -> str:
        values = ", ".join(filter(None, texts))
        return values and f"{word} {values}"

    return words


def _named(texts: Sequence[str]) -> str:
    """Values that some settings have and others lack."""
    return ", ".join(filter(None, texts))


def _machine(setting: MeasuredSetting) -> str:
    """The processor, and what tells its machine from others that have the same; nothing in a run of one."""
    record = setting.record
    name = record.conditions.machine.processor(record.case.device)
    return f"{name} ({record.machine_kind})" if len(setting.run.machine_kinds) > 1 else ""


RUN = Facet("run", "Run", lambda setting: setting.run.name)
FACETS = (
    Facet("device", "Device", lambda setting: setting.record.case.device),
    Facet("machine", "Machine", _machine, _named),
    Facet("size", "Size", lambda setting: setting.size, _sizes),
    Facet("dim", "Dim", _dim, _after("dim")),
    Facet("batch", "Batch", lambda setting: str(setting.record.case.workload.batch), _after("batch")),
    Facet("mode", "Mode", lambda setting: setting.record.case.workload.mode),
    Facet("variant", "Variant", lambda setting: setting.record.case.variant.title),
    Facet("threads", "Threads", lambda setting: plural(setting.record.conditions.threads, "thread")),
)


def settings_of(runs: Sequence[Analysis]) -> list[MeasuredSetting]:
    """All settings, in the order of the runs and of their rows."""
    return [MeasuredSetting(run, rows) for run in runs for rows in grouped(run.rows, _device_and_setting)]


def differing(facets: Sequence[Facet], settings: Sequence[MeasuredSetting]) -> list[Facet]:
    """Those of the facets that settings differ in."""
    return [facet for facet in facets if len({facet.text(setting) for setting in settings}) > 1]


def _device_and_setting(row: Row) -> object:
    return place(row), setting(row)
