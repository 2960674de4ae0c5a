"""Whether layers that do less work when they are timed are found out, and none that does it is blamed."""

from contextlib import nullcontext, suppress
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from attnbench import Geometry, Mechanism
from attnbench.cases.case import Case, Mode, Role
from attnbench.cases.protocol import Protocol
from attnbench.cases.registry import Registry, discover
from attnbench.cases.sweep import sweep
from attnbench.cases.variant import Variant
from attnbench.machine.cuda import Cuda
from attnbench.measuring import fidelity
from attnbench.measuring.contract import examine
from attnbench.measuring.fidelity import expect, renew, require_fidelity, what_is_returned
from attnbench.measuring.journal_writer import JournalWriter, ProcessSpent
from attnbench.measuring.layers import Call, WrongOutput, build, make_call, make_data, untouched
from attnbench.measuring.preflight import preflight
from attnbench.measuring.sketch import distance, sketch
from attnbench.measuring.worker import work
from attnbench.records import journal
from attnbench.records.block_state import BlockState
from attnbench.records.journal import Expected, Job
from attnbench.records.record import Record
from attnbench.run.block_records import records_of
from tests import idle
from tests.conftest import Run
from tests.idle import KeptByAll
from tests.shards import ENVIRONMENT, counted
from tests.test_readme import HARNESS, table

PLUGINS = tuple(str(Path(__file__).parents[1] / name) for name in ("idle.py", "moving.py"))
PROTOCOL = Protocol(
    sessions=1, precision=1e-9, max_seconds=0.3, least_warmup_s=0, most_warmup_s=0, min_sample_s=0.001, seed=5
)
MAP = Geometry(8, 2, 2, 3)
IDLE = table(HARNESS, "idle layer")
INFERENCE, TRAINING = Mode.inference, Mode.training


@pytest.fixture(scope="module")
def registry() -> Registry:
    return discover([Path(plugin) for plugin in PLUGINS])


@pytest.fixture(autouse=True)
def _as_in_a_new_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fidelity, "LATE_S", 0.1)
    KeptByAll.everywhere.clear()


def case_of(
    registry: Registry,
    name: str,
    mode: Mode = INFERENCE,
    batch: int = 4,
    geometry: Geometry = MAP,
    **how: Any,
) -> Case:
    (block,) = sweep(
        [registry.choose(name)], [geometry], ["cpu"], batches=[batch], modes=[mode], variants=[Variant(**how)]
    )
    return block.cases[0]


def work_off(shard: Path) -> None:
    """Let workers do what there is to do, as if each were a process of its own."""
    while BlockState(journal.read(shard)).unfinished:
        with shard.open("a") as file, suppress(ProcessSpent):
            work(shard, JournalWriter(file))
        KeptByAll.everywhere.clear()


def measured(
    registry: Registry, shard: Path, name: str | Case, mode: Mode = INFERENCE, batch: int = 4
) -> Record:
    """The record of a layer that one worker timed in a few rounds and another examined."""
    case = name if isinstance(name, Case) else case_of(registry, name, mode, batch)
    job = Job("measure", (case,), PLUGINS, 1, PROTOCOL, "2026-01-01T00:00:00+00:00")
    journal.save(shard, [job, ENVIRONMENT])
    work_off(shard)
    (record,) = records_of(BlockState(journal.read(shard)), complete=True)
    return record


def expected_of(registry: Registry, layer: type[nn.Module]) -> Expected:
    """What is expected of a layer that takes the place of the honest one."""
    case = case_of(registry, "honest")
    mechanisms: Any = {"honest": replace(registry["honest"], build=lambda geometry: layer())}
    with torch.inference_mode():
        return expect(mechanisms, case, 5, make_data(case, 5), 0)


def require_done(registry: Registry, case: Case, calls: int = 3) -> str:
    """Examine a layer, call a second one so often, and compare it; why it could not be compared."""
    with torch.inference_mode(case.workload.mode is INFERENCE):
        data, timed = make_data(case, 5), make_data(case, 5)
        renew(data, 5)
        expected = expect(registry, case, 5, data, 0)
        call = make_call(build(registry, case, 5), case, timed)
        for _ in range(calls):
            call()
        renew(timed, 5)
        require_fidelity(what_is_returned(registry, call, case, 5, 0), expected, case.variant)
    return expected.reason


