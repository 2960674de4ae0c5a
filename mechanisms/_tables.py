"""Position biases from a table with one row for each relative position of two cells of a square."""

import torch
from torch import Tensor


def relative_positions(side: int) -> Tensor:
    """Query − key, rows and columns, of every row of a table, in their order: `[(2 side − 1)², 2]`."""
    steps = torch.arange(1 - side, side)
    return torch.cartesian_prod(steps, steps)


def relative_index(side: int) -> Tensor:
    """The table's row for every query and every key of `side` × `side` cells, `[side⁴]`."""
    cells = torch.arange(side)
    cells = torch.cartesian_prod(cells, cells)
    rows, columns = (cells.unsqueeze(1) - cells + side - 1).unbind(-1)  # each [side², side²]
    return (rows * (2 * side - 1) + columns).flatten()


def relative_bias(table: Tensor, index: Tensor, cells: int) -> Tensor:
    """Spread a table `[(2 side − 1)², heads]` over queries and keys: `[heads, cells, cells]`."""
    return table.mT.index_select(1, index).unflatten(1, (cells, cells))
