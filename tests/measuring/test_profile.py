"""Times that are put to operators, from events that are known and from layers that are real."""

import itertools
import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from torch import Tensor, nn

from attnbench.cases.case import Case
from attnbench.cases.protocol import QUICK
from attnbench.cases.registry import Registry, discover
from attnbench.cases.sweep import sweep
from attnbench.cases.variant import Variant
from attnbench.errors import AttnbenchError
from attnbench.measuring.profile import RANGE, TRACE, lines, mean_times, profile
from attnbench.mechanism import Geometry
from attnbench.records.profile import OUTSIDE, Line, Operation, Part, Profile

ADD = Operation("add", Part.element_wise, bytes=12, macs=0)
MM = Operation("mm", Part.core, bytes=8, macs=4)


class Kernel(NamedTuple):
    """What a profiler's event has launched, in microseconds."""

    name: str
    duration: float


@dataclass
class Event:
    """A profiler's event, in microseconds."""

    name: str
    cpu_time_total: float
    cpu_children: list["Event"] = field(default_factory=list)
    device_time_total: float = 0.0
    kernels: list[Kernel] = field(default_factory=list)


def call_of(add: float, *, wrapped: str = "aten::add", whole: float = 10e6) -> Event:
    """A call of an addition, with a copy and a product of its own, and of a product inside a wrapper."""
    inside = [Event("aten::copy_", 1e6), Event("aten::mm", 1e6)]
    product = Event("aten::linear", 4e6, [Event("aten::mm", 3e6, device_time_total=2e6)])
    return Event(RANGE, whole, [Event(wrapped, add, inside), product], device_time_total=5e6)


def case_of(mechanism: str = "msa", device: str = "cpu", **changes: object) -> Case:
    choice = discover().choose(mechanism)
    (block,) = sweep([choice], [Geometry(24, 3, 5, 4)], [device], batches=[2])
    return replace(block.members[0], **changes)  # type: ignore[arg-type]


def plain(forward: Callable[[nn.Module, Tensor], Tensor]) -> Registry:
    """A registry whose `msa` is a layer with a weight and this forward pass."""

    class Plain(nn.Module):
        def __init__(self, geometry: Geometry) -> None:
            super().__init__()
            self.linear = nn.Linear(geometry.dim, geometry.dim)

        def forward(self, x: Tensor) -> Tensor:
            return forward(self.linear, x)

    registry = Registry()
    registry.add(replace(discover()["msa"], build=Plain, settings={}), "here")
    return registry


@pytest.fixture
def few_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("attnbench.measuring.profile.PROFILED_S", 0)
    monkeypatch.setattr(
        "attnbench.measuring.profile.WARMUP", replace(QUICK, least_warmup_s=0, most_warmup_s=0)
    )


def profiled(registry: Registry, case: Case, folder: Path) -> Profile:
    return profile(registry, case, threads=torch.get_num_threads(), seed=0, folder=folder)


def test_an_operator_has_the_time_of_what_is_inside_of_it_and_the_rest_is_outside():
    found = list(lines(*mean_times([call_of(2e6)], [ADD, MM], case_of())))
    assert found == [
        Line("add", Part.element_wise, calls=1, self_s=2, bytes=12, macs=0),
        Line("mm", Part.core, calls=1, self_s=3, bytes=8, macs=4),
        Line(OUTSIDE, Part.between, calls=0, self_s=5, bytes=0, macs=0),
    ]


def test_a_line_is_the_mean_over_the_middle_half_of_the_calls():
    times = [(900e6, 1000e6), (3e6, 11e6), (5e6, 12e6), (0.5e6, 5e6)]
    found, *_ = lines(*mean_times([call_of(add, whole=whole) for add, whole in times], [ADD, MM], case_of()))
    assert found.self_s == 4


def test_on_a_gpu_times_are_those_of_the_kernels():
    found = list(lines(*mean_times([call_of(2e6)], [ADD, MM], replace(case_of(), device="cuda"))))
    assert [line.self_s for line in found] == [0, 2, 3]


def test_the_span_of_a_call_on_a_gpu_is_no_kernel_of_it():
    call = call_of(2e6)
    call.kernels = [Kernel("Memset", 1e6), Kernel(RANGE, 4e6)]
    call.device_time_total += 4e6
    found = list(lines(*mean_times([call], [ADD, MM], replace(case_of(), device="cuda"))))
    assert [line.self_s for line in found] == [0, 2, 3]


