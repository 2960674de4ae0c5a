"""ReLU linear attention at two scales (Cai et al., 2023), the attention of EfficientViT of MIT.

Linear attention whose feature map is a ReLU, once with the projections of the tokens and once with those
projections after a convolution, so that tokens stand for their surroundings:

    m = W x,     m' = grouped(depthwise(m))
    y = q Σ_j k_jᵀ v_j / (q · Σ_j k_j + eps),     q, k after a ReLU, for every head of m and of m'
    out = norm(W' [y(m) ; y(m')])

m holds its 3C channels head by head: q, k and v of the first head, then those of the second. The depthwise
convolution is `scale` × `scale`; the grouped one mixes the D channels of each head's q, k or v by a matrix of
their own. The norm is a batch norm, and nothing else has a bias. A query that the ReLU leaves nothing of gets
nothing. Any map will do.

In 16 bits the sums and the quotient are computed in float32: sums over the tokens leave the range of float16.

MACs for N tokens of C channels and heads of size D: 3NC² for W, scale² · 3NC and 3NCD for the convolutions,
4NC(D + 1) for the sums and the products with them, 2NC² for W', 2NC for the norm.
"""

import torch
from torch import Tensor, nn

from attnbench import Geometry, InvalidSetting, Mechanism, Paper
from mechanisms._images import few_images_at_a_time
from mechanisms._maps import as_channels_first, as_tokens


class ReluLinearAttention(nn.Module):
    """Linear attention of tokens, and of their surroundings, in heads of their own."""

    def __init__(self, geometry: Geometry, *, scale: int, eps: float) -> None:
        super().__init__()
        geometry.require_shared_channels()
        if scale < 1 or scale % 2 == 0:
            raise InvalidSetting(
                f"relu-linear: scale is {scale}; it must be odd and at least 1, to have a centre."
            )
        if not 0 < eps < float("inf"):
            raise InvalidSetting(
                f"relu-linear: eps is {eps}; it must be finite and above 0, or a query without positive "
                "channels divides by 0."
            )
        self.geometry = geometry
        self.eps = eps
        c, packed = geometry.dim, 3 * geometry.dim
        self.qkv = nn.Linear(c, packed, bias=False)
        self.around = nn.Conv2d(packed, packed, scale, padding=scale // 2, groups=packed, bias=False)
        self.mixed = nn.Conv2d(packed, packed, 1, groups=3 * geometry.heads, bias=False)
        self.proj = nn.Linear(2 * c, c, bias=False)
        self.norm = nn.BatchNorm2d(c)

    def forward(self, x: Tensor) -> Tensor:
        """Map tokens `[B, N, C]` to tokens `[B, N, C]`."""
        out = self.proj(few_images_at_a_time(self.at_both_scales, self.qkv(x)))
        return as_tokens(self.norm(as_channels_first(out, self.geometry)))

    def at_both_scales(self, qkv: Tensor) -> Tensor:
        """out before `proj`, `[B, N, 2C]`, from projections `[B, N, 3C]`."""
        wide = torch.promote_types(qkv.dtype, torch.float32)
        tokens = qkv.unflatten(-1, (self.geometry.heads, 3, -1)).permute(3, 2, 0, 1, 4)
        scales = (tokens.unbind(), self.surroundings(qkv))  # each q, k and v of [heads, B, N, D]
        heads = [attend_linearly(q.to(wide), k.to(wide), v.to(wide), self.eps) for q, k, v in scales]
        both = torch.cat([y.permute(1, 2, 0, 3) for y in heads], dim=2)  # [B, N, 2 · heads, D]
        return both.flatten(2).to(qkv.dtype)

    def surroundings(self, qkv: Tensor) -> list[Tensor]:
        """q, k and v of the second scale, each `[heads, B, N, D]`, from projections `[B, N, 3C]`.

        The grouped convolution is a product for each head, which leaves its channels where the next product
        reads them.
        """
        b, n, _ = qkv.shape
        local = as_tokens(self.around(as_channels_first(qkv, self.geometry)))
        groups = local.flatten(0, 1).unflatten(-1, (self.geometry.heads, 3, -1))  # [B · N, heads, 3, D]
        weights = self.mixed.weight.unflatten(0, (self.geometry.heads, 3, -1)).flatten(3)  # [heads, 3, D, D]
        parts = zip(groups.unbind(2), weights.unbind(1), strict=True)
        return [torch.bmm(x.transpose(0, 1), weight.mT).unflatten(1, (b, n)) for x, weight in parts]


def attend_linearly(q: Tensor, k: Tensor, v: Tensor, eps: float) -> Tensor:
    """q Σ_j k_jᵀ v_j / (q · Σ_j k_j + eps) with q and k after a ReLU, all `[…, N, D]`."""
    q, k = q.relu(), k.relu()
    total = k.mT @ k.new_ones(k.shape[-2], 1)  # Σ_j k_j, as of one more value that is always 1
    return q @ (k.mT @ v) / (q @ total + eps)


def macs(geometry: Geometry, *, scale: int, eps: float) -> int:  # noqa: ARG001 - eps is free
    n, c, d = geometry.tokens, geometry.dim, geometry.head_dim
    projections = 5 * n * c**2 + 2 * n * c
    convolutions = scale**2 * 3 * n * c + 3 * n * c * d
    return projections + convolutions + 4 * n * c * (d + 1)


relu_linear = Mechanism(
    name="relu-linear",
    title="ReLU Linear",
    build=ReluLinearAttention,
    macs=macs,
    settings={"scale": 5, "eps": 1e-5},
    paper=Paper(
        title="EfficientViT: Multi-Scale Linear Attention for High-Resolution Dense Prediction",
        venue="ICCV",
        year=2023,
        url="https://arxiv.org/abs/2205.14756",
    ),
    family="linear",
)
