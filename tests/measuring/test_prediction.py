"""The predicted peak is exact where it can be worked out by hand, and takes no memory to make."""

import logging
import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from attnbench import Geometry
from attnbench.attention import use_kernel
from attnbench.cases.case import TABLE_IV, Mode
from attnbench.cases.registry import discover
from attnbench.cases.variant import Variant
from attnbench.measuring.layers import build, make_data
from attnbench.measuring.memory import memory_of
from attnbench.measuring.prediction import MOST_BYTES, predicted_peak_bytes, shortage
from mechanisms.msa import msa
from tests.shards import case

SHAPE = B, N, C = 3, 16, 8
HEADS, PARAMS = 2, 4 * C**2 + 4 * C
GEOMETRY = Geometry(C, HEADS, 4, 4)
X_BYTES = 4 * B * N * C

Operation = Callable[[Tensor], Tensor]


class Layer(nn.Module):
    """A layer of one operation and no parameters."""

    def __init__(self, operation: Operation) -> None:
        super().__init__()
        self.operation = operation

    def forward(self, x: Tensor) -> Tensor:
        return self.operation(x)


def peak_of(operation: Operation) -> int | None:
    return predicted_peak_bytes(lambda: Layer(operation), SHAPE, torch.float32)


def peak_of_msa(batch: int, geometry: Geometry = GEOMETRY, dtype: torch.dtype = torch.float32) -> int:
    peak = predicted_peak_bytes(lambda: msa.build(geometry), (batch, geometry.tokens, geometry.dim), dtype)
    assert peak is not None
    return peak


def test_attention_needs_most_while_its_softmax_has_both_logits_and_weights():
    """There x, the one storage of q, k and v, and two maps of B·H·N² are alive.

    The matmuls before and after hold one such map less, and two copies or results of B·N·C more; with
    N = 4D a map is four times as large as such a copy.
    """
    elements = PARAMS + B * N * C + 3 * B * N * C + 2 * B * HEADS * N**2
    assert peak_of_msa(B) == 4 * elements


def test_what_fails_on_fake_tensors_is_told_by_nobody_but_the_answer(monkeypatch: pytest.MonkeyPatch):
    told: list[logging.LogRecord] = []
    log = logging.getLogger("torch._subclasses.fake_tensor")
    monkeypatch.setattr(log, "handle", told.append)
    assert peak_of(lambda x: torch.mm(x[0], x[0])) is None
    assert (told, log.disabled) == ([], False)


def test_beyond_its_parameters_a_layer_needs_as_much_for_each_image():
    assert peak_of_msa(5) - 4 * PARAMS == 5 * (peak_of_msa(1) - 4 * PARAMS)


def test_complex_weights_stay_complex_and_need_twice_as_much():
    class Filter(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.ones(N, C, dtype=torch.cfloat))

        def forward(self, x: Tensor) -> Tensor:
            return x

    assert predicted_peak_bytes(Filter, SHAPE, torch.float32) == 2 * 4 * N * C + X_BYTES
    assert predicted_peak_bytes(Filter, SHAPE, torch.bfloat16) is None


def test_half_precision_needs_half():
    assert 2 * peak_of_msa(B, dtype=torch.bfloat16) == peak_of_msa(B)
    half, single = (
        predicted_peak_bytes(lambda: nn.Linear(C, C), SHAPE, dtype, Mode.training)
        for dtype in (torch.bfloat16, torch.float32)
    )
    assert half is not None
    assert 2 * half == single


def test_the_kernel_is_that_of_the_context():
    map_bytes = 4 * HEADS * 28**4
    with use_kernel("fused"):
        assert peak_of_msa(1, Geometry(C, HEADS, 28, 28)) < map_bytes
    assert peak_of_msa(1, Geometry(C, HEADS, 28, 28)) > 2 * map_bytes


@pytest.mark.parametrize("length", [2, 20])
def test_what_nobody_uses_any_more_takes_no_memory(length: int):
    def chain(x: Tensor) -> Tensor:
        for _ in range(length):
            x = x.exp()
        return x

    assert peak_of(chain) == 3 * X_BYTES  # the layer's input, the operator's input and its output


def test_views_share_their_memory():
    assert peak_of(lambda x: x.unflatten(-1, (2, -1)).unbind(2)[0]) == X_BYTES


def test_several_outputs_all_take_memory():
    assert peak_of(lambda x: x.sort().values) == 2 * X_BYTES + 2 * X_BYTES  # the indices are 64-bit


def test_a_layer_is_predicted_as_it_infers():
    assert predicted_peak_bytes(lambda: nn.Dropout(0.5), SHAPE, torch.float32) == X_BYTES


def test_the_gradient_of_a_models_scores_has_their_shape():
    asked = (lambda: nn.Linear(C, 3), SHAPE, torch.float32, Mode.training, "cpu")
    assert predicted_peak_bytes(*asked, output_shape=(*SHAPE[:2], 3)) is not None
    assert predicted_peak_bytes(*asked) is None