@pytest.mark.parametrize("mode", Mode)
def test_an_honest_layer_has_a_speed(registry: Registry, tmp_path: Path, mode: Mode):
    found = measured(registry, tmp_path / "shard", "honest", mode)
    assert (found.outcome, found.unchecked) == ("measured", None)
    assert found.samples


@pytest.mark.parametrize("batch", [4, 1])
@pytest.mark.parametrize("name", ["kept-by-shape", "kept-by-address", "kept-by-first", "tired"])
def test_what_returns_what_it_kept_of_another_input_is_wrong(
    registry: Registry, tmp_path: Path, name: str, batch: int
):
    found = measured(registry, tmp_path / "shard", name, batch=batch)
    assert found.outcome == "wrong"
    assert found.samples
    assert f"{batch} of {batch} images are up to " in (found.reason or "")
    assert "what it had kept of another input" in (found.reason or "")


@pytest.mark.parametrize("batch", [4, 1])
def test_what_all_layers_of_a_process_share_is_wrong(registry: Registry, tmp_path: Path, batch: int):
    assert measured(registry, tmp_path / "shard", "kept-by-all", batch=batch).outcome == "wrong"


def test_what_takes_half_of_the_batch_from_another_call_is_wrong(registry: Registry, tmp_path: Path):
    found = measured(registry, tmp_path / "shard", "half-kept")
    assert found.outcome == "wrong"
    assert "2 of 4 images" in (found.reason or "")


@pytest.mark.parametrize(
    ("name", "mode", "says"),
    [
        ("in-place", INFERENCE, "its forward pass changes its input"),
        ("in-place", TRAINING, "changes its input, or a weight: a leaf Variable"),
        ("behind", INFERENCE, "its forward pass changes its input"),
        ("behind", TRAINING, "its forward pass changes its input"),
        ("gradient-in-place", TRAINING, "its backward pass changes the gradient"),
    ],
)
def test_what_changes_what_it_is_given_is_wrong_and_never_timed(
    registry: Registry, tmp_path: Path, name: str, mode: Mode, says: str
):
    found = measured(registry, tmp_path / "shard", name, mode)
    assert found.outcome == "wrong"
    assert says in (found.reason or "")
    assert not found.samples


def test_what_is_changed_is_put_right_for_the_layers_beside_it(registry: Registry):
    data = make_data(case_of(registry, "in-place"), 5)
    before = [x.clone() for x in data.inputs]
    with pytest.raises(WrongOutput), untouched(data):
        data.inputs[-1].zero_()
    assert all(map(torch.equal, data.inputs, before))


def test_a_layer_beside_one_that_changes_its_input_is_not_blamed(registry: Registry, tmp_path: Path):
    cases = tuple(case_of(registry, name) for name in ("in-place", "honest"))
    shard = tmp_path / "shard"
    job = Job("measure", cases, PLUGINS, 1, PROTOCOL, "2026-01-01T00:00:00+00:00")
    journal.save(shard, [job, ENVIRONMENT, counted(0), counted(1)])
    work_off(shard)
    state = BlockState(journal.read(shard))
    assert {index: fact.outcome for index, fact in state.failed.items()} == {0: "wrong"}
    assert state.samples[1]


def test_what_begins_to_change_its_input_later_is_wrong(registry: Registry):
    case = case_of(registry, "honest")
    data = make_data(case, 5)
    renew(data, 5)
    call = make_call(build(registry, case, 5), case, data)
    late = replace(call, run=lambda: (call.run()[0].add_(0 * data.inputs[-1].mul_(2)), None))
    with pytest.raises(WrongOutput, match="its forward pass changes its input"), torch.inference_mode():
        require_fidelity(
            what_is_returned(registry, late, case, 5, 0), expect(registry, case, 5, data, 0), case.variant
        )


def test_what_writes_all_outputs_into_one_memory_is_wrong(registry: Registry, tmp_path: Path):
    found = measured(registry, tmp_path / "shard", "overwriting")
    assert found.outcome == "wrong"
    assert "it keeps its output" in (found.reason or "")


def test_what_computes_half_of_the_batch_alone_is_wrong(registry: Registry, tmp_path: Path):
    found = measured(registry, tmp_path / "shard", "half")
    assert found.outcome == "wrong"
    assert "images of a batch get results that are not their own" in (found.reason or "")


