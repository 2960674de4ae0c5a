"""How tables for people name a layer that asks for torch's fused attention by itself."""

from collections.abc import Iterable

from attnbench.analysis.own_kernels import has_own_kernel
from attnbench.analysis.rows import Row

OWN_KERNEL = "own kernel"


def named(title: str, rows: Iterable[Row]) -> str:
    """A title, and that the layer of these rows has a kernel of its own: `Mine (own kernel)`."""
    return f"{title} ({OWN_KERNEL})" if any(map(has_own_kernel, rows)) else title
