"""Windows that are shifted."""

from tests.references.window import reference

__all__ = ["reference"]