def test_a_view_of_one_value_is_wrong(registry: Registry, tmp_path: Path):
    found = measured(registry, tmp_path / "shard", "one-value")
    assert found.outcome == "wrong"
    assert "a view of fewer numbers" in (found.reason or "")


def test_what_a_thread_goes_on_with_is_wrong(registry: Registry, tmp_path: Path):
    found = measured(registry, tmp_path / "shard", "late")
    assert found.outcome == "wrong"
    assert "change after the call has returned" in (found.reason or "")


def test_a_gradient_that_was_kept_is_wrong(registry: Registry, tmp_path: Path):
    assert measured(registry, tmp_path / "inference", "gradient-kept").outcome == "measured"
    assert measured(registry, tmp_path / "training", "gradient-kept", TRAINING).outcome == "wrong"


@pytest.mark.parametrize(
    ("cell", "check", "run"), [(row[0], *row[2:]) for row in IDLE], ids=[row[0] for row in IDLE]
)
def test_who_finds_a_layer_that_leaves_work_out_is_as_the_harness_says(
    registry: Registry, tmp_path: Path, cell: str, check: str, run: str
):
    name, mode = cell.strip("`"), TRAINING if run.endswith("training") else INFERENCE
    answers = {each.question: each.passed for each in examine(registry.choose(name), [MAP])}
    assert answers.pop("costs what its closed form says") is not None  # which speaks of counts alone
    assert ("broken" if False in answers.values() else "kept") == check
    KeptByAll.everywhere.clear()
    assert measured(registry, tmp_path / "shard", name, mode).outcome == run.removesuffix(" in training")
    if mode is TRAINING:
        assert measured(registry, tmp_path / "inference", name).outcome == "measured"


def test_the_harness_lists_every_layer_that_leaves_work_out(registry: Registry):
    here = {mechanism.name for mechanism in vars(idle).values() if isinstance(mechanism, Mechanism)}
    assert {row[0].strip("`") for row in IDLE} == here - {"honest"}


def test_a_number_that_is_none_after_some_calls_is_wrong(registry: Registry):
    case = case_of(registry, "honest")
    data = make_data(case, 5)
    renew(data, 5)
    call = make_call(build(registry, case, 5), case, data)
    late = replace(call, run=lambda: (call.run()[0] * float("nan"), None))
    with pytest.raises(WrongOutput, match="NaN or infinite"), torch.inference_mode():
        require_fidelity(
            what_is_returned(registry, late, case, 5, 0), expect(registry, case, 5, data, 0), case.variant
        )


@pytest.mark.parametrize("mode", Mode)
@pytest.mark.parametrize("name", ["placed", "normalised", "following", "begun"])
def test_what_moves_for_an_honest_reason_is_not_blamed(
    registry: Registry, tmp_path: Path, name: str, mode: Mode
):
    found = measured(registry, tmp_path / "shard", name, mode)
    assert (found.outcome, found.reason, found.unchecked) == ("measured", None, None)


@pytest.mark.parametrize(
    ("name", "mode", "why"),
    [
        ("dropping", TRAINING, "its results differ from call to call"),
        ("random-features", INFERENCE, "its results differ from call to call"),
        ("random-features", TRAINING, "its results differ from call to call"),
        ("closed", INFERENCE, "its results hardly depend on its input"),
        ("passing", INFERENCE, "its output is its input, or a view of it"),
        ("passing-in-pairs", INFERENCE, "its output is its input, or a view of it"),
    ],
)
def test_what_cannot_be_compared_is_said_to_be_so(
    registry: Registry, tmp_path: Path, name: str, mode: Mode, why: str
):
    found = measured(registry, tmp_path / "shard", name, mode)
    assert (found.outcome, found.reason, found.unchecked) == ("measured", None, why)


def test_a_row_says_with_what_its_variant_was_compared(registry: Registry, tmp_path: Path):
    case = case_of(registry, "random-features", dtype="bfloat16")
    found = measured(registry, tmp_path / "shard", case)
    assert (found.outcome, found.check and found.check.relative_error) == ("measured", None)
    assert found.reference == "not compared with float64: its results differ from call to call"


def test_dropout_that_is_off_is_compared(registry: Registry):
    assert require_done(registry, case_of(registry, "dropping")) == ""


