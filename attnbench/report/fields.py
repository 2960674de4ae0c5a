"""What rows have beside quantities: cases, outcomes and plain numbers, under the names that programs read."""

from collections.abc import Callable
from operator import attrgetter
from statistics import fmean
from typing import TypeVar

from attnbench.analysis.rows import Row, Timing
from attnbench.cases.case import Case
from attnbench.cases.variant import MEANINGS
from attnbench.mechanism import Geometry
from attnbench.records.record import Check, Memory
from attnbench.report.column import CaseField, Field

Part = TypeVar("Part")


def _of(part: Callable[[Row], Part | None], get: Callable[[Part], object]) -> Callable[[Row], object]:
    """What a row's part says, and None of a row without it."""

    def value(row: Row) -> object:
        found = part(row)
        return None if found is None else get(found)

    return value


def _timing(row: Row) -> Timing | None:
    return row.timing


def _weighed(row: Row) -> Memory | None:
    return row.record.memory


def _check(row: Row) -> Check | None:
    return row.record.check


def _paced(row: Row) -> float | None:
    return fmean(row.record.sampled("host_paced")) if row.timing else None


def _of_tokens(get: Callable[[Geometry], int]) -> Callable[[Case], int | None]:
    """What a layer of tokens is built for; a model has several such layers."""
    return lambda case: None if case.workload.geometry.images else get(case.workload.geometry)


LAYER = (
    CaseField("label", "The word that chose the layer.", lambda case: case.label),
    CaseField("mechanism", "Name of the mechanism.", lambda case: case.mechanism),
    CaseField("title", "What tables call the layer.", lambda case: case.title),
    CaseField("settings", "All settings of the layer.", lambda case: case.settings),
)
DEVICE = CaseField("device", "What the layer ran on, as torch calls it.", lambda case: case.device)
SIZE = (
    CaseField(
        "height", "Tokens from top to bottom; of a model, pixels.", lambda case: case.workload.geometry.height
    ),
    CaseField(
        "width", "Tokens from left to right; of a model, pixels.", lambda case: case.workload.geometry.width
    ),
)
SETTING = (
    CaseField("dim", "Channels of a token.", _of_tokens(lambda geometry: geometry.dim)),
    CaseField("heads", "Heads of attention.", _of_tokens(lambda geometry: geometry.heads)),
    CaseField("batch", "Images in one call.", lambda case: case.workload.batch),
    CaseField(
        "mode",
        "What a call does: inference, or training with its backward pass.",
        lambda case: case.workload.mode.value,
    ),
    *(CaseField(name, meaning, attrgetter(f"variant.{name}")) for name, meaning in MEANINGS.items()),
)
THREADS = Field("threads", "Threads that torch may use.", lambda row: row.record.conditions.threads)
CASE = (*LAYER, DEVICE, *SIZE, *SETTING)
OUTCOME = (
    Field(
        "outcome",
        "What became of it: measured, interrupted, unsupported, out_of_memory, timed_out, crashed or wrong.",
        lambda row: row.outcome,
    ),
    Field("reason", "Why it was not measured, or not counted.", lambda row: row.record.reason),
)
COUNTED = (
    Field(
        "macs_closed_form",
        "Multiply-adds of one image's forward pass by the mechanism's own formula.",
        lambda row: row.record.macs_closed_form,
        "multiply-adds",
    ),
    Field(
        "uncounted",
        "Operators without a formula that may hold multiply-adds.",
        lambda row: row.record.uncounted,
    ),
    Field(
        "least_bytes",
        "What a call must move at least: weights and input read, output written, each once.",
        lambda row: row.record.least_bytes,
        "bytes",
    ),
)
WEIGHED = (
    Field(
        "memory_entry_bytes",
        "What is there before the call: weights, buffers, input, and in training the output's gradient.",
        _of(_weighed, lambda memory: memory.entry_bytes),
        "bytes",
    ),
    Field(
        "memory_scope",
        "The device whose allocator told the memory of the call.",
        _of(_weighed, lambda memory: memory.scope),
    ),
    Field(
        "memory_reserved_bytes",
        "The most that the CUDA allocator held.",
        _of(_weighed, lambda memory: memory.reserved_bytes),
        "bytes",
    ),
    Field(
        "memory_process_bytes",
        "The most that the process had in memory, which no two runs share.",
        _of(_weighed, lambda memory: memory.process_bytes),
        "bytes",
    ),
    Field(
        "predicted_bytes",
        "What a call was expected to need at once, weights and input included.",
        lambda row: row.record.predicted_bytes,
        "bytes",
    ),
    Field(
        "available_bytes",
        "What there was when that was expected.",
        _of(lambda row: row.record.prediction, lambda prediction: prediction.available_bytes),
        "bytes",
    ),
)
CHECKED = (
    Field(
        "relative_error",
        "How far a variant is from the same layer in float64, by the norm of the difference over the norm.",
        _of(_check, lambda check: check.relative_error),
    ),
    Field(
        "preparation_s",
        "Time of the first call of a variant that compiles or captures, which is in no sample.",
        _of(_check, lambda check: check.preparation_s),
        "s",
    ),
)
BASELINE = Field(
    "baseline",
    "Label of the layer that the row is compared with.",
    _of(_timing, lambda timing: timing.baseline),
)
VERDICT = Field(
    "verdict",
    "Beside the baseline: faster, slower, same or unclear, corrected for all rows together.",
    _of(_timing, lambda timing: timing.verdict),
)
LIMITED_BY = Field(
    "limited_by",
    "The limit that is nearer: compute or memory.",
    _of(lambda row: row.timing.limit if row.timing else None, lambda limit: limit.by),
)
IMPOSSIBLY_FAST = Field(
    "impossible",
    "Whether it took less time than this machine needs for its work, so that no verdict rests on it.",
    _of(_timing, lambda timing: timing.impossible),
)
EVIDENCE = (
    Field(
        "noise_floor",
        "How far from 1 the ratio of two identical layers may lie in the row's block.",
        _of(_timing, lambda timing: timing.noise_floor),
    ),
    Field("rounds", "Rounds that timed the row.", lambda row: row.timing.rounds if row.timing else 0),
    Field(
        "rounds_settling",
        "First rounds that count for nothing, slower than all later ones of their session.",
        lambda row: sum(row.record.sampled("settling")),
    ),
    Field("sessions", "Processes that timed it.", lambda row: row.timing.sessions if row.timing else 0),
    Field(
        "session_spread",
        "How far apart the times of sessions lie, as a share of the smallest.",
        _of(_timing, lambda timing: timing.session_spread),
    ),
    Field(
        "precision",
        "How near to its value an interval's ends were asked to be, as a share.",
        lambda row: row.record.conditions.protocol.precision,
    ),
    Field(
        "converged",
        "Whether the ratio is as precise as that, or the baseline's time twice as wide at most.",
        _of(_timing, lambda timing: timing.converged),
    ),
    Field("host_paced", "Share of samples in which the device waited for the host.", _paced),
    Field("backends", "Torch's forms of fused attention that ran.", lambda row: row.record.backends),
)
ORIGIN = (
    Field(
        "processor",
        "Name of what computed.",
        lambda row: row.record.conditions.machine.processor(row.device),
    ),
    Field("torch", "Version of torch.", lambda row: row.record.conditions.machine.torch),
    Field("attnbench", "Version of attnbench.", lambda row: row.record.conditions.machine.attnbench),
    Field(
        "started_at",
        "When the case's block began to be measured.",
        lambda row: row.record.conditions.started_at,
    ),
)
