"""A variant is carried out: its kernel and numbers around calls, its graphs in place of them."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from attnbench import Geometry, attention
from attnbench.cases.registry import discover
from attnbench.cases.sweep import sweep
from attnbench.cases.variant import PLAIN, Variant
from attnbench.measuring.execution import (
    BACKENDS,
    CannotRun,
    autocast,
    backends_of,
    cast,
    compiled,
    dtype_of,
    graphed,
    output_dtypes,
    ready_compiler,
    require_runnable,
    running,
)
from attnbench.measuring.layers import build
from attnbench.measuring.surroundings import Meddled

TF32 = Variant(dtype="tf32")


def flags() -> tuple[bool, bool]:
    return torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32


def test_tf32_is_float32_with_the_flags_set_for_as_long_as_it_runs():
    assert dtype_of(TF32) is torch.float32
    with running(PLAIN):
        with running(TF32):
            assert flags() == (True, True)
        assert flags() == (False, False)


def test_products_of_float32_stay_whole_beside_a_smaller_format():
    with running(Variant(dtype="bfloat16")):
        assert flags() == (False, False)


def test_what_was_allowed_before_is_allowed_after_a_call_that_failed():
    with torch.backends.cudnn.flags(allow_tf32=True), suppress(ZeroDivisionError), running(TF32):
        raise ZeroDivisionError
    with torch.backends.cudnn.flags(allow_tf32=True):
        with running(PLAIN):
            assert flags() == (False, False)
        assert flags() == (False, True)


@pytest.mark.parametrize("variant", [PLAIN, TF32])
def test_products_are_not_made_otherwise_inside_without_being_told(variant: Variant):
    before = flags()
    with pytest.raises(Meddled, match="the precision of float32 products"), running(variant):
        torch.backends.cuda.matmul.allow_tf32 = variant is PLAIN
    assert flags() == before


def test_what_fails_inside_is_told_and_not_how_its_products_were_made():
    before = flags()
    with suppress(KeyError), running(PLAIN):
        torch.backends.cuda.matmul.allow_tf32 = True
        raise KeyError
    assert flags() == before


def test_a_variant_runs_with_its_kernel_and_no_other():
    with running(Variant("flash")):
        assert attention._kernel is attention.fused
        assert torch.backends.cuda.flash_sdp_enabled()
        assert not torch.backends.cuda.math_sdp_enabled()
    assert attention._kernel is attention.explicit
    assert torch.backends.cuda.math_sdp_enabled()


def test_torch_still_has_the_operators_that_forms_of_fused_attention_are_known_by():
    unknown = [name for name in BACKENDS if not hasattr(torch.ops.aten, name.removeprefix("aten::"))]
    assert unknown == []
    assert all(form in name for name, form in BACKENDS.items())


@pytest.mark.parametrize("form", ["flash", "math"])
def test_the_form_of_fused_attention_that_ran_is_told_once(form: str):
    q = torch.randn(1, 2, 8, 4)
    with torch.inference_mode(), running(Variant(form)):
        assert backends_of(lambda: [attention.attend(q, q, q) for _ in range(2)]) == (form,)


@pytest.mark.parametrize(
    ("variant", "says"), [(TF32, "TF32 is how a CUDA device"), (Variant(cuda_graph=True), "a CUDA graph is")]
)
def test_what_only_cuda_has_cannot_run_on_a_cpu(monkeypatch: pytest.MonkeyPatch, variant: Variant, says: str):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    require_runnable(variant, "cuda")
    require_runnable(Variant("efficient", "bfloat16", "max-autotune"), "cpu")
    with pytest.raises(CannotRun, match=says):
        require_runnable(variant, "cpu")


def test_graphs_in_graphs_cannot_run_anywhere():
    with pytest.raises(CannotRun, match="makes CUDA graphs of its own"):
        require_runnable(Variant(compile="reduce-overhead", cuda_graph=True), "cuda")


class Mixed(nn.Module):
    """One number of each kind."""

    def __init__(self) -> None:
        super().__init__()
        self.real = nn.Parameter(torch.ones(1))
        self.complex = nn.Parameter(torch.tensor([1 + 2j]))
        self.index = nn.Buffer(torch.tensor([3]))
        self.mask = nn.Buffer(torch.tensor([True]))


@pytest.mark.parametrize(
    ("dtype", "paired"), [(torch.float32, torch.complex64), (torch.float64, torch.complex128)]
)
def test_a_layer_keeps_its_imaginary_parts_its_integers_and_its_booleans(
    dtype: torch.dtype, paired: torch.dtype
):
    layer = Mixed()
    cast(layer, dtype)
    dtypes = {name: each.dtype for name, each in layer.state_dict().items()}
    assert dtypes == {"real": dtype, "complex": paired, "index": torch.int64, "mask": torch.bool}
    assert layer.complex.item() == 1 + 2j


def test_weights_are_parameters_in_inference_mode_too():
    (block,) = sweep([discover().choose("msa")], [Geometry(8, 2, 1, 2)], ["cpu"], batches=[1])
    with torch.inference_mode():
        layer = build(discover(), block.cases[0], seed=0)
        cast(layer, torch.bfloat16)
    assert {weight.dtype for weight in layer.parameters()} == {torch.bfloat16}
    assert all(weight.requires_grad and not weight.is_inference() for weight in layer.parameters())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_complex_numbers_refuse_a_format_that_torch_has_no_pairs_of(dtype: torch.dtype):
    with pytest.raises(CannotRun, match=f"complex numbers, which torch has no {str(dtype)[6:]} form of"):
        cast(Mixed(), dtype)


def test_what_is_not_compiled_is_the_layer_itself():
    layer = nn.Identity()
    assert compiled(layer, PLAIN) is layer


def test_a_layer_is_compiled_in_the_mode_of_its_variant(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(torch, "compile", lambda layer, **how: how)
    how: Any = compiled(nn.Identity(), Variant(compile="max-autotune"))
    assert how == {"mode": "max-autotune", "dynamic": False}


def test_a_compiler_that_fails_is_left_for_layers_to_tell(monkeypatch: pytest.MonkeyPatch):
    def fails(*_: object) -> None:
        raise RuntimeError("no compiler here")

    monkeypatch.setattr(torch, "compile", fails)
    ready_compiler("cpu")


@pytest.mark.slow
def test_a_compiled_layer_computes_the_same_and_is_compiled_for_each_of_many():
    """Torch's own limit of eight would leave later layers of the same code as they are."""
    x = torch.randn(2, 3)
    with torch.inference_mode():
        for width in range(1, 11):
            layer = nn.Linear(3, width)
            torch.testing.assert_close(compiled(layer, Variant(compile="default"))(x), layer(x))
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] >= 10


