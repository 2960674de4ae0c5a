"""Quadtree attention, type B with LePE (Tang et al., 2022).

Tokens attend coarse to fine on a pyramid of L levels, each half as high and wide as the next. At the
coarsest, level 0, a query attends to all keys and keeps the K of largest weight. At a finer level it
attends to the 4K children of the keys that its parent kept, and again keeps K:

    q_l, k_l = 2×2 means of q_{l+1}, k_{l+1}
    v_l = point(GELU(norm(reduce(GELU(norm(v_{l+1}))))))
    m_l = softmax(q_l k_cᵀ / √D) v_c,  where c are all keys at level 0, the children of kept keys at others
    out = proj Σ_l w_l · repeat(m_l + LePE_l(v_l)),  w = softmax(level weights)

The finest level holds the projections of the tokens; `reduce` is a 2×2 convolution of stride 2, LePE a
depthwise 3×3 one, and `repeat` gives a cell's sum to every token in it.

Any map: the input is zero-padded at the bottom and right to multiples of 2^(L−1) before the projections,
everything runs on the padded map, and the sum is cropped before `proj`. A key gets no weight if its cell
holds nothing but padding. Every coarsest cell holds a real token, so K is clamped to their number; and
every kept key has a child with a real token, so that at least K of the candidates have one and padding is
never kept.

MACs for N_l cells at level l of the padded map, N tokens and C channels: 3N_{L−1}C² for q, k, v; 2N_0²C for
the attention of level 0 and 8KN_lC for that of another; 5N_lC² + 25N_lC for the values of a level but the
finest (two convolutions, two norms); 9N_lC for the LePE of a level; NC² for proj. Published counts leave
out the attention of all levels but the coarsest, which ran in an extension that the counter could not see.
"""

from collections.abc import Sequence
from functools import reduce
from itertools import chain

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attnbench import Geometry, InvalidSetting, Mechanism, Paper
from attnbench.attention import attend, scores
from mechanisms._images import few_images_at_a_time
from mechanisms._maps import as_map, pad, round_up
from mechanisms._patches import PatchConvolution


