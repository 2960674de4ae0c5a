"""mLSTM: the recurrence that it is, what a token sees, its gates and its two directions."""

import pytest
import torch
from torch import Tensor, nn

from attnbench import Geometry, InvalidSetting, UnsupportedGeometry
from attnbench.measuring.cost import count
from mechanisms.mlstm import MatrixLSTM, macs

GEOMETRY = Geometry(8, 3, 3, 4)
HEADS, D = 2, 8


def layer_for(*, backward: bool = False) -> MatrixLSTM:
    """A layer whose gates move with the tokens."""
    layer = MatrixLSTM(GEOMETRY, heads=HEADS, expand=2, kernel=3, backward=backward).double()
    nn.init.normal_(layer.gates.weight)
    return layer


def tokens() -> Tensor:
    return torch.randn(2, GEOMETRY.tokens, GEOMETRY.dim, dtype=torch.float64)


def without_neighbours(layer: MatrixLSTM) -> None:
    """Leave the centre of every 3 × 3 kernel."""
    centre = layer.conv.weight[:, 0, 1, 1].detach().clone()
    nn.init.zeros_(layer.conv.weight)
    layer.conv.weight.data[:, 0, 1, 1] = centre


def by_heads(x: Tensor) -> Tensor:
    return x.unflatten(-1, (HEADS, D)).transpose(1, 2)


def read_step_by_step(q: Tensor, k: Tensor, v: Tensor, gates: Tensor) -> Tensor:
    """The recurrence of memory and normaliser, token after token, without a stabiliser: `[B, H, N, D]`."""
    write, keep = gates[..., :HEADS].exp().mT, gates[..., HEADS:].sigmoid().mT  # each [B, H, N]
    memory, normaliser = torch.zeros(2, HEADS, D, D).double(), torch.zeros(2, HEADS, D).double()
    out = []
    for t in range(GEOMETRY.tokens):
        i, f = write[..., t, None], keep[..., t, None]
        memory = f[..., None] * memory + i[..., None] * v[..., t, :, None] * k[..., t, None, :]
        normaliser = f * normaliser + i * k[..., t, :]
        read = torch.einsum("bhij,bhj->bhi", memory, q[..., t, :]) / D**0.5
        weight = (normaliser * q[..., t, :]).sum(dim=-1, keepdim=True) / D**0.5
        out.append(read / weight.abs().clamp(min=1))
    return torch.stack(out, dim=2)


def test_is_a_memory_that_is_written_faded_and_read_token_by_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mechanisms.mlstm.EPSILON", 0)
    layer, m = layer_for(), torch.randn(2, GEOMETRY.tokens, 16, dtype=torch.float64)
    nn.init.zeros_(layer.skip)
    c = nn.functional.silu(layer.conv(m.mT.unflatten(2, (3, 4))).flatten(2))
    q, k, v = layer.q(c).mT, layer.k(c).mT, layer.v(m.mT).mT
    gates = layer.gates(torch.cat([q, k, v], dim=-1))

    y = read_step_by_step(by_heads(q), by_heads(k), by_heads(v), gates).transpose(1, 2).flatten(2)

    torch.testing.assert_close(layer.remember(m), layer.norm(y.flatten(0, 1)).view_as(m))


def test_a_token_sees_none_that_come_later() -> None:
    layer, x = layer_for(), tokens().requires_grad_()
    without_neighbours(layer)
    seen = torch.autograd.grad(layer(x)[0, 5].sum(), x)[0][0].any(dim=-1)
    assert seen.tolist() == 6 * [True] + 6 * [False]


def test_backward_is_forward_on_the_tokens_in_the_opposite_order() -> None:
    forward, backward, x = layer_for(), layer_for(backward=True), tokens()
    backward.load_state_dict(forward.state_dict())
    torch.testing.assert_close(backward(x), forward(x.flip(1)).flip(1))


def test_a_gate_that_forgets_all_leaves_each_token_its_own_value() -> None:
    layer, m = layer_for(), torch.randn(2, GEOMETRY.tokens, 16, dtype=torch.float64)
    nn.init.zeros_(layer.gates.weight)
    layer.gates.bias.data[:HEADS] = 100  # written with a weight beside which 1 is nothing
    layer.gates.bias.data[HEADS:] = -1000
    nn.init.zeros_(layer.skip)
    layer.k.load_state_dict(layer.q.state_dict())  # so that q · k is positive
    v = layer.v(m.mT).mT
    torch.testing.assert_close(
        layer.remember(m), layer.norm(v.flatten(0, 1)).view_as(v), rtol=1e-3, atol=1e-3
    )


def test_what_is_beside_the_memory_is_the_convolved_tokens() -> None:
    layer, m = layer_for(), torch.randn(2, GEOMETRY.tokens, 16, dtype=torch.float64)
    nn.init.zeros_(layer.norm.weight)
    nn.init.normal_(layer.skip)
    c = nn.functional.silu(layer.conv(m.mT.unflatten(2, (3, 4))).flatten(2).mT)
    torch.testing.assert_close(layer.remember(m), layer.skip * c)


def test_later_tokens_however_strong_do_no_harm() -> None:
    layer, x = layer_for(), tokens()
    layer.gates.weight.data *= 1e4
    x[:, -1] *= 1e3
    assert layer(x).isfinite().all()


def test_begins_with_gates_that_do_not_look_at_the_tokens() -> None:
    layer = MatrixLSTM(GEOMETRY, heads=4, expand=2, kernel=3, backward=False)
    assert not layer.gates.weight.any()
    assert layer.gates.bias[4:].tolist() == [3, 4, 5, 6]
    assert layer.gates.bias[:4].abs().max() < 1


@pytest.mark.parametrize(("heads", "expand", "kernel"), [(1, 1, 1), (8, 3, 5)])
def test_counts_what_the_closed_form_says_with_any_setting(heads: int, expand: int, kernel: int) -> None:
    layer = MatrixLSTM(GEOMETRY, heads=heads, expand=expand, kernel=kernel, backward=False)
    assert count(layer, GEOMETRY).macs == macs(GEOMETRY, heads, expand, kernel, backward=False)


@pytest.mark.parametrize(("dim", "heads"), [(7, 2), (8, 3)])
def test_refuses_channels_that_blocks_or_heads_do_not_divide(dim: int, heads: int) -> None:
    with pytest.raises(UnsupportedGeometry, match=f"mlstm: {dim} channels, 2 times as many inside"):
        MatrixLSTM(Geometry(dim, 1, 3, 4), heads=heads, expand=2, kernel=3, backward=False)


@pytest.mark.parametrize(("setting", "value"), [("heads", 0), ("expand", 0), ("kernel", 0), ("kernel", 4)])
def test_refuses_settings_without_a_meaning(setting: str, value: int) -> None:
    settings = {"heads": 4, "expand": 2, "kernel": 3, setting: value}
    with pytest.raises(InvalidSetting, match=f"mlstm: {setting} is {value}; it must be"):
        MatrixLSTM(GEOMETRY, **settings, backward=False)
