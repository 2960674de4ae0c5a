"""The scan equals its recurrence, step by step, forwards and backwards, and where much is forgotten."""

import pytest
import torch
from torch import Tensor

from mechanisms._scan import block_length, scan


def step_by_step(delta: Tensor, rates: Tensor, added: Tensor, order: range) -> Tensor:
    h = torch.zeros_like(added[:, 0])
    states = torch.empty_like(added)
    for t in order:
        h = torch.exp(-rates[:, 0] * delta[:, t]) * h + added[:, t]
        states[:, t] = h
    return states


@pytest.mark.parametrize("scale", [0.01, 100.0])
@pytest.mark.parametrize("steps", [1, 2, 7, 36, 45])
def test_is_the_recurrence_in_both_senses(steps: int, scale: float) -> None:
    delta = scale * torch.rand(2, steps, 1, 4, dtype=torch.float64)
    rates = torch.rand(2, 1, 3, 4, dtype=torch.float64)
    added = torch.randn(2, steps, 3, 4, dtype=torch.float64)

    forwards, backwards = scan(delta, rates, added), scan(delta, rates, added, backwards=True)
    torch.testing.assert_close(forwards, step_by_step(delta, rates, added, range(steps)))
    torch.testing.assert_close(backwards, step_by_step(delta, rates, added, range(steps)[::-1]))


def test_what_is_all_kept_adds_up() -> None:
    added = torch.randn(12, 2, 3)
    torch.testing.assert_close(scan(torch.zeros(12, 1, 3), torch.ones(1, 2, 3), added), added.cumsum(dim=0))


def test_what_is_all_forgotten_leaves_finite_gradients() -> None:
    delta = torch.full((20, 1, 3), 1e4, requires_grad=True)
    added = torch.randn(20, 1, 3)
    states = scan(delta, torch.ones(1, 1, 3), added)
    torch.testing.assert_close(states, added)
    states.sum().backward()
    assert delta.grad is not None
    assert delta.grad.isfinite().all()


@pytest.mark.parametrize(
    ("steps", "length"), [(1, 1), (2, 2), (196, 14), (784, 28), (221, 17), (45, 9), (7, 7)]
)
def test_blocks_are_about_as_long_as_they_are_many(steps: int, length: int) -> None:
    assert block_length(steps) == length
