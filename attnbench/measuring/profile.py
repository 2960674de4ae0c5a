"""Where the time of a layer's call goes, operator by operator, under torch's profiler.

One call is observed first, with the tensors of every operator; then calls run under the profiler, whose times
are put to those operators in their order. What the profiler costs itself is known from calls without it.
"""

import math
from collections.abc import Callable, Container, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from itertools import zip_longest
from pathlib import Path
from statistics import fmean, median, quantiles
from typing import Any

import torch
from torch.profiler import record_function

from attnbench.cases.case import Case
from attnbench.cases.protocol import QUICK
from attnbench.cases.registry import Registry
from attnbench.errors import AttnbenchError, writing
from attnbench.machine.allocator import keep_freed_memory
from attnbench.machine.clock import Clock
from attnbench.machine.devices import device_of
from attnbench.machine.system import quieten_profiler
from attnbench.measuring.execution import CannotRun, require_runnable
from attnbench.measuring.failures import told
from attnbench.measuring.layers import WrongOutput, build, check_results, make_call, make_data, untouched
from attnbench.measuring.operators import operations
from attnbench.measuring.strangers import built, explained
from attnbench.measuring.timing import sample, warm_up
from attnbench.measuring.worker import set_up_torch
from attnbench.records.profile import OUTSIDE, Line, Operation, Part, Profile, by_operator, by_place

LEAST_CALLS, MOST_CALLS = 20, 100
WARMUP = QUICK  # the protocol whose warm-up is long enough here
PROFILED_S = 1.0
TURNS = 5
TRACED_CALLS = 3
TRACE = "trace.json"
RANGE = "one call"  # what a call is named in the trace


def profile(registry: Registry, case: Case, *, threads: int, seed: int, folder: Path) -> Profile:
    """The profile of a case; a trace of a few calls goes to `trace.json` in `folder`."""
    keep_freed_memory()
    set_up_torch(threads)
    with torch.no_grad():  # and not in inference mode, which hides what composite operators are made of
        make = partial(build, registry, case, seed)
        with _failures(case), explained(make, case.workload.geometry):
            require_runnable(case.variant, case.device)
            layer, data = built(make, case.label), make_data(case, seed)
            call = make_call(layer, case, data)
            with untouched(data):
                check_results(call(), layer, case)
            expected = operations(call, layer)
    _, clock = device_of(case.device).clocks()
    with torch.inference_mode(), _failures(case):
        calls = min(
            MOST_CALLS, max(LEAST_CALLS, math.ceil(PROFILED_S / warm_up(call, clock, WARMUP).per_call_s))
        )
        bare_s, profiled_s, ranges = _in_turn(call, calls, case.device, clock)
        _trace(call, case.device, folder / TRACE)
    low_s, _, high_s = quantiles(bare_s, n=4)
    macs = registry[case.mechanism].closed_form(case.workload.geometry, **case.settings)
    timed, outside_s = mean_times(ranges, expected, case)
    places = ("stage", "kind") if case.workload.geometry.images else ()
    stages, kinds = (by_place(timed, name) for name in places) if places else ((), ())
    return Profile(
        case,
        threads,
        tuple(lines(timed, outside_s)),
        profiled_calls=len(profiled_s),
        call_s=median(bare_s),
        call_middle_s=(low_s, high_s),
        profiled_call_s=median(profiled_s),
        closed_form_macs=None if macs is None else case.workload.batch * macs,
        stages=stages,
        kinds=kinds,
    )


def _in_turn(
    call: Callable[[], object], calls: int, device: str, clock: Clock
) -> tuple[list[float], list[float], list[Any]]:
    """Seconds of calls without the profiler and with it, and the profiler's range of each of the latter.

    Some of the ones, some of the others, and again, so that whatever drifts on the machine meets both alike.
    """
    bare_s: list[float] = []
    profiled_s: list[float] = []
    ranges: list[Any] = []
    at_once = math.ceil(calls / TURNS)
    for _ in range(TURNS):
        call()  # not counted: it finds caches full of the profiler's own work
        bare_s += [sample(call, 1, clock) for _ in range(at_once)]
        with _profiler(device) as profiler:
            profiled_s += [sample(_named(call), 1, clock) for _ in range(at_once)]
        events = profiler.events() or ()
        ranges += [event for event in events if event.name == RANGE and event.device_type.name == "CPU"]
    return bare_s, profiled_s, ranges