@pytest.mark.parametrize("graph", [False, True])
def test_gradients_that_other_replays_may_have_written_into_are_not_looked_at(
    registry: Registry, graph: bool
):
    case = case_of(registry, "msa", TRAINING)
    data, layer = make_data(case, 5), build(registry, case, 5)
    with make_call(layer, case, data).around():
        results = make_call(layer, case, data).run()
    for parameter in layer.parameters():
        parameter.grad = torch.full_like(parameter, float("nan"))
    graphed = replace(case, variant=Variant(cuda_graph=graph))
    call = Call(lambda: results, graphed.variant, layer, data)
    with nullcontext() if graph else pytest.raises(WrongOutput, match="the gradient of"):
        what_is_returned(registry, call, graphed, 5, 0)


def test_images_that_see_each_other_are_compared_as_a_batch(registry: Registry):
    case = case_of(registry, "normalised", TRAINING)
    data = make_data(case, 5)
    assert not expect(registry, case, 5, data, 0).alone
    assert expect(registry, case_of(registry, "normalised"), 5, data, 0).alone


def test_a_layer_that_takes_no_single_image_is_compared_as_a_batch(registry: Registry):
    assert (
        require_done(registry, case_of(registry, "normalised", TRAINING, geometry=Geometry(8, 2, 1, 1))) == ""
    )
    assert require_done(registry, case_of(registry, "in-pairs")) == ""


def test_what_a_layer_that_takes_no_single_image_leaves_out_is_found(registry: Registry):
    case = case_of(registry, "in-pairs")
    data = make_data(case, 5)
    renew(data, 5)
    with torch.inference_mode():
        expected = expect(registry, case, 5, data, 0)
        call = make_call(build(registry, case, 5), case, data)
        less = replace(call, run=lambda: (call.run()[0] / 2, None))
        with pytest.raises(WrongOutput, match="4 of 4 images are up to"):
            require_fidelity(what_is_returned(registry, less, case, 5, 0), expected, case.variant)


