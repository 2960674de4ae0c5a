"""The flat row that a measurement leaves behind, and its file: the narrow waist of attnbench.

`records.jsonl` holds one JSON object a line, appended as cases are measured. Base units, the unit in the
name; None = not measured. Neither torch nor pandas is needed to read it.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from attnbench.errors import AttnbenchError
from attnbench.machine import Machine
from attnbench.mechanism import Setting
from attnbench.sweep import Protocol

SCHEMA = 1
RECORDS = "records.jsonl"


@dataclass(frozen=True, slots=True)
class Sample:
    """Seconds per call in one round of one session; `position` is the member's turn in that round.

    On a CUDA device `seconds` is the device's own time, and `wall_s` the synchronised time of the host.
    """

    session: int
    round: int
    position: int
    seconds: float
    wall_s: float


@dataclass(frozen=True, slots=True)
class Record:
    """One case: what was asked, what came out, and where. `outcome` is measured, unsupported or crashed."""

    mechanism: str
    label: str
    title: str
    settings: Mapping[str, Setting]
    dim: int
    heads: int
    height: int
    width: int
    batch: int
    mode: str
    device: str
    dtype: str
    kernel: str
    outcome: str
    reason: str | None
    params: int | None
    macs: int | None
    macs_closed_form: int | None
    macs_by_operator: Mapping[str, int]
    uncounted: tuple[str, ...]
    samples: tuple[Sample, ...]
    calls_per_sample: int | None
    warmup_calls: int | None
    warmup_s: float | None
    warmup_stable: bool | None
    threads: int
    protocol: Protocol
    flags: Mapping[str, str]
    started_at: str
    machine: Machine
    schema: int = field(default=SCHEMA)


@dataclass(frozen=True, slots=True)
class RecordFile:
    """The records of a run, and what was wrong with the file where something was."""

    folder: Path
    records: tuple[Record, ...]
    warnings: tuple[str, ...]


def append_line(path: Path, content: Mapping[str, Any]) -> None:
    """Add one JSON line and see it onto the disk."""
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(content, ensure_ascii=False) + "\n")
        file.flush()
        os.fsync(file.fileno())


def append(folder: Path, record: Record) -> None:
    """Add one record to the run in `folder`."""
    append_line(folder / RECORDS, asdict(record))


def read(folder: Path) -> RecordFile:
    """All records of the run in `folder`; a last line that was cut off is left out and said so."""
    path = folder / RECORDS
    if not path.is_file():
        raise AttnbenchError(
            f"There is no run in {folder}: it holds no {RECORDS}. `attnbench run` makes one."
        )
    lines = path.read_text(encoding="utf-8").splitlines()
    records, warnings = [], []
    for number, line in enumerate(lines, start=1):
        try:
            row = json.loads(line)
        except json.JSONDecodeError:
            if number < len(lines):
                raise AttnbenchError(
                    f"{path}, line {number} is not JSON: the file is damaged. Remove it to read the rest."
                ) from None
            warnings.append(f"{path}: the last line was cut off while it was written, and is left out.")
        else:
            records.append(_from_row(row, path, number))
    return RecordFile(folder, tuple(records), tuple(warnings))


def newest(results: Path) -> Path:
    """The run in `results` that was measured last."""
    runs = {folder: folder / RECORDS for folder in results.glob("*") if (folder / RECORDS).is_file()}
    if not runs:
        raise AttnbenchError(f"There is no run in {results}. `attnbench run` makes one, or name its folder.")
    return max(
        runs, key=lambda folder: max((record.started_at for record in read(folder).records), default="")
    )


def _from_row(row: Mapping[str, Any], path: Path, number: int) -> Record:
    if row.get("schema") != SCHEMA:
        raise AttnbenchError(
            f"{path}, line {number} has schema {row.get('schema')}; this attnbench reads schema {SCHEMA}. "
            "Use the version of attnbench that wrote the file."
        )
    names = {f.name for f in fields(Record)}
    if row.keys() != names:
        different = ", ".join(sorted(row.keys() ^ names))
        raise AttnbenchError(f"{path}, line {number} is not a record: {different} missing or unknown.")
    samples = tuple(Sample(**sample) for sample in row["samples"])
    nested = {
        "samples": samples,
        "machine": Machine(**row["machine"]),
        "protocol": Protocol(**row["protocol"]),
    }
    return Record(**{**row, **nested, "uncounted": tuple(row["uncounted"])})