@pytest.mark.parametrize(
    "build",
    [lambda: nn.Linear(C, 2**35), lambda: Layer(lambda x: x.repeat(1, 2**30, 1))],
    ids=["constructor", "forward"],
)
def test_a_layer_larger_than_any_machine_is_predicted(build: Callable[[], nn.Module]):
    peak = predicted_peak_bytes(build, SHAPE, torch.float32)
    assert peak is not None
    assert peak >= 2**40


@pytest.mark.parametrize(
    "build",
    [
        lambda: nn.Linear(10**11, 10**11),
        lambda: Layer(lambda x: x.new_ones(2**31, 2**31)),
        lambda: Layer(lambda x: x.new_ones(2**33, 2**33)),
    ],
    ids=["weights", "bytes", "numbers"],
)
def test_what_torch_cannot_count_needs_all_that_can_be_counted(build: Callable[[], nn.Module]):
    assert predicted_peak_bytes(build, SHAPE, torch.float32) == MOST_BYTES


def test_a_need_that_cannot_be_counted_is_that_or_more():
    assert shortage("it", 3 * 2**30, 2**29) == "it needs 3.0 GiB by prediction, and 0.5 GiB are available"
    assert shortage("it", MOST_BYTES, 0).startswith("it needs 8,589,934,592.0 GiB or more by prediction")


def mistaken(x: Tensor) -> Tensor:
    raise ValueError


@pytest.mark.parametrize(
    "operation",
    [lambda x: x if x.sum() > 0 else -x, lambda x: x[x > 0], lambda x: x @ x, mistaken],
    ids=["branch", "selection", "shapes", "mistake"],
)
def test_a_layer_that_cannot_run_without_values_has_no_prediction(operation: Operation):
    assert peak_of(operation) is None


def test_what_comes_after_is_not_disturbed():
    before = torch.get_rng_state()
    predicted_peak_bytes(
        lambda: Layer(lambda x: x + torch.manual_seed(1).initial_seed()), SHAPE, torch.float32
    )
    assert torch.equal(torch.get_rng_state(), before)
    assert nn.init.trunc_normal_(torch.zeros(2)).all()


@pytest.mark.parametrize("kernel", ["explicit", "fused"])
@pytest.mark.parametrize("name", discover())
def test_every_mechanism_has_a_prediction_above_its_parameters_input_and_output(name: str, kernel: str):
    geometry = Geometry(48, 6, 14, 14)
    shape = (2, geometry.tokens, geometry.dim)
    mechanism = discover()[name]
    layer = mechanism.build(geometry, **mechanism.settings)
    with use_kernel(kernel):
        peak = predicted_peak_bytes(
            lambda: mechanism.build(geometry, **mechanism.settings), shape, torch.float32
        )
    assert peak is not None
    assert peak >= 4 * (sum(p.numel() for p in layer.parameters()) + 2 * math.prod(shape))


@pytest.mark.parametrize(
    ("name", "measured_mib"), [("focal", 740), ("quadtree", 933), ("dat", 531), ("performer", 660)]
)
def test_a_layer_is_predicted_on_the_way_that_it_takes_on_its_device(name: str, measured_mib: int):
    """An H200 needed so much in Table IV's setting; these layers take the images few by few on a CPU alone.

    torch's device without memory stands for the GPU: it takes the same way, and is there on every machine.
    """
    mechanism = discover()[name]
    here, there = (
        predicted_peak_bytes(
            lambda: mechanism.build(TABLE_IV.geometry, **mechanism.settings),
            TABLE_IV.shape,
            torch.float32,
            device=device,
        )
        for device in ("cpu", "meta")
    )
    assert there == pytest.approx(measured_mib * 2**20, rel=0.01)
    assert here is not None
    assert here < 0.6 * measured_mib * 2**20


def test_what_a_layer_needs_elsewhere_while_it_is_built_is_not_the_device_s():
    def build() -> nn.Module:
        torch.empty(10**6)
        return nn.Linear(C, C)

    peak = predicted_peak_bytes(build, SHAPE, torch.float32, device="meta")
    assert peak == 4 * (C**2 + C) + 2 * X_BYTES


@pytest.mark.cuda
@pytest.mark.parametrize("mode", Mode)
@pytest.mark.parametrize("kernel", ["explicit", "fused"])
@pytest.mark.parametrize("name", ["focal", "dat", "performer"])
def test_a_gpu_needs_what_was_predicted_for_it(name: str, kernel: str, mode: Mode):
    registry = discover()
    variant = Variant(kernel)
    asked = case(name, settings=registry[name].settings, batch=16, device="cuda", mode=mode, variant=variant)
    with torch.inference_mode(mode is Mode.inference):
        memory = memory_of(build(registry, asked, 0), asked, make_data(asked, 0, most_inputs=1))
    with use_kernel(kernel):
        predicted = predicted_peak_bytes(
            lambda: build(registry, asked, 0), asked.workload.shape, torch.float32, mode, "cuda"
        )
    assert predicted is not None
    assert memory is not None
    assert memory.peak_bytes + memory.entry_bytes == pytest.approx(predicted, rel=0.1)