def test_a_result_that_is_random_and_changes_after_the_call_is_wrong(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
):
    outputs: list[Tensor] = []

    class Late(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            outputs.append(x * torch.rand(()))
            return outputs[-1]

    late = SimpleNamespace(sleep=lambda _: [output.add_(1) for output in outputs])
    monkeypatch.setattr(fidelity, "time", late)
    with pytest.raises(WrongOutput, match="change after the call has returned"):
        expected_of(registry, Late)


def test_a_view_of_another_image_is_wrong(registry: Registry):
    class OneForAll(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x[:1].expand_as(x)

    with pytest.raises(WrongOutput, match="get results that are not their own"):
        expected_of(registry, OneForAll)


@pytest.mark.parametrize("calls", [2, 3])
def test_a_layer_is_compared_with_a_new_one_that_stands_where_it_stood(registry: Registry, calls: int):
    assert require_done(registry, case_of(registry, "alternating"), calls) == ""


def test_a_device_that_is_lost_with_a_single_image_is_told_of(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(Cuda, "is_lost", lambda _: True)
    case = case_of(registry, "in-pairs")
    with pytest.raises(AssertionError):
        expect(registry, case, 5, make_data(case, 5), 0)


@pytest.mark.parametrize("dtype", ["float64", "float32", "bfloat16", "float16"])
def test_batches_may_round_otherwise_than_images(registry: Registry, dtype: str):
    case = case_of(registry, "rounded", dtype=dtype)
    assert require_done(registry, case) == ""
    assert expect(registry, case, 5, make_data(case, 5), 0).alone


@pytest.mark.parametrize("name", ["msa", "hilo", "quadtree", "performer", "van", "xca"])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
@pytest.mark.parametrize("mode", Mode)
def test_built_in_layers_are_not_blamed(registry: Registry, name: str, dtype: str, mode: Mode):
    case = case_of(registry, name, mode, 3, Geometry(24, 6, 7, 7), kernel="fused", dtype=dtype)
    assert require_done(registry, case) == ""


def test_new_tokens_take_the_place_of_the_old_ones_but_for_the_first_numbers(registry: Registry):
    data = make_data(case_of(registry, "msa"), 5)
    addresses, old = [x.data_ptr() for x in data.inputs], data.inputs[0].clone()
    renew(data, 5)
    assert [x.data_ptr() for x in data.inputs] == addresses
    assert all(torch.equal(x, data.inputs[0]) for x in data.inputs)
    same = data.inputs[0] == old
    assert same[0, 0, :4].all()
    assert same.sum() == 4
    once = data.inputs[0].clone()
    renew(data, 5)
    assert torch.equal(data.inputs[0], once)


def test_a_sketch_is_as_far_from_another_as_the_results_are():
    x, y = torch.randn(2, 200, 5, 7)
    far = distance(sketch((x, None)), sketch((y, None)), [1.0])
    near = (sketch((x, None))[0] - sketch((y, None))[0]).square().mean().sqrt()
    assert near == pytest.approx((2 * 5 * 7) ** 0.5, rel=0.1)
    assert far > near


def test_a_session_after_the_examination_compares_what_it_timed_itself(registry: Registry, tmp_path: Path):
    shard, case = tmp_path / "shard", case_of(registry, "kept-by-shape")
    journal.save(shard, [Job("measure", (case,), PLUGINS, 1, PROTOCOL, "2026"), ENVIRONMENT])
    with shard.open("a") as file:
        preflight(BlockState(journal.read(shard)), registry, JournalWriter(file))
    work_off(shard)
    state = BlockState(journal.read(shard))
    assert {index: fact.outcome for index, fact in state.failed.items()} == {0: "wrong"}
    assert state.returned == {}


def test_one_image_is_measured_against_another_and_not_against_itself(registry: Registry):
    scales = []
    for batch in (1, 64):
        case = case_of(registry, "honest", batch=batch, geometry=Geometry(8, 2, 7, 7))
        renew(data := make_data(case, 5), 5)
        with torch.inference_mode():
            scales.append(expect(registry, case, 5, data, 0).scales[0])
    assert scales[1] / 3 < scales[0] < scales[1] * 3


def test_what_is_expected_is_computed_without_a_compiler(registry: Registry, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(torch, "compile", lambda *_, **__: pytest.fail("it is compiled"))
    case = case_of(registry, "honest", compile="default")
    with torch.inference_mode():
        assert expect(registry, case, 5, make_data(case, 5), 0).reason == ""


def test_twins_and_ceilings_are_not_compared(registry: Registry, tmp_path: Path):
    (block,) = sweep([registry.choose("kept-by-shape")], [MAP], ["cpu"], batches=[4])
    shard = tmp_path / "shard"
    journal.save(shard, [Job("measure", block.cases, PLUGINS, 1, PROTOCOL, "2026-01-01T00:00:00+00:00")])
    work_off(shard)
    state = BlockState(journal.read(shard))
    assert [state.job.cases[index].role for index in state.failed] == [Role.member]
    assert [state.job.cases[index].role for index in state.returned] == [Role.member]
    assert len(state.witnesses) == 1
    assert not state.unfinished


@pytest.mark.cuda
@pytest.mark.parametrize("mode", Mode)
def test_a_graph_is_compared_on_new_tokens_in_its_own_memory(registry: Registry, mode: Mode):
    case = replace(case_of(registry, "honest", mode, cuda_graph=True), device="cuda")
    assert require_done(registry, case) == ""


@pytest.mark.cuda
def test_a_graph_of_what_was_kept_is_wrong(registry: Registry):
    case = replace(case_of(registry, "kept-by-shape", cuda_graph=True), device="cuda")
    with pytest.raises(WrongOutput, match="what it had kept of another input"):
        require_done(registry, case)


@pytest.mark.slow
@pytest.mark.usefixtures("workers_in_process")
def test_a_run_shows_no_speed_of_what_does_not_do_its_work(attnbench: Run, tmp_path: Path):
    names = ("honest", "kept-by-shape", "tired", "half-kept")
    size = ("--res", "4", "--dim", "48", "--heads", "3", "--batch", "4", "--device", "cpu")
    effort = ("--quick", "--precision", "50%", "--threads", "1", "--max-seconds", "20")
    done = attnbench("run", *names, "--plugin", PLUGINS[0], *effort, *size, "--out", tmp_path / "run")
    assert done.status == 0, done.err
    table = (tmp_path / "run" / "table.csv").read_text().splitlines()
    columns = table[0].split(",")
    outcomes = [line.split(",")[columns.index("outcome")] for line in table[1:]]
    assert outcomes == ["measured", "wrong", "wrong", "wrong"]
    assert "after its samples it does not return for a new input" in done.out
