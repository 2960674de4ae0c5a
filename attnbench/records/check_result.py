"""What the contract's questions find; apart from them, so that it can be shown without torch."""

from dataclasses import dataclass

from attnbench.mechanism import Geometry


@dataclass(frozen=True, slots=True)
class Finding:
    """One question put to a mechanism at one geometry: `passed` with None where it refused the geometry."""

    question: str
    geometry: Geometry
    passed: bool | None
    detail: str = ""
