"""The measured peak is exact: what the shapes say by hand, and what a scripted allocation does."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TextIO

import pytest
import torch
from torch import Tensor, nn

from attnbench import Geometry
from attnbench.attention import use_kernel
from attnbench.cases.case import Mode
from attnbench.cases.registry import discover
from attnbench.cases.variant import Variant
from attnbench.machine.cpu import Cpu, highest
from attnbench.measuring.counting import predicted_bytes
from attnbench.measuring.journal_writer import JournalWriter
from attnbench.measuring.layers import Data, WrongOutput, build, make_data, untouched
from attnbench.measuring.memory import memory_of
from attnbench.measuring.prediction import predicted_peak_bytes
from attnbench.measuring.preflight import preflight
from attnbench.records import journal
from attnbench.records.block_state import BlockState
from attnbench.records.journal import Fact, Started
from attnbench.records.record import Memory
from tests.fake_cuda import FakeCuda, installed
from tests.shards import ENVIRONMENT, case, job

B, N, C, H = 4, 196, 768, 12
GEOMETRY = Geometry(C, H, 14, 14)
X, MAPS, WEIGHTS = 4 * B * N * C, 4 * B * H * N**2, 4 * (4 * C**2 + 4 * C)
"""Bytes of the tokens, of one map of logits or weights, and of the parameters."""


def measured(
    mode: Mode, kernel: str, geometry: Geometry = GEOMETRY, name: str = "msa", dtype: str = "float32"
) -> Memory:
    registry = discover()
    asked = case(
        name,
        geometry=geometry,
        batch=B,
        mode=mode,
        variant=Variant(kernel, dtype),
        settings=registry.choose(name).settings,
    )
    with torch.inference_mode(mode is Mode.inference):
        return known(memory_of(build(registry, asked, 0), asked, make_data(asked, 0, most_inputs=1)))


def known(memory: Memory | None) -> Memory:
    assert memory is not None
    return memory


def test_the_highest_level_counts_and_not_the_last():
    assert highest([8, -8, 3, 4, -7]) == 8
    assert highest([3, 4, -7, 6]) == 7
    assert highest([]) == 0


def test_a_call_takes_what_lives_at_once_and_no_more():
    def call() -> Tensor:
        first = torch.empty(1000, dtype=torch.uint8)
        del first
        second = torch.empty(300, dtype=torch.uint8)
        return torch.cat([second, torch.empty(500, dtype=torch.uint8)])

    assert Cpu().peak_bytes(call) == 300 + 500 + 800


def test_what_was_there_before_is_not_counted():
    x = torch.zeros(2**20)
    assert Cpu().peak_bytes(lambda: x.zero_()) == 0
    assert Cpu().peak_bytes(x.exp) == 4 * 2**20


def test_explicit_attention_takes_what_its_shapes_say():
    """At the softmax: q, k and v in one storage, the logits and the weights."""
    memory = measured(Mode.inference, "explicit")
    assert memory.peak_bytes == pytest.approx(3 * X + 2 * MAPS, rel=0.01)
    assert memory.entry_bytes == WEIGHTS + X


def test_a_training_step_takes_what_its_shapes_say():
    """At the gradient of the softmax, which needs neither the values any more nor the merged heads.

    From the forward pass: queries, keys, the attention weights and the output, which the call returns. On
    their way back: the gradients of weights and logits, of the values, and of the output projection.
    """
    memory = measured(Mode.training, "explicit")
    forward, backward = 2 * X + MAPS + X, 2 * MAPS + X + 4 * (C**2 + C)
    assert memory.peak_bytes == pytest.approx(forward + backward, rel=0.01)
    assert memory.entry_bytes == WEIGHTS + 2 * X


@pytest.mark.parametrize("kernel", ["explicit", "fused"])
@pytest.mark.parametrize("mode", Mode)
def test_memory_is_the_same_to_the_byte_in_every_run(mode: Mode, kernel: str):
    runs = [measured(mode, kernel, Geometry(48, 6, 7, 7)) for _ in range(5)]
    assert all(run.repeatable for run in runs)
    assert len({run.peak_bytes for run in runs}) == 1


def test_fused_attention_writes_no_map():
    assert measured(Mode.inference, "fused").peak_bytes < 6 * X
    assert measured(Mode.training, "fused").peak_bytes < measured(Mode.training, "explicit").peak_bytes - MAPS


@pytest.mark.parametrize("mode", Mode)
@pytest.mark.parametrize("name", ["msa", "hilo", "linformer", "sra"])
def test_what_is_measured_was_predicted(name: str, mode: Mode):
    """Where no kernel takes scratch of its own, the prediction is exact."""
    memory = measured(mode, "explicit", Geometry(96, 6, 14, 14), name)
    registry = discover()
    choice = registry.choose(name)
    with use_kernel("explicit"):
        predicted = predicted_peak_bytes(
            lambda: choice.mechanism.build(Geometry(96, 6, 14, 14), **choice.settings),
            (B, N, 96),
            torch.float32,
            mode,
        )
    assert memory.peak_bytes + memory.entry_bytes == predicted


@pytest.mark.parametrize("mode", Mode)
@pytest.mark.parametrize("name", ["van", "hornet", "focal-modulation", "global-filter"])
def test_what_kernels_take_by_themselves_was_predicted(name: str, mode: Mode):
    """Those of depthwise convolutions on their way back take more than all tensors, and transforms copies."""
    geometry, choice = Geometry(96, 6, 14, 14), discover().choose(name)
    for products, dtype in ((None, "float32"), ("bfloat16", "autocast-bfloat16")):
        total = measured(mode, "explicit", geometry, name, dtype).total_bytes
        predicted = predicted_peak_bytes(
            lambda: choice.mechanism.build(geometry, **choice.settings),
            (B, N, 96),
            torch.float32,
            mode,
            products=products,
        )
        assert predicted is not None
        assert 0.99 * total <= predicted <= 1.06 * total


@pytest.fixture
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("name", ["msa", "hilo", "msa-rpe", "grid"])
def test_what_autocast_makes_of_tensors_and_weights_is_predicted(name: str):
    """A weight's copy stays until the end of a pass that is for training, and in every prediction.

    Several threads take sums of their own in 16-bit products, which nobody predicts.
    """
    geometry, choice = Geometry(96, 6, 14, 14), discover().choose(name)
    for mode in Mode:
        total = measured(mode, "explicit", geometry, name, "autocast-bfloat16").total_bytes
        predicted = predicted_peak_bytes(
            lambda: choice.mechanism.build(geometry, **choice.settings),
            (B, N, 96),
            torch.float32,
            mode,
            products="bfloat16",
        )
        layer = choice.mechanism.build(geometry, **choice.settings)
        copies = 2 * sum(each.numel() for each in layer.parameters()) if mode is Mode.inference else 0
        assert predicted is not None
        assert total <= predicted <= total + copies


class Grows(nn.Module):
    """A layer that keeps one more batch at every call."""

    def __init__(self) -> None:
        super().__init__()
        self.kept: list[Tensor] = []

    def forward(self, x: Tensor) -> Tensor:
        self.kept.append(x + 1)
        return torch.cat(self.kept).sum(0, keepdim=True).expand_as(x)


def test_a_layer_whose_memory_changes_from_call_to_call_is_not_repeatable():
    asked = case(geometry=Geometry(48, 6, 7, 7))
    memory = known(memory_of(Grows(), asked, make_data(asked, 0)))
    assert not memory.repeatable
    assert memory.scope == "cpu"


@pytest.mark.parametrize("peaks", [[500, 300], [300, 500]])
def test_the_most_of_two_calls_counts_with_what_the_device_held(
    monkeypatch: pytest.MonkeyPatch, peaks: list[int]
):
    left = iter(peaks)
    monkeypatch.setattr(Cpu, "peak_bytes", lambda *_: next(left))
    monkeypatch.setattr(Cpu, "reserved_bytes", lambda _: 4096)
    asked = case(geometry=Geometry(48, 6, 7, 7))
    memory = known(memory_of(nn.Linear(48, 48), asked, make_data(asked, 0)))
    assert (memory.peak_bytes, memory.repeatable, memory.reserved_bytes) == (500, False, 4096)


def test_the_peak_of_a_process_that_cannot_be_reset_is_not_told(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("attnbench.measuring.memory.reset_peak_process_bytes", lambda: False)
    assert measured(Mode.inference, "explicit", Geometry(48, 6, 7, 7)).process_bytes is None


class Offset(nn.Module):
    """Adds a table that it does not learn."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Buffer(torch.zeros(49, 48))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.table