class Graph:
    """A list of work that a replay does again."""

    def __init__(self) -> None:
        self.work: list[Callable[[], object]] = []
        self.replays = 0

    def replay(self) -> None:
        self.replays += 1
        for work in self.work:
            work()


class FakeGraphs:
    """Stand in for CUDA graphs: what is done while one captures is done again when it is replayed."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.pools: list[object] = []
        self.captured: list[Graph] = []
        self.log: list[str] = []
        self.recording: Graph | None = None
        graphs = self

        class Stream:
            def __init__(self, name: str) -> None:
                self.name = name

            def wait_stream(self, other: "Stream") -> None:
                graphs.log.append(f"the {self.name} stream waits for the {other.name} one")

        @contextmanager
        def graph(captured: Graph, pool: object) -> Iterator[None]:
            graphs.pools.append(pool)
            graphs.captured.append(captured)
            graphs.recording = captured
            yield
            graphs.recording = None

        @contextmanager
        def stream(side: Stream) -> Iterator[None]:
            graphs.log.append(f"on the {side.name} stream")
            yield
            graphs.log.append("back")

        for name, stand_in in {
            "CUDAGraph": Graph,
            "Stream": lambda: Stream("side"),
            "current_stream": lambda: Stream("current"),
            "graph": graph,
            "stream": stream,
            "graph_pool_handle": lambda: "the pool",
        }.items():
            monkeypatch.setattr(torch.cuda, name, stand_in)

    def double(self, x: Tensor) -> Tensor:
        """Twice `x`, also at every replay if this is captured."""
        self.log.append("captured" if self.recording else "called")
        out = torch.empty_like(x)
        if self.recording:
            self.recording.work.append(lambda: torch.mul(x, 2, out=out))
        return out


def test_a_graph_is_replayed_on_each_input_in_turn_and_shares_its_memory(monkeypatch: pytest.MonkeyPatch):
    fake = FakeGraphs(monkeypatch)
    replay = graphed(fake.double, [torch.tensor([1.0]), torch.tensor([5.0])])
    assert [replay().item() for _ in range(3)] == [10, 2, 10]
    assert fake.pools == ["the pool"] * 2


def test_a_capture_comes_after_calls_on_a_stream_of_their_own_as_torch_asks(monkeypatch: pytest.MonkeyPatch):
    fake = FakeGraphs(monkeypatch)
    graphed(fake.double, [torch.tensor([1.0]), torch.tensor([5.0])])()
    assert fake.log == [
        "the side stream waits for the current one",
        *("on the side stream", "called", "called", "called", "back"),
        "the current stream waits for the side one",
        *("captured", "captured"),
    ]


def test_the_first_call_of_a_graph_replays_those_of_all_inputs_once(monkeypatch: pytest.MonkeyPatch):
    fake = FakeGraphs(monkeypatch)
    graphed(fake.double, [torch.tensor([1.0]), torch.tensor([5.0])])()
    assert [graph.replays for graph in fake.captured] == [1, 1 + 1]


def test_a_replay_sees_what_its_input_holds_now(monkeypatch: pytest.MonkeyPatch):
    x = torch.tensor([1.0])
    replay = graphed(FakeGraphs(monkeypatch).double, [x])
    replay()
    x.fill_(7)
    assert replay().item() == 14


class Casts(TorchDispatchMode):
    """Counts the copies of a weight into another number format."""

    def __init__(self, weight: Tensor) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.weight, self.number = weight, 0

    def __torch_dispatch__(self, operator: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.number += operator is torch.ops.aten._to_copy.default and args[0].shape == self.weight.shape
        return operator(*args, **(kwargs or {}))


def test_under_autocast_every_call_casts_the_weights_anew_and_once():
    layer, x = nn.Linear(4, 5), torch.randn(3, 4)
    call = autocast(lambda x: (layer(x), layer(x)), "bfloat16", "cpu")
    with Casts(layer.weight) as casts:
        for _ in range(3):
            assert call(x)[0].dtype is torch.bfloat16
    assert casts.number == 3
    assert layer.weight.dtype is torch.float32


def test_without_autocast_a_forward_pass_is_itself():
    layer = nn.Identity()
    assert autocast(layer, None, "cpu") is layer


def test_an_output_may_be_in_the_format_of_the_tokens_or_of_products():
    assert output_dtypes(PLAIN) == [torch.float32]
    assert output_dtypes(Variant(dtype="autocast-float16")) == [torch.float32, torch.float16]


def test_what_torch_refuses_autocast_for_cannot_run_in_its_words(monkeypatch: pytest.MonkeyPatch):
    def refused(*_: object) -> None:
        raise RuntimeError("Current CUDA Device does not support bfloat16.")

    monkeypatch.setattr(torch, "autocast", refused)
    with pytest.raises(CannotRun, match=r"makes no products in bfloat16 here: Current CUDA Device does not"):
        require_runnable(Variant(dtype="autocast-bfloat16"), "cuda")


def test_what_torch_leaves_autocast_off_for_cannot_run_in_its_words():
    require_runnable(Variant(dtype="autocast-bfloat16"), "cpu")
    with pytest.raises(CannotRun, match=r"makes no products in float64 here: In CPU autocast, .* supported"):
        require_runnable(Variant(dtype="autocast-float64"), "cpu")
