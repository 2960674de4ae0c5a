"""What the author of a mechanism imports; `attnbench.attention.attend` is the other half."""

from attnbench.errors import InvalidSetting, UnsupportedGeometry
from attnbench.mechanism import Branch, Geometry, Mechanism, Paper

__all__ = ["Branch", "Geometry", "InvalidSetting", "Mechanism", "Paper", "UnsupportedGeometry"]
