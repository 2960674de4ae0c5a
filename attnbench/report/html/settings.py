"""The settings in which mechanisms are compared with each other, and what they differ in."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from attnbench.analysis.analysis import Analysis
from attnbench.analysis.rows import Row, grouped, setting
from attnbench.records.record import Record


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
        return self.record.case.workload.geometry.size.replace("x", "×")

    @property
    def title(self) -> str:
        """The whole setting: `cpu, 14×14 tokens, 768 channels, …`."""
        return self.name(FACETS)

    def name(self, facets: Sequence["Facet"]) -> str:
        """Its values in these facets."""
        texts = ((facet, facet.text(self)) for facet in facets)
        return ", ".join(facet.words.format(text) for facet, text in texts if text)


@dataclass(frozen=True, slots=True)
class Facet:
    """Something that settings differ in; `words` are what a sentence makes of its values."""

    name: str
    title: str
    text: Callable[[MeasuredSetting], str]
    words: str = "{}"


def _dim(setting: MeasuredSetting) -> str:
    geometry = setting.record.case.workload.geometry
    return f"{geometry.dim}, {geometry.heads} heads"


def _machine(setting: MeasuredSetting) -> str:
    """The processor, and what tells its machine from others that have the same; nothing in a run of one."""
    record = setting.record
    name = record.conditions.machine.processor(record.case.device)
    return f"{name} ({record.machine_kind})" if len(setting.run.machine_kinds) > 1 else ""


RUN = Facet("run", "Run", lambda setting: setting.run.name)
FACETS = (
    Facet("device", "Device", lambda setting: setting.record.case.device),
    Facet("machine", "Machine", _machine),
    Facet("size", "Size", lambda setting: setting.size, "{} tokens"),
    Facet("dim", "Dim", _dim, "dim {}"),
    Facet("batch", "Batch", lambda setting: str(setting.record.case.workload.batch), "batch {}"),
    Facet("mode", "Mode", lambda setting: setting.record.case.workload.mode),
    Facet("variant", "Variant", lambda setting: setting.record.case.variant.title),
)


def settings_of(runs: Sequence[Analysis]) -> list[MeasuredSetting]:
    """All settings, in the order of the runs and of their rows."""
    return [MeasuredSetting(run, rows) for run in runs for rows in grouped(run.rows, _device_and_setting)]


def differing(facets: Sequence[Facet], settings: Sequence[MeasuredSetting]) -> list[Facet]:
    """Those of the facets that settings differ in."""
    return [facet for facet in facets if len({facet.text(setting) for setting in settings}) > 1]


def _device_and_setting(row: Row) -> object:
    return row.device, setting(row)