class ValueBranch(nn.Module):
    """Values of a level from those of the next finer one."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.norm_1 = nn.GroupNorm(1, dim)
        self.reduce = PatchConvolution(dim, 2)
        self.norm_2 = nn.GroupNorm(1, dim)
        self.point = nn.Linear(dim, dim)

    def forward(self, v: Tensor) -> Tensor:
        """Map a map `[B, 2H, 2W, C]` to a map `[B, H, W, C]`."""
        v = self.reduce(F.gelu(_on_channels_first(self.norm_1, v)))
        return self.point(F.gelu(_on_channels_first(self.norm_2, v)))


class QuadtreeAttention(nn.Module):
    """Attention that looks closer only where a coarser look found something.

    A level is handled as a *tree*, `[B, h, w, 2, 2, …, heads, D]`: row and column of a coarsest cell, of a
    child in it, of a child in that, and so on. A tree is a view of the level's map, and in its order the
    children of cell i are the cells 4i … 4i + 3 of the next level.
    """

    def __init__(self, geometry: Geometry, *, levels: int, keys: int) -> None:
        super().__init__()
        geometry.require_shared_channels()
        _check(levels, keys)
        self.geometry = geometry
        self.cells = _coarsest_cells(geometry, levels)
        self.keys = min(keys, self.cells[0] * self.cells[1])
        self.height, self.width = (2 ** (levels - 1) * cells for cells in self.cells)
        dim = geometry.dim

        self.q = nn.Linear(dim, dim)
        self.k = nn.Linear(dim, dim)
        self.v = nn.Linear(dim, dim)
        self.value = nn.ModuleList(ValueBranch(dim) for _ in range(levels - 1))  # finest first
        self.lepe = nn.ModuleList(nn.Conv2d(dim, dim, 3, padding=1, groups=dim) for _ in range(levels))
        self.level_weights = nn.Parameter(torch.randn(levels))  # coarsest first, as lepe is
        self.proj = nn.Linear(dim, dim)
        self.apply(_initialise)

        self.padded = (self.height, self.width) != (geometry.height, geometry.width)
        if self.padded:
            for level, bias in enumerate(_padding_biases(geometry, self.height, self.width, levels), start=1):
                self.register_buffer(f"padding_{level}", bias, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map tokens `[B, N, C]` to tokens `[B, N, C]`."""
        x = pad(as_map(x, self.geometry), self.height, self.width)
        q, k, v = self._mean_maps(self.q(x)), self._mean_maps(self.k(x)), self._value_maps(self.v(x))
        levels = zip(q, k, v, self._local_maps(v), strict=True)
        out = few_images_at_a_time(self._coarse_to_fine, *chain.from_iterable(levels))
        return self.proj(out[:, : self.geometry.height, : self.geometry.width].flatten(1, 2))

    def _coarse_to_fine(self, *maps: Tensor) -> Tensor:
        """The sum over the levels as the finest map, from q, k, v and w · LePE of each, coarsest first."""
        q, k, v, local = (self._trees(maps[start::4]) for start in range(4))
        levels = zip(self.level_weights.softmax(dim=0), local, self._messages(q, k, v), strict=True)
        return _as_map(reduce(_add_to_children, (torch.addcmul(a, w, m) for w, a, m in levels)))

    def _mean_maps(self, finest: Tensor) -> list[Tensor]:
        """The means of a map over the cells of every level as maps, coarsest first."""
        maps = [finest]
        for _ in self.value:
            maps.append(F.avg_pool2d(maps[-1].permute(0, 3, 1, 2), 2).permute(0, 2, 3, 1))
        return maps[::-1]

    def _value_maps(self, finest: Tensor) -> list[Tensor]:
        """The values of every level as maps, coarsest first."""
        maps = [finest]
        for branch in self.value:
            maps.append(branch(maps[-1]))
        return maps[::-1]

    def _local_maps(self, v: list[Tensor]) -> list[Tensor]:
        """w · LePE of every level as maps: a weighted convolution spares a pass over its output."""
        weights = self.level_weights.softmax(dim=0)
        return [_weighted(w, lepe, x) for w, lepe, x in zip(weights, self.lepe, v, strict=True)]

    def _trees(self, maps: Sequence[Tensor]) -> list[Tensor]:
        return [_as_tree(x, level, self.geometry.heads) for level, x in enumerate(maps)]

    def _messages(self, q: list[Tensor], k: list[Tensor], v: list[Tensor]) -> list[Tensor]:
        """What the queries of every level find among their keys, from trees to trees, coarsest first."""
        if len(q) == 1:
            return [self._message_tree(attend(_in_order(q[0]), _in_order(k[0]), _in_order(v[0])), 0)]

        message, kept = _attend_and_choose(_in_order(q[0]), _in_order(k[0]), _in_order(v[0]), None, self.keys)
        messages = [self._message_tree(message, 0)]
        for level in range(1, len(q)):
            siblings = _in_order(q[level]).unflatten(2, (-1, 4))  # [B, heads, N, 4, D]; they share candidates
            keys, values = _children(k[level], v[level], kept)
            bias = self._padding_bias(level, kept)
            if level == len(q) - 1:
                message = attend(siblings, keys, values, bias)
            else:
                message, chosen = _attend_and_choose(siblings, keys, values, bias, self.keys)
                kept = _chosen_children(kept, chosen)
            messages.append(self._message_tree(message.flatten(2, 3), level))
        return messages

    def _padding_bias(self, level: int, kept: Tensor) -> Tensor | None:
        """-inf for the children of kept keys `[B, heads, N, K]` that are padding, `[B, heads, N, 1, 4K]`."""
        if not self.padded:
            return None
        return self.get_buffer(f"padding_{level}")[kept].flatten(-2).unsqueeze(-2)

    def _message_tree(self, message: Tensor, level: int) -> Tensor:
        """View messages `[B, heads, N, D]` in tree order as a tree."""
        return message.unflatten(2, (*self.cells, *[2] * (2 * level))).movedim(1, -2)


def _as_tree(x: Tensor, level: int, heads: int) -> Tensor:
    """View a level's map `[B, H, W, C]` as a tree."""
    halves = (2,) * level
    x = x.unflatten(-1, (heads, -1)).unflatten(2, (-1, *halves)).unflatten(1, (-1, *halves))
    rows, columns = range(1, level + 2), range(level + 2, 2 * level + 3)
    return x.permute(0, *(axis for pair in zip(rows, columns, strict=True) for axis in pair), -2, -1)


def _as_map(tree: Tensor) -> Tensor:
    """Read a tree as its level's map `[B, H, W, C]`: a view if its memory is that of the map."""
    axes = tree.dim() - 2
    rows, columns, depth = range(1, axes, 2), range(2, axes, 2), axes // 2
    x = tree.permute(0, *rows, *columns, -2, -1)  # [B, h, 2, 2, …, w, 2, 2, …, heads, D]
    return x.flatten(-2).flatten(depth + 1, -2).flatten(1, depth)


def _in_order(tree: Tensor) -> Tensor:
    """The cells of a tree in its order, `[B, heads, N, D]`."""
    return tree.movedim(-2, 1).flatten(2, -2)