def _trace(call: Callable[[], object], device: str, path: Path) -> None:
    """Write a few calls, with the shapes of all operands, as a file that ui.perfetto.dev shows."""
    with _profiler(device, record_shapes=True) as profiler:
        for _ in range(TRACED_CALLS):
            _named(call)()
    with writing(path):
        path.touch()
    profiler.export_chrome_trace(str(path))


def _profiler(device: str, *, record_shapes: bool = False) -> torch.profiler.profile:
    quieten_profiler()
    return torch.profiler.profile(activities=device_of(device).activities(), record_shapes=record_shapes)


def _named(call: Callable[[], object]) -> Callable[[], None]:
    def named() -> None:
        with record_function(RANGE):
            call()

    return named


def mean_times(
    ranges: Sequence[Any], expected: Sequence[Operation], case: Case
) -> tuple[list[tuple[Operation, float]], float]:
    """Each operator with its mean seconds over the middle half of the calls, and those outside of them."""
    names = [_either(each.operator) for each in expected]
    ranges = sorted(ranges, key=partial(_seconds, device=case.device))
    middle = ranges[len(ranges) // 4 : len(ranges) - len(ranges) // 4]
    calls = [list(_outermost(each, set(names))) for each in middle]
    for events in calls:
        _require_same([_either(_operator(event)) for event in events], names, case)
    means = [fmean(_seconds(event, case.device) for event in same) for same in zip(*calls, strict=True)]
    real = [replace(each, operator=_operator(event)) for each, event in zip(expected, calls[0], strict=True)]
    whole = fmean(_seconds(each, case.device) for each in middle)
    return list(zip(real, means, strict=True)), max(0.0, whole - sum(means))


def lines(timed: Sequence[tuple[Operation, float]], outside_s: float) -> Iterator[Line]:
    """A line an operator, and one for what is spent outside of them."""
    yield from by_operator(timed)
    yield Line(OUTSIDE, Part.between, calls=0, self_s=outside_s, bytes=0, macs=0)


def _require_same(operators: list[str], expected: list[str], case: Case) -> None:
    if operators == expected:
        return
    pairs = zip_longest(operators, expected, fillvalue="nothing")
    here, there = next((here, there) for here, there in pairs if here != there)
    raise AttnbenchError(
        f"{case.label} cannot be profiled: its calls do not run the same operators every time ({here} in one "
        f"where {there} was in another), so that their times cannot be put together. Take what depends on "
        "chance or on values out of the layer."
    )


def _either(operator: str) -> str:
    """An operator's name without telling whether it is in place: torch may choose that by who watches."""
    return operator.rstrip("_")


def _outermost(event: Any, names: Container[str]) -> Iterator[Any]:
    """The events below this one that bear one of the names, without what is inside of them, in order."""
    for child in event.cpu_children:
        if _either(_operator(child)) in names:
            yield child
        else:
            yield from _outermost(child, names)


def _operator(event: Any) -> str:
    return str(event.name).removeprefix("aten::")


def _seconds(event: Any, device: str) -> float:
    """How long an event took with all that is inside of it: on a GPU the time of its kernels.

    A range has a span on the GPU, too, from its first kernel to its last. Where torch counts that among the
    range's kernels, by the range's own name, all of them would count twice.
    """
    spans_us = sum(float(kernel.duration) for kernel in event.kernels if kernel.name == event.name)
    return (device_of(device).profiled_us(event) - spans_us) / 1e6


@contextmanager
def _failures(case: Case) -> Iterator[None]:
    """Whatever a layer's call may raise becomes the user's mistake, with torch's reason."""
    try:
        yield
    except AttnbenchError:
        raise
    except CannotRun as refusal:
        raise AttnbenchError(f"{case.label} cannot be profiled: {refusal}.") from refusal
    except WrongOutput as wrong:
        raise AttnbenchError(
            f"{case.label} cannot be profiled: {wrong}. `attnbench check` says more."
        ) from wrong
    except (Exception, SystemExit) as error:
        raise AttnbenchError(
            f"{case.label} cannot be profiled: a call on {case.device} ({case.variant.title}) fails with "
            f"{told(error)}. Choose another --dtype, --kernel, --batch or --res."
        ) from error
