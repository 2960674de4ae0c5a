"""What a worker is asked to do, as one JSON text on its standard input. No torch."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from attnbench.mechanism import Geometry
from attnbench.sweep import Case, Protocol


@dataclass(frozen=True, slots=True)
class Job:
    """What a worker does: `count` the cases, or `time` them as the members of one block in one session."""

    task: Literal["count", "time"]
    cases: tuple[Case, ...]
    plugins: tuple[str, ...]
    threads: int
    protocol: Protocol
    session: int = 0

    def to_json(self) -> str:
        """The job as text."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> "Job":
        """The job that `to_json` wrote."""
        row: dict[str, Any] = json.loads(text)
        row["cases"] = tuple(_case(case) for case in row["cases"])
        row["plugins"] = tuple(row["plugins"])
        row["protocol"] = Protocol(**row["protocol"])
        return cls(**row)


def _case(row: Mapping[str, Any]) -> Case:
    return Case(**{**row, "geometry": Geometry(**row["geometry"])})
