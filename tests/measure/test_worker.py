"""What one worker does with a layer."""

import io

import pytest
import torch
from torch import Tensor, nn

from attnbench import Geometry
from attnbench.attention import KERNELS, Kernel, explicit
from attnbench.measure.facts import Counted, Environment, Failed, Timed, Warmed, parse, write
from attnbench.measure.job import Job
from attnbench.measure.worker import (
    WrongOutput,
    build,
    check_output,
    failure_as_fact,
    make_call,
    make_inputs,
    set_up_torch,
    work,
)
from attnbench.record import Sample
from attnbench.registry import Registry, discover
from attnbench.sweep import Case, Protocol, sweep
from tests.fakes import MACHINE

PROTOCOL = Protocol(rounds=3, max_seconds=20, least_warmup_s=0, most_warmup_s=0, min_sample_s=0.001, seed=5)


@pytest.fixture(scope="module")
def registry() -> Registry:
    return discover()


def cases(
    registry: Registry, *texts: str, kernel: str = "explicit", dtype: str = "float32"
) -> tuple[Case, ...]:
    choices = [registry.choose(text) for text in texts]
    (block,) = sweep(choices, [Geometry(8, 2, 2, 3)], ["cpu"], batch=3, dtype=dtype, kernel=kernel)
    return block.cases


def test_a_job_and_every_fact_survive_their_way_as_text(registry: Registry):
    job = Job("time", cases(registry, "msa", "hilo:alpha=0.5"), ("/a/plugin.py",), 2, PROTOCOL, 1)
    assert Job.from_json(job.to_json()) == job
    for fact in (
        Environment(MACHINE, {"tf32": "False"}, 1e9),
        Counted(0, 10, 20, 21, {"linear": 20}, ("aten::x",)),
        Failed(1, "wrong", "NaN"),
        Warmed(0, 3, 0.5, 0.1, True, 4),
        Timed(0, Sample(0, 1, 2, 0.5, 0.6)),
    ):
        shard = io.StringIO()
        write(shard, fact)
        assert parse(shard.getvalue()) == fact


def test_a_worker_that_counts_and_one_that_times_write_their_facts(registry: Registry):
    members = cases(registry, "msa", "hilo")
    counting, timing = io.StringIO(), io.StringIO()
    work(Job("count", members, (), 1, PROTOCOL), counting)
    work(Job("time", members, (), 1, PROTOCOL, session=2), timing)
    environment, *counts = map(parse, counting.getvalue().splitlines())
    assert isinstance(environment, Environment)
    assert environment.macs_per_s > 1e6
    assert [type(fact) for fact in counts] == [Counted, Counted]
    said = [parse(line) for line in timing.getvalue().splitlines()]
    assert [fact.case for fact in said if isinstance(fact, Warmed)] == [0, 1]
    timed = [fact for fact in said if isinstance(fact, Timed)]
    assert {(fact.case, fact.sample.session, fact.sample.round) for fact in timed} == {
        (case, 2, number) for case in (0, 1) for number in range(3)
    }


def test_weights_depend_on_the_seed_and_not_on_what_was_built_before(registry: Registry):
    msa, hilo = cases(registry, "msa", "hilo")
    first = build(registry, msa, 5).state_dict()
    build(registry, hilo, 5)
    again, other = build(registry, msa, 5).state_dict(), build(registry, msa, 6).state_dict()
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["qkv.weight"], other["qkv.weight"])


def test_layers_are_timed_in_eval_mode(registry: Registry):
    assert not build(registry, cases(registry, "msa")[0], 0).training


def test_inputs_are_several_random_batches_in_the_cases_dtype(registry: Registry):
    inputs = make_inputs(cases(registry, "msa", dtype="bfloat16")[0], 0)
    assert len(inputs) > 1
    assert all(x.shape == (3, 6, 8) and x.dtype == torch.bfloat16 for x in inputs)
    assert not torch.equal(inputs[0], inputs[1])


def test_calls_rotate_over_the_inputs(registry: Registry):
    case = cases(registry, "msa")[0]
    inputs = [torch.full((3, 6, 8), float(number)) for number in range(3)]
    call = make_call(nn.Identity(), case, inputs)
    assert [float(call()[0, 0, 0]) for _ in range(4)] == [0, 1, 2, 0]


def test_a_call_uses_the_kernel_of_its_case(registry: Registry, monkeypatch: pytest.MonkeyPatch):
    used: list[str] = []

    def spy(q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None) -> Tensor:
        used.append("fused")
        return explicit(q, k, v, bias)

    spied: Kernel = spy
    monkeypatch.setitem(KERNELS, "fused", spied)
    for kernel in ("explicit", "fused"):
        (case,) = cases(registry, "msa", kernel=kernel)
        make_call(build(registry, case, 0), case, make_inputs(case, 0))()
    assert used == ["fused"]


def test_threads_and_precision_are_fixed_and_told():
    before = torch.get_num_threads()
    flags = set_up_torch(1)
    torch.set_num_threads(before)
    assert flags["threads"] == "1"
    assert flags["cuda.matmul.allow_tf32"] == flags["cudnn.allow_tf32"] == "False"


@pytest.mark.parametrize(
    ("output", "says"),
    [
        (torch.zeros(3, 6, 9), r"shape \(3, 6, 9\) instead of \(3, 6, 8\)"),
        (torch.full((3, 6, 8), float("inf")), "NaN or infinite"),
    ],
)
def test_a_wrong_output_is_refused(registry: Registry, output: Tensor, says: str):
    with pytest.raises(WrongOutput, match=says):
        check_output(output, cases(registry, "msa")[0])


def test_a_failure_becomes_a_fact_and_ends_nothing():
    shard = io.StringIO()
    with failure_as_fact(4, shard):
        raise MemoryError("too much")
    assert parse(shard.getvalue()) == Failed(4, "crashed", "MemoryError: too much")


@pytest.mark.cuda
@pytest.mark.parametrize("kernel", KERNELS)
def test_every_mechanism_runs_on_a_gpu_and_equals_the_cpu(registry: Registry, kernel: str):
    geometry = Geometry(48, 6, 9, 5)
    for name in registry:
        choice = registry.choose(name)
        outputs = []
        for device in ("cpu", "cuda"):
            (block,) = sweep([choice], [geometry], [device], batch=2, dtype="float32", kernel=kernel)
            (case,) = block.cases
            set_up_torch(1)
            with torch.inference_mode():
                outputs.append(make_call(build(registry, case, 0), case, make_inputs(case, 0))().cpu())
        torch.testing.assert_close(outputs[1], outputs[0], rtol=1e-3, atol=1e-4)
