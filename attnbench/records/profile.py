"""Where the time of one call goes: measured by `measure.profile`, shown by `report`, and free of torch.

An operator is what a layer's call comes down to in torch: `linear` is taken apart to `addmm`, `contiguous` to
`clone`, and whatever torch does inside of these is theirs. Each falls into a part by its name, a product also
by whether one of its operands is a weight (a parameter, or made of parameters alone):

- projections: products with a weight, as a linear layer is one, and convolutions with a weight whose patches
  neither overlap nor leave gaps (1 × 1, or a stride of the kernel's size);
- attention core: every other product and convolution (depthwise ones of large kernels too), fused attention,
  softmax, the choice of keys (topk, sort), bilinear samples;
- data movement: operators that compute nothing, also where a matmul or `attend` needs the copy;
- element-wise and norms: everything else: sums, means, pooling, norms, activations, gates, biases, masks;
- between operators: views, which touch no number, and what is spent outside of operators: Python, torch's
  dispatch, giving memory back, the profiler itself.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from itertools import groupby

from attnbench.cases.case import Case

OUTSIDE = "outside operators"
OTHERS = "others"
SMALL = 0.01  # the share of a call below which an operator has no line of its own


class Part(StrEnum):
    """What an operator is there for."""

    projections = "projections"
    core = "attention core"
    movement = "data movement"
    element_wise = "element-wise and norms"
    between = "between operators"


# Products, and the positions of their two operands among the arguments.
PRODUCTS = {
    **dict.fromkeys(("mm", "bmm", "mv", "dot", "vdot", "convolution"), (0, 1)),
    **dict.fromkeys(("addmm", "_addmm_activation", "baddbmm", "addbmm", "addmv"), (1, 2)),
}
CONVOLUTION = "convolution"
FUSED = "scaled_dot_product"  # in the name of every back-end: _scaled_dot_product_flash_attention, …
CORE = {"_softmax", "_log_softmax", "topk", "sort", "grid_sampler_2d", "cudnn_grid_sampler"}
LOOKUPS = {
    *("index_select", "gather", "index", "embedding", "take"),
    *("_embedding_bag", "_embedding_bag_forward_only"),
}  # the first argument is looked up in
WRITES = {"copy_", "fill_", "zero_"}  # the first argument is written and not read
COPIES = set(
    """
    clone _to_copy cat stack roll flip repeat constant_pad_nd reflection_pad2d replication_pad2d im2col col2im
    index_put index_put_ index_copy index_copy_ scatter scatter_ slice_scatter masked_select pixel_shuffle
    pixel_unshuffle channel_shuffle arange zeros ones full zeros_like ones_like full_like new_zeros new_ones
    new_full
    """.split()  # noqa: SIM905 - a list to read
)
ALLOCATIONS = {"empty", "empty_like", "empty_strided", "new_empty", "new_empty_strided"}


def part_of(operator: str, *, with_weight: bool, in_patches: bool) -> Part:
    """The part of an operator that is no view.

    `with_weight` and `in_patches` tell products apart: an operand is a weight, and a convolution's patches
    neither overlap nor leave gaps.
    """
    if operator in LOOKUPS | WRITES | COPIES:
        return Part.movement
    if operator in ALLOCATIONS:
        return Part.between
    if operator in PRODUCTS:
        projects = with_weight and (in_patches or operator != CONVOLUTION)
        return Part.projections if projects else Part.core
    return Part.core if operator in CORE or FUSED in operator else Part.element_wise


@dataclass(frozen=True, slots=True)
class Operation:
    """One operator of one call: bytes that it reads and writes at least, and its multiply-adds.

    In a model it has a `stage`, and a `kind` of module that it is in.
    """

    operator: str
    part: Part
    bytes: int
    macs: int
    stage: str = ""
    kind: str = ""


@dataclass(frozen=True, slots=True)
class Line:
    """What all `calls` of an operator take in one call of the layer; 0 calls where nothing is called."""

    operator: str
    part: Part | None
    calls: int
    self_s: float
    bytes: int
    macs: int

    @property
    def macs_per_s(self) -> float:
        return self.macs / self.self_s if self.self_s else 0.0

    @property
    def bytes_per_s(self) -> float:
        return self.bytes / self.self_s if self.self_s else 0.0


@dataclass(frozen=True, slots=True)
class Profile:
    """One layer's time by operator.

    Times of `lines` are means over the middle half of `profiled_calls`, by length, and add up to such a
    call. By the host's clock, `call_s` is the median of calls without the profiler, between `call_middle_s`
    lies their middle half, and `profiled_call_s` is the median of calls with it. `closed_form_macs` are the
    batch's, if the mechanism has a closed form. Of a model, `stages` and `kinds` of modules have a line each.
    """

    case: Case
    threads: int
    lines: tuple[Line, ...]
    profiled_calls: int
    call_s: float
    call_middle_s: tuple[float, float]
    profiled_call_s: float
    closed_form_macs: int | None
    stages: tuple[Line, ...] = ()
    kinds: tuple[Line, ...] = ()

    @property
    def slowdown(self) -> float:
        """How many times as long a call takes under the profiler."""
        return self.profiled_call_s / self.call_s

    @property
    def total(self) -> Line:
        return together("total", None, self.lines)

    @property
    def main_lines(self) -> list[Line]:
        """The lines that take 1 % and more, largest first, and all others in one."""
        least_s = SMALL * self.total.self_s
        large = sorted((line for line in self.lines if line.self_s >= least_s), key=_largest_first)
        small = [line for line in self.lines if line.self_s < least_s]
        return [*large, *([together(OTHERS, None, small)] if small else [])]

    @property
    def parts(self) -> list[Line]:
        """A line a part, largest first."""
        return sorted(
            (together(str(part), part, mine) for part in Part if (mine := self._of(part))), key=_largest_first
        )

    @property
    def main_product(self) -> Line | None:
        """The operator that does most of the multiply-adds; None where there are none."""
        most = max(self.lines, key=lambda line: line.macs)
        return most if most.macs else None

    @property
    def beyond_products(self) -> dict[Part, float]:
        """What bounds the layer besides its main product, largest first, in shares of the profiled time.

        It is what each part takes longer than its multiply-adds would at the main product's rate.
        """
        rate = self.main_product.macs_per_s if self.main_product else math.inf
        beyond_s = {part: sum(line.self_s - line.macs / rate for line in self._of(part)) for part in Part}
        ordered = sorted(beyond_s.items(), key=lambda item: -item[1])
        return {part: seconds / self.total.self_s for part, seconds in ordered}

    def share(self, line: Line) -> float:
        """A line's share of the profiled time."""
        return line.self_s / self.total.self_s

    def _of(self, part: Part) -> list[Line]:
        return [line for line in self.lines if line.part is part]


