"""A plugin with one layer, MSA, whose two products are written in every way that people write them."""

from collections.abc import Callable
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor

from mechanisms.msa import MultiHeadSelfAttention, msa

Core = Callable[[Tensor, Tensor, Tensor], Tensor]


def core(product: Callable[[Tensor, Tensor], Tensor]) -> Core:
    """softmax(q kᵀ / √D) v by one kind of product, of heads `[B, heads, N, D]`."""

    def attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        logits = product(q * q.shape[-1] ** -0.5, k.mT)
        return product(logits.softmax(dim=-1), v)

    return attention


def folded(product: Callable[[Tensor, Tensor], Tensor]) -> Callable[[Tensor, Tensor], Tensor]:
    """A product of batches `[B, N, M]` for heads `[B, heads, N, M]`."""
    return lambda a, b: product(a.flatten(0, 1), b.flatten(0, 1)).unflatten(0, a.shape[:2])


def summed_alone(a: Tensor, b: Tensor) -> Tensor:
    """Products of batches, each the one term of a sum over a batch."""
    none = a.new_zeros(())
    return torch.stack([torch.addbmm(none, x[None], y[None]) for x, y in zip(a, b, strict=True)])


def einsum_of_four(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    weights = (torch.einsum("bhnd,bhmd->bhnm", q, k) * q.shape[-1] ** -0.5).softmax(dim=-1)
    return torch.einsum("bhnm,bhmd->bhnd", weights, v)


def einsum_of_tokens_first(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Of what was never transposed, with dots for the images."""
    q, k, v = (x.transpose(1, 2) for x in (q, k, v))
    weights = (torch.einsum("...nhd,...mhd->...hnm", q, k) * q.shape[-1] ** -0.5).softmax(dim=-1)
    return torch.einsum("...hnm,...mhd->...nhd", weights, v).transpose(1, 2)


def head_by_head(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    attention = core(torch.matmul)
    return torch.stack(
        [attention(*head) for head in zip(q.unbind(1), k.unbind(1), v.unbind(1), strict=True)], 1
    )


def image_by_image(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    attention = core(torch.bmm)
    return torch.stack([attention(*image) for image in zip(q, k, v, strict=True)])


CORES: dict[str, Core] = {
    "at": core(lambda a, b: a @ b),
    "matmul": core(torch.matmul),
    "bmm": core(folded(torch.bmm)),
    "baddbmm": core(folded(lambda a, b: torch.baddbmm(a.new_zeros(()), a, b, beta=0))),
    "addbmm": core(folded(summed_alone)),
    "einsum": einsum_of_four,
    "einsum-with-dots": einsum_of_tokens_first,
    "fused": F.scaled_dot_product_attention,
    "head-by-head": head_by_head,
    "image-by-image": image_by_image,
}


def spelled(attention: Core) -> type[MultiHeadSelfAttention]:
    """MSA around this core."""

    class Spelled(MultiHeadSelfAttention):
        def forward(self, x: Tensor) -> Tensor:
            q, k, v = self.qkv(x).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
            return self.proj(attention(q, k, v).transpose(1, 2).flatten(2))

    return Spelled


spellings = [replace(msa, name=name, title=name, build=spelled(core)) for name, core in CORES.items()]
at, matmul, bmm, baddbmm, addbmm, einsum, with_dots, fused, heads, images = spellings