def test_an_operator_may_be_in_place_when_nobody_watches():
    found, *_ = lines(*mean_times([call_of(2e6, wrapped="aten::add_")], [ADD, MM], case_of()))
    assert (found.operator, found.self_s) == ("add_", 2)


def test_calls_that_differ_in_their_operators_are_refused_with_the_first_difference():
    with pytest.raises(AttnbenchError, match=r"the same operators every time \(mm in one where add was"):
        list(lines(*mean_times([call_of(2e6)], [ADD, ADD, MM], case_of())))


@pytest.mark.usefixtures("few_calls")
def test_a_layer_has_all_its_products_and_a_trace(tmp_path: Path):
    found = profiled(discover(), case_of("hilo", variant=Variant("fused")), tmp_path)
    assert found.total.macs == found.closed_form_macs
    assert {line.part for line in found.lines} == set(Part)
    assert all(line.self_s > 0 for line in found.lines)
    low_s, high_s = found.call_middle_s
    assert 0 < low_s <= found.call_s <= high_s
    assert (found.profiled_calls, found.slowdown > 0.1) == (20, True)
    events = json.loads((tmp_path / TRACE).read_text())["traceEvents"]
    assert sum(event["name"] == RANGE for event in events) == 3
    assert any("Input Dims" in event.get("args", {}) for event in events if event["name"] == "aten::addmm")


@pytest.mark.usefixtures("few_calls")
def test_threads_are_set_for_the_calls(tmp_path: Path):
    before = torch.get_num_threads()
    seen = []

    def forward(linear: nn.Module, x: Tensor) -> Tensor:
        seen.append((torch.get_num_threads(), torch.is_grad_enabled()))
        return linear(x)

    try:
        profile(plain(forward), case_of(), threads=1, seed=0, folder=tmp_path)
    finally:
        torch.set_num_threads(before)
    assert set(seen) == {(1, False)}


@pytest.mark.usefixtures("few_calls")
@pytest.mark.parametrize("calls", [1, 2, 3, 5])
def test_a_layer_that_fails_in_any_call_says_where(calls: int, tmp_path: Path):
    counter = itertools.count(1)

    def forward(linear: nn.Module, x: Tensor) -> Tensor:
        if next(counter) == calls:
            raise KeyError("gone")
        return linear(x)

    with pytest.raises(AttnbenchError, match=r"fails with KeyError: 'gone' \(test_profile.py, line \d+\)"):
        profiled(plain(forward), case_of(), tmp_path)


@pytest.mark.usefixtures("few_calls")
def test_a_layer_that_changes_its_mind_has_no_profile(tmp_path: Path):
    calls = itertools.count()
    registry = plain(lambda linear, x: linear(x) if next(calls) % 2 else linear(linear(x)))
    with pytest.raises(AttnbenchError, match="msa cannot be profiled: its calls do not run the same"):
        profiled(registry, case_of(), tmp_path)


@pytest.mark.parametrize(
    ("forward", "says"),
    [
        (lambda linear, x: linear(x)[:, 1:], "the output has shape .* `attnbench check` says more"),
        (lambda linear, x: linear(x.mul_(2)), "its forward pass changes its input"),
        (lambda linear, x: linear(x) @ x, "fails with RuntimeError: .* Choose another --dtype"),
        (lambda linear, x: (linear(x), x), "returns a tuple of 2; return the tokens alone"),
    ],
)
def test_a_layer_that_fails_is_refused_in_its_own_words(forward, says: str, tmp_path: Path):
    with pytest.raises(AttnbenchError, match=f"msa cannot be profiled: .*{says}"):
        profiled(plain(forward), case_of(), tmp_path)


@pytest.mark.cuda
def test_on_a_gpu_every_product_takes_time(tmp_path: Path):
    found = profiled(discover(), case_of("hilo", device="cuda"), tmp_path)
    assert found.total.macs == found.closed_form_macs
    assert all(line.self_s > 0 for line in found.lines if line.macs)
    (outside,) = (line for line in found.lines if line.part is Part.between)
    assert outside.self_s < 0.1 * found.total.self_s