def _on_channels_first(module: nn.Module, x: Tensor) -> Tensor:
    """Run a module of channels-first maps on a map `[B, H, W, C]`: nothing is copied."""
    return module(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)


def _weighted(weight: Tensor, depthwise: nn.Module, x: Tensor) -> Tensor:
    """A depthwise 3×3 convolution of a map `[B, H, W, C]`, times a weight."""
    kernel, bias = depthwise.parameters()
    x = F.conv2d(x.permute(0, 3, 1, 2), weight * kernel, weight * bias, padding=1, groups=len(bias))
    return x.permute(0, 2, 3, 1)


def _attend_and_choose(
    q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None, count: int
) -> tuple[Tensor, Tensor]:
    """Softmax attention, and which `count` keys have the largest weights for each query.

    The choice needs the scores, which `attend` does not give; they are not worth computing twice.
    """
    logits = scores(q, k, bias)
    return logits.softmax(dim=-1) @ v, logits.topk(count, sorted=False).indices


def _children(k: Tensor, v: Tensor, kept: Tensor) -> tuple[Tensor, Tensor]:
    """Keys and values, each `[B, heads, N, 4K, D]`, of the children of kept keys `[B, heads, N, K]`.

    `k` and `v` are the trees of the children's level.
    """
    b, heads, n, _ = kept.shape
    rows = (kept + n * torch.arange(b * heads, device=kept.device).view(b, heads, 1, 1)).flatten()
    families = (x.movedim(-2, 1).flatten(-3).flatten(0, -2) for x in (k, v))  # [B · heads · N, 4D]
    keys, values = (x.index_select(0, rows).view(b, heads, n, -1, k.shape[-1]) for x in families)
    return keys, values


def _chosen_children(kept: Tensor, chosen: Tensor) -> Tensor:
    """The cells `[B, heads, 4N, K]` at places `chosen` `[B, heads, N, 4, K]` among the children of `kept`."""
    parents = kept.unsqueeze(-2).take_along_dim(chosen // 4, dim=-1)
    return (4 * parents + chosen % 4).flatten(2, 3)


def _add_to_children(coarse: Tensor, fine: Tensor) -> Tensor:
    """Add a tree to the next finer one, each cell to its 2 × 2 children."""
    return fine + coarse[..., None, None, :, :]


def _coarsest_cells(geometry: Geometry, levels: int) -> tuple[int, int]:
    """Rows and columns of the coarsest level's cells, which cover the map."""
    cell = 2 ** (levels - 1)
    return round_up(geometry.height, cell) // cell, round_up(geometry.width, cell) // cell


def _padding_biases(geometry: Geometry, height: int, width: int, levels: int) -> list[Tensor]:
    """For each level but the coarsest, -inf for cells without a real token and 0 for others: `[N / 4, 4]`."""
    real = pad(torch.ones(1, geometry.height, geometry.width, 1), height, width)
    tree = _as_tree(real, levels - 1, heads=1)
    biases = []
    for _ in range(1, levels):
        biases.append(tree.log().reshape(-1, 4))
        tree = tree.amax(dim=(-4, -3))
    return biases[::-1]


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Linear | nn.Conv2d):
        weight, bias = module.parameters()
        nn.init.trunc_normal_(weight, std=0.02)
        nn.init.zeros_(bias)


def _check(levels: int, keys: int) -> None:
    for name, value in (("levels", levels), ("keys", keys)):
        if value < 1:
            raise InvalidSetting(f"quadtree: {name} is {value}; it must be at least 1.")


def macs(geometry: Geometry, *, levels: int, keys: int) -> int:
    c = geometry.dim
    rows, columns = _coarsest_cells(geometry, levels)
    n = [rows * columns * 4**level for level in range(levels)]  # coarsest first
    candidates = [n[0], *[4 * min(keys, n[0])] * (levels - 1)]

    projections = 3 * n[-1] * c**2 + geometry.tokens * c**2
    values = sum(5 * m * c**2 + 25 * m * c for m in n[:-1])
    attention = sum(2 * m * candidate * c for m, candidate in zip(n, candidates, strict=True))
    lepe = sum(9 * m * c for m in n)
    return projections + values + attention + lepe


quadtree = Mechanism(
    name="quadtree",
    title="QuadTree",
    build=QuadtreeAttention,
    macs=macs,
    settings={"levels": 2, "keys": 8},
    paper=Paper(
        title="QuadTree Attention for Vision Transformers",
        venue="ICLR",
        year=2022,
        url="https://arxiv.org/abs/2201.02767",
    ),
    family="sparse",
)
