"""Every kind of product that torch knows is counted right, or marked; what holds none is free.

Right is what arithmetic by hand says, for a trace as for the operators that run.
"""

import math
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attnbench import Geometry
from attnbench.measuring.cost import Count, _run, count, count_on_meta
from attnbench.measuring.formulas import is_free

GEOMETRY = Geometry(8, 2, 3, 4)
N, C = 12, 8
Operation = Callable[[Tensor], object]


class Layer(nn.Module):
    """A layer of one operation on tokens `[12, 8]`, with modules of its own."""

    def __init__(self, operation: Operation, *modules: nn.Module) -> None:
        super().__init__()
        self.operation, self.inner = operation, nn.ModuleList(modules)

    def forward(self, x: Tensor) -> Tensor:
        found = self.operation(x[0])
        outputs = found if isinstance(found, tuple | list) else [found]
        return x + sum(each.float().abs().sum() for each in outputs if isinstance(each, Tensor))


def cost_of(operation: Operation, *modules: nn.Module) -> Count:
    return count(Layer(operation, *modules), GEOMETRY)


def ones(*sides: int) -> Tensor:
    return torch.ones(sides)


def as_map(x: Tensor) -> Tensor:
    return x.T.view(1, C, 3, 4)


LSTM, GRU = nn.LSTM(C, 5, num_layers=2, bidirectional=True), nn.GRU(C, 5)
RNN, CELL = nn.RNN(C, 5), nn.LSTMCell(C, 5)
MHA = nn.MultiheadAttention(C, 2, batch_first=True)
ENCODER = nn.TransformerEncoderLayer(C, 2, 16, batch_first=True)
SAME = nn.Conv2d(C, 6, 3, padding="same", groups=2)
TRANSPOSED = nn.ConvTranspose2d(C, 6, 2, stride=2)
PRODUCTS: dict[str, tuple[Operation, float]] = {
    "mm": (lambda x: torch.mm(x, ones(C, 5)), N * C * 5),
    "matrix by vector": (lambda x: x @ ones(C), N * C),
    "mv": (lambda x: torch.mv(x, ones(C)), N * C),
    "vector by matrix": (lambda x: ones(N) @ x, N * C),
    "dot": (lambda x: torch.dot(x[0], x[1]), C),
    "vdot": (lambda x: torch.vdot(x[0], x[1]), C),
    "inner": (lambda x: torch.inner(x, ones(5, C)), N * C * 5),
    "outer": (lambda x: torch.outer(x[0], x[1]), 0),
    "kron": (lambda x: torch.kron(x, ones(2, 2)), 0),
    "linear": (lambda x: F.linear(x, ones(5, C), ones(5)), N * C * 5),
    "addmm": (lambda x: torch.addmm(ones(5), x, ones(C, 5)), N * C * 5),
    "addmv": (lambda x: torch.addmv(ones(N), x, ones(C)), N * C),
    "addr": (lambda x: torch.addr(ones(C, C), x[0], x[1]), C * C),
    "bmm": (lambda x: torch.bmm(x.view(2, 6, C), ones(2, C, 5)), N * C * 5),
    "baddbmm": (lambda x: torch.baddbmm(ones(1), x.view(2, 6, C), ones(2, C, 5)), N * C * 5),
    "addbmm": (lambda x: torch.addbmm(ones(6, 5), x.view(2, 6, C), ones(2, C, 5)), N * C * 5),
    "chain_matmul": (lambda x: torch.linalg.multi_dot([x, ones(C, 9), ones(9, 2)]), C * 9 * 2 + N * C * 2),
    "tensordot": (lambda x: torch.tensordot(x.view(3, 4, C), ones(4, C, 5), dims=2), N * C * 5),
    "matrix_power": (lambda x: torch.linalg.matrix_power(x[:8], 3), 2 * C**3),
    "bilinear": (lambda x: F.bilinear(x, x, ones(5, C, C)), N * 5 * C * C),
    "cdist": (lambda x: torch.cdist(x, ones(40, C)), N * 40 * C),
    "explicit attention": (lambda x: (x @ x.T).softmax(-1) @ x, 2 * N * N * C),
    "fused attention": (lambda x: F.scaled_dot_product_attention(x[None], x[None], x[None]), 2 * N * N * C),
    "conv1d": (lambda x: F.conv1d(x.T, ones(6, C, 3), padding=1), N * 6 * C * 3),
    "conv2d": (lambda x: F.conv2d(as_map(x), ones(6, C, 3, 3), padding=1), N * 6 * C * 9),
    "conv3d": (lambda x: F.conv3d(as_map(x)[None], ones(6, 1, 1, 3, 3), padding=(0, 1, 1)), 6 * C * N * 9),
    "padding same": (lambda x: SAME(as_map(x)), N * 6 * C // 2 * 9),
    "transposed convolution": (lambda x: TRANSPOSED(as_map(x)), N * C * 6 * 4),
    "lstm": (lambda x: LSTM(x)[0], N * 2 * 20 * (C + 5) + N * 2 * 20 * (10 + 5)),
    "gru": (lambda x: GRU(x)[0], N * 15 * (C + 5)),
    "rnn": (lambda x: RNN(x)[0], N * 5 * (C + 5)),
    "lstm cell": (lambda x: CELL(x)[0], N * 20 * (C + 5)),
    "torch's own attention": (lambda x: MHA(x[None], x[None], x[None])[0], 4 * N * C * C + 2 * N * N * C),
    "torch's own block": (
        lambda x: ENCODER(x[None]), 4 * N * C * C + 2 * N * N * C + 2 * N * C * 16 + 2 * 5 * N * C,
    ),
    "rfft": (lambda x: torch.view_as_real(torch.fft.rfft(x, dim=0)), 1.25 * N * C * math.log2(N)),
    "rfft2": (
        lambda x: torch.view_as_real(torch.fft.rfft2(as_map(x))), 1.25 * N * C * math.log2(N),
    ),
    "fft": (
        lambda x: torch.view_as_real(torch.fft.fft(torch.complex(x, x), dim=0)), 2.5 * N * C * math.log2(N),
    ),
    "irfft": (
        lambda x: torch.fft.irfft(torch.complex(x, x), n=14, dim=1), 1.25 * N * 14 * math.log2(14),
    ),
    "complex product": (
        lambda x: torch.view_as_real(torch.complex(x, x) @ ones(C, 5).to(torch.complex64)), N * C * 5,
    ),
    "layer norm of six dimensions": (
        lambda x: F.layer_norm(x.view(1, 3, 1, 4, 2, 4), (4,), ones(4), ones(4)), 5 * N * C,
    ),
    "norm without weights": (lambda x: F.layer_norm(x, (C,)), 4 * N * C),
    "group norm": (lambda x: F.group_norm(as_map(x), 2, ones(C), ones(C)), 5 * N * C),
    "batch norm": (lambda x: F.batch_norm(as_map(x), ones(C), ones(C), ones(C), ones(C)), 2 * N * C),
    "bilinear sample": (
        lambda x: F.grid_sample(as_map(x), ones(1, 5, 5, 2), align_corners=True), 4 * C * 25,
    ),
    "bilinear map": (lambda x: F.interpolate(as_map(x), (6, 8), mode="bilinear"), 4 * C * 48),
    "nearest map": (lambda x: F.interpolate(as_map(x), (6, 8)), C * 48),
}  # fmt: skip
EINSUMS: dict[str, tuple[Operation, float]] = {
    "two operands": (lambda x: torch.einsum("nc,mc->nm", x, x), N * N * C),
    "without an arrow": (lambda x: torch.einsum("nc,cd", x, ones(C, 5)), N * C * 5),
    "with dots": (lambda x: torch.einsum("...c,...dc->...d", x, ones(5, C)), N * C * 5),
    "with dots of two lengths": (lambda x: torch.einsum("...nc,mc->...nm", x.view(2, 6, C), x), N * N * C),
    "a side of 1 beside a larger one": (
        lambda x: torch.einsum("bnc,bmc->bnm", x.view(2, 6, C), ones(1, 5, C)), N * 5 * C,
    ),
    "three from left to right": (
        lambda x: torch.einsum("nc,mc,md->nd", x, ones(20, C), ones(20, 3)), N * 20 * C + N * 20 * 3,
    ),
    "a sum alone": (lambda x: torch.einsum("nc->c", x), 0),
    "a diagonal": (lambda x: torch.einsum("nn->n", x[:8]), 0),
    "a product that sums nothing": (lambda x: torch.einsum("nc,nc->nc", x, x), N * C / 2),
    "lists of indices": (lambda x: torch.einsum(x, [0, 1], ones(C, 5), [1, 2], [0, 2]), N * C * 5),
}  # fmt: skip
MARKED: dict[str, Operation] = {
    "svd": lambda x: torch.linalg.svdvals(x),
    "nuclear norm": lambda x: torch.linalg.norm(x, ord="nuc"),
    "matrix_exp": lambda x: torch.linalg.matrix_exp(x[:8]),
    "solve": lambda x: torch.linalg.solve(x[:8] + 9 * torch.eye(8), x[:8]),
    "cholesky": lambda x: torch.linalg.cholesky(x[:8].T @ x[:8] + torch.eye(8)),
    "householder": lambda x: torch.linalg.qr(x)[0],
}
FREE: dict[str, Operation] = {
    "rms_norm": lambda x: F.rms_norm(x, (C,)), "hardswish": F.hardswish, "hardsigmoid": F.hardsigmoid,
    "mish": F.mish, "glu": F.glu, "prelu": lambda x: F.prelu(x, ones(1)), "relu6": F.relu6,
    "log_sigmoid": F.logsigmoid, "lerp": lambda x: torch.lerp(x, x, 0.5), "nan_to_num": torch.nan_to_num,
    "exp2": torch.exp2, "log1p": lambda x: torch.log1p(x.abs()), "std": lambda x: x.std(-1),
    "cumprod": lambda x: x.cumprod(0), "rot90": torch.rot90, "argsort": lambda x: x.argsort(),
    "isnan": lambda x: x.isnan(), "all": lambda x: (x > 0).all(-1), "diag_embed": torch.diag_embed,
    "polar": lambda x: torch.view_as_real(torch.polar(x.abs(), x)), "col2im": lambda x: F.fold(
        ones(1, 4, 4), (4, 4), 2, stride=2),
    "view_as_complex": lambda x: torch.view_as_real(torch.view_as_complex(x.view(N, 4, 2))),
    "scatter_reduce": lambda x: x.scatter_reduce(0, torch.zeros(1, C, dtype=torch.long), x, "amax"),
    "eye": lambda x: x[:8] + torch.eye(8), "adaptive pooling": lambda x: F.adaptive_avg_pool2d(as_map(x), 2),
    "pooling": lambda x: F.avg_pool2d(as_map(x), 2), "max pooling": lambda x: F.max_pool2d(as_map(x), 2),
    "norm": torch.linalg.norm,
    "softmax": lambda x: x.softmax(-1), "topk": lambda x: x.topk(2)[0], "roll": lambda x: x.roll(1, 0),
    "gelu": F.gelu, "silu": F.silu, "clamp": lambda x: x.clamp(0, 1), "gather": lambda x: x[:, [0, 0, 1]],
    "normalize": lambda x: F.normalize(x, dim=-1),
    "pad": lambda x: F.pad(as_map(x), (1, 1, 1, 1), mode="reflect"),
    "in place": lambda x: x.clone().add_(1).mul_(2).relu_(), "logsumexp": lambda x: x.logsumexp(-1),
    "var_mean": lambda x: torch.var_mean(x, -1), "unfold": lambda x: F.unfold(as_map(x), 2),
    "pixel shuffle": lambda x: F.pixel_shuffle(as_map(x), 2), "softplus": F.softplus, "dropout": F.dropout,
    "masked_fill": lambda x: x.masked_fill(x > 0, 0.0), "one_hot": lambda x: F.one_hot(x.argmax(-1), C),
}  # fmt: skip
MODULES = (LSTM, GRU, RNN, CELL, MHA, ENCODER, SAME, TRANSPOSED)


@pytest.mark.parametrize("name", PRODUCTS)
def test_a_product_costs_what_it_costs_by_hand(name: str):
    operation, macs = PRODUCTS[name]
    cost = cost_of(operation, *MODULES)
    assert (cost.macs, cost.uncounted) == (round(macs), ())


@pytest.mark.parametrize("name", PRODUCTS)
def test_what_cannot_be_traced_costs_the_same_as_it_runs(name: str):
    operation, macs = PRODUCTS[name]
    with torch.no_grad():
        found = _run(Layer(operation, *MODULES).eval(), torch.ones(1, N, C), {})
    if name not in ("torch's own attention", "torch's own block"):  # which hide their products there
        assert (round(sum(found.by_operator.values())), found.unknown) == (round(macs), set())


@pytest.mark.parametrize("name", EINSUMS)
def test_every_form_of_einsum_is_counted(name: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(torch.backends.opt_einsum, "enabled", False)
    operation, macs = EINSUMS[name]
    assert (cost_of(operation).macs, cost_of(operation).uncounted) == (round(macs), ())


def test_three_operands_cost_what_the_order_costs_in_which_torch_contracts_them():
    def right_first(x: Tensor) -> Tensor:
        contracted: Tensor = torch._VF.einsum(  # type: ignore[attr-defined]
            "nc,mc,md->nd", [x, ones(20, C), ones(20, 3)], path=[1, 2, 0, 1]
        )
        return contracted

    assert cost_of(right_first).macs == 20 * C * 3 + N * C * 3


@pytest.mark.parametrize("name", MARKED)
def test_what_nobody_has_a_formula_for_is_named(name: str):
    (uncounted,) = cost_of(MARKED[name]).uncounted
    assert uncounted.startswith("aten::")


@pytest.mark.parametrize("name", FREE)
def test_what_holds_no_product_is_free(name: str):
    cost = cost_of(FREE[name])
    assert (cost.macs, cost.uncounted) == (0, ())


def test_nothing_that_multiplies_is_taken_for_free():
    products = """
        mm bmm matmul linear addmm addmv addbmm baddbmm mv dot vdot inner tensordot einsum convolution conv2d
        bilinear _trilinear cdist _euclidean_dist multi_dot linalg_multi_dot chain_matmul matrix_exp lstm
        gru rnn_tanh lstm_cell _fft_c2c fft_fft linalg_svd linalg_solve linalg_inv cholesky pinverse
        scaled_dot_product_attention _native_multi_head_attention _transformer_encoder_layer_fwd
        native_layer_norm batch_norm grid_sampler upsample_bilinear2d conv_transpose2d conv_tbc addr
        _scaled_dot_product_flash_attention_for_cpu _sparse_mm sparse_sampled_addmm
    """
    assert [name for name in products.split() if is_free(f"aten::{name}")] == []
    assert not is_free("mine::add")


@pytest.mark.parametrize(
    "product",
    [
        lambda q, k: q @ k.mT,
        lambda q, k: torch.matmul(q, k.transpose(-1, -2)),
        lambda q, k: torch.bmm(q, k.mT),
        lambda q, k: torch.einsum("hnd,hmd->hnm", q, k),
        lambda q, k: torch.einsum("...nd,...md->...nm", q, k),
        lambda q, k: torch.baddbmm(ones(1), q, k.mT),
        lambda q, k: torch.view_as_real(torch.complex(q, q) @ torch.complex(k, k).mT),
        lambda q, k: torch.stack([torch.inner(a, b) for a, b in zip(q, k, strict=True)]),
        lambda q, k: torch.stack([torch.tensordot(a, b, dims=([1], [1])) for a, b in zip(q, k, strict=True)]),
    ],
)
def test_one_product_has_one_count_however_it_is_written(product: Callable[[Tensor, Tensor], Tensor]):
    def scores(x: Tensor) -> Tensor:
        heads = x.view(N, 2, 4).transpose(0, 1)
        return product(heads, heads)

    assert cost_of(scores).macs == N * N * C
    on_meta = count_on_meta(lambda: Layer(scores), GEOMETRY)
    assert on_meta is not None
    assert on_meta.macs == N * N * C
