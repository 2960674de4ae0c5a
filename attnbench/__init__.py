"""What the author of a mechanism imports; `attnbench.attention.attend` is the other half."""

from attnbench.errors import InvalidSetting, UnsupportedGeometry
from attnbench.mechanism import Geometry, Mechanism, Paper

__all__ = ["Geometry", "InvalidSetting", "Mechanism", "Paper", "UnsupportedGeometry"]
