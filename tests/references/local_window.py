"""Windows that are not shifted."""

from tests.references.window import reference

__all__ = ["reference"]