def test_what_a_layer_does_not_learn_is_there_before_the_call_too():
    asked = case(geometry=Geometry(48, 6, 7, 7), batch=B)
    memory = known(memory_of(Offset(), asked, make_data(asked, 0)))
    assert (memory.entry_bytes, memory.peak_bytes) == (4 * 49 * 48 * (B + 1), 4 * 49 * 48 * B)


def test_a_graph_has_the_memory_of_the_calls_that_it_captures():
    asked = case(geometry=Geometry(48, 6, 7, 7), batch=B, variant=Variant(cuda_graph=True))
    assert known(memory_of(Offset(), asked, make_data(asked, 0))).peak_bytes == 4 * 49 * 48 * B


@pytest.mark.parametrize(
    ("call", "says"),
    [(lambda x: x / x.new_zeros(()), "NaN or infinite"), (lambda x: x.add_(1), "changes its input")],
)
def test_a_result_is_looked_at_before_its_memory_counts(call: Callable[[Tensor], Tensor], says: str):
    class Wrong(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return call(x)

    asked = case(geometry=Geometry(48, 6, 7, 7))
    with torch.inference_mode(), pytest.raises(WrongOutput, match=says):
        memory_of(Wrong(), asked, make_data(asked, 0))


@pytest.mark.parametrize(("beyond", "measured"), [(0, 1), (1, 2)])
def test_one_call_is_measured_where_it_takes_what_was_predicted_and_two_elsewhere(
    monkeypatch: pytest.MonkeyPatch, beyond: int, measured: int
):
    peaks: list[int] = []
    peak_bytes = Cpu.peak_bytes

    def spy(self: Cpu, call: Callable[[], object]) -> int:
        peaks.append(peak_bytes(self, call))
        return peaks[-1]

    monkeypatch.setattr(Cpu, "peak_bytes", spy)
    registry, asked = discover(), case("msa", geometry=Geometry(48, 6, 7, 7), batch=B)
    predicted = predicted_bytes(BlockState([job((asked,))]), registry, asked, B, Mode.inference, "cpu") or 0
    with torch.inference_mode():
        layer, data = build(registry, asked, 0), make_data(asked, 0, most_inputs=1)
        memory = known(memory_of(layer, asked, data, predicted + beyond))
    assert len(peaks) == measured
    assert (memory.peak_bytes + memory.entry_bytes, memory.repeatable) == (predicted, True)


def test_what_a_call_is_given_is_kept_on_the_host_meanwhile():
    cuda = FakeCuda()
    with cuda.computing(meta_is_here=False):
        x = torch.ones(B, N).to("cuda")
        cuda.reset_peak_memory_stats()
        with untouched(Data((x,), None)):
            pass
        assert cuda.peak == 4 * B * N
        with pytest.raises(WrongOutput, match="changes its input"), untouched(Data((x,), None)):
            x.add_(1)
        assert float(x.sum()) == B * N


class Noting(JournalWriter):
    """Notes what is allocated on a device when a step begins."""

    def __init__(self, shard: TextIO, cuda: FakeCuda) -> None:
        super().__init__(shard)
        self.cuda = cuda
        self.there: dict[str, int] = {}

    def write(self, fact: Fact) -> None:
        if isinstance(fact, Started):
            self.there[fact.step] = self.cuda.allocated
        super().write(fact)


def test_a_comparison_in_float64_has_the_device_to_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    cuda, shard = installed(monkeypatch), tmp_path / "shard"
    asked = case("msa", settings=discover().choose("msa").settings, device="cuda", variant=Variant("fused"))
    journal.save(shard, [job((asked,)), ENVIRONMENT])
    with shard.open("a") as file, cuda.computing(meta_is_here=True):
        writer = Noting(file, cuda)
        preflight(BlockState(journal.read(shard)), discover(), writer)
    assert writer.there["its reference in float64"] == 0
    assert writer.there["the measurement of its memory"] > 0


def test_the_process_is_watched_while_it_is_called():
    memory = measured(Mode.inference, "explicit", Geometry(48, 6, 7, 7))
    assert memory.process_bytes is None or memory.process_bytes > 50 * 2**20


@pytest.mark.cuda
@pytest.mark.parametrize("mode", Mode)
def test_a_gpu_takes_what_the_shapes_say(mode: Mode):
    registry = discover()
    asked = case("msa", geometry=GEOMETRY, batch=B, mode=mode, device="cuda")
    with torch.inference_mode(mode is Mode.inference):
        memory = known(memory_of(build(registry, asked, 0), asked, make_data(asked, 0, most_inputs=1)))
    assert memory.scope == "cuda"
    assert memory.repeatable
    by_hand = {Mode.inference: 3 * X + 2 * MAPS, Mode.training: 4 * X + 3 * MAPS + 4 * (C**2 + C)}
    assert memory.peak_bytes == pytest.approx(by_hand[mode], rel=0.01)
    assert memory.reserved_bytes is not None
    assert memory.reserved_bytes >= memory.peak_bytes + memory.entry_bytes