def by_operator(timed: Iterable[tuple[Operation, float]]) -> tuple[Line, ...]:
    """A line an operator and part, from single operations and their seconds."""
    lines = [Line(each.operator, each.part, 1, seconds, each.bytes, each.macs) for each, seconds in timed]
    lines.sort(key=_name)
    return tuple(together(operator, part, list(mine)) for (operator, part), mine in groupby(lines, key=_name))


def by_place(timed: Iterable[tuple[Operation, float]], name: str) -> tuple[Line, ...]:
    """A line a `stage` or `kind` in which operators are, in the order of the first of each."""
    lines: dict[str, list[Line]] = {}
    for each, seconds in timed:
        line = Line(each.operator, each.part, 1, seconds, each.bytes, each.macs)
        lines.setdefault(getattr(each, name), []).append(line)
    return tuple(together(place, None, mine) for place, mine in lines.items())


def together(operator: str, part: Part | None, lines: Iterable[Line]) -> Line:
    """Several lines as one."""
    lines = list(lines)
    return Line(
        operator,
        part,
        calls=sum(line.calls for line in lines),
        self_s=sum(line.self_s for line in lines),
        bytes=sum(line.bytes for line in lines),
        macs=sum(line.macs for line in lines),
    )


def _name(line: Line) -> tuple[str, Part | None]:
    return line.operator, line.part


def _largest_first(line: Line) -> float:
    return -line.self_s
