"""Parameters and multiply-adds of a layer, and what could not be counted.

One FLOP is one multiply-add, as in the papers that the registry reproduces and as fvcore counts, and of
complex numbers one of theirs. fvcore's own small terms are part of the convention: see `formulas`. Where
fvcore has no formula, or one that is inexact (fused attention and baddbmm count as zero there, einsum is
rounded to four digits, matmul loses dimensions that broadcast), an operator costs what it is made of: it runs
once on tensors without memory, and what torch makes of it is counted.
"""

import math
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch._ops import HigherOrderOperator
from torch.jit import TracerWarning  # type: ignore[attr-defined]
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from attnbench.errors import AttnbenchError
from attnbench.measuring.formulas import is_free, multiply_adds
from attnbench.measuring.layers import without_memory
from attnbench.mechanism import Geometry, OperatorMacs

with warnings.catch_warnings():
    warnings.filterwarnings("ignore", "`torch.jit")  # what fvcore uses, of which torch 2.14 tells everybody
    from fvcore.nn import FlopCountAnalysis
    from fvcore.nn.jit_handles import get_shape

SIZED_BY_VALUES = {torch.Tag.dynamic_output_shape, torch.Tag.data_dependent_output}
Handle = Callable[[Sequence[Any], Sequence[Any]], float]


class Uncountable(Exception):  # noqa: N818
    """A layer that cannot be run, with its parameters that train and all numbers that its state holds."""

    def __init__(self, params: int, numbers: int, why: Exception) -> None:
        super().__init__(f"{type(why).__name__}: {why}")
        self.params, self.numbers = params, numbers


@dataclass(frozen=True, slots=True)
class Count:
    """What one image costs: `params` that train, `macs` of the forward pass, and the operators behind them.

    `numbers` are all that its state holds, buffers included and what is shared once. `uncounted` names
    operators without a formula that may hold multiply-adds; where there are any, `macs` is a lower bound.
    Where the work depends on the image, `macs_of_another` are those of a second one.
    """

    params: int
    numbers: int
    macs: int
    by_operator: Mapping[str, int]
    uncounted: tuple[str, ...]
    macs_of_another: int | None = None


def count(
    layer: nn.Module,
    geometry: Geometry,
    operators: Mapping[str, OperatorMacs] | None = None,
    *,
    must_trace: bool = False,
) -> Count:
    """The cost of `layer` for one image of this geometry, counted on its traced forward pass.

    A layer that cannot be traced is counted as it runs, unless it `must_trace`. `operators` are formulas of
    the layer's own. An `Uncountable` has what is known of a layer that does not run.
    """
    layer.eval()
    params = sum(parameter.numel() for parameter in layer.parameters() if parameter.requires_grad)
    numbers = sum(each.numel() for each in {id(each): each for each in _state(layer)}.values())
    with torch.no_grad(), _slow_path():
        try:
            find = partial(_trace if must_trace else _macs_of, layer, operators=operators or {})
            macs = find(_image(layer, geometry))
            another = find(_image(layer, geometry, 1)) if macs.looks else macs
        except AttnbenchError:
            raise
        except Exception as error:
            raise Uncountable(params, numbers, error) from error
    return Count(
        params=params,
        numbers=numbers,
        macs=macs.total,
        by_operator={name: round(each) for name, each in macs.by_operator.items() if each},
        uncounted=tuple(sorted(macs.unknown)),
        macs_of_another=another.total if another.total != macs.total else None,
    )


def _macs_of(layer: nn.Module, x: Tensor, operators: Mapping[str, OperatorMacs]) -> "_Macs":
    try:
        return _trace(layer, x, operators)
    except (AttnbenchError, MemoryError, torch.OutOfMemoryError):
        raise
    except Exception:  # torch traces less than it runs
        return _run(layer, x, operators)


def count_on_meta(
    build: Callable[[], nn.Module],
    geometry: Geometry,
    operators: Mapping[str, OperatorMacs] | None = None,
    *,
    must_trace: bool = True,
) -> Count | None:
    """The cost of the layer that `build` makes, on tensors without memory: a map of any size in milliseconds.

    None where that cannot be traced: torch refuses convolutions, and a layer may look at values. What need
    not be traced is counted as it runs, which has other names for the same operators.
    """
    try:
        with without_memory():
            return count(build(), geometry, operators, must_trace=must_trace)
    except AttnbenchError:
        raise
    except Exception:
        return None


@dataclass(slots=True)
class _Macs:
    """Multiply-adds by operator, and the operators that nobody has a formula for.

    It `looks` at values where numbers of the image decide what is done.
    """

    by_operator: Counter[str] = field(default_factory=Counter)
    unknown: set[str] = field(default_factory=set)
    looks: bool = False

    @property
    def total(self) -> int:
        return round(sum(self.by_operator.values()))


class _AsItRuns(TorchDispatchMode):
    """Counts what torch runs, operator by operator; an element-wise product as `per_product` by number."""

    supports_higher_order_operators = True

    def __init__(self, operators: Mapping[str, OperatorMacs] | None = None, per_product: float = 0.0) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.macs = _Macs(looks=True)
        self.operators = operators or {}
        self.per_product = per_product

    def __torch_dispatch__(
        self, function: Any, _types: object, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        result = function(*args, **(kwargs or {}))
        name = function.name() if isinstance(function, HigherOrderOperator) else function._schema.name
        outputs = [leaf for leaf in tree_leaves(result) if isinstance(leaf, Tensor)]
        space, _, operator = name.partition("::")
        macs = multiply_adds(operator, args, outputs) if space == "aten" else None
        if formula := self.operators.get(name):
            macs = formula([_sides(each) for each in args], [tuple(each.shape) for each in outputs])
        if macs is None:
            self.macs.unknown.add(name)
        if operator == "mul":
            macs = self.per_product * outputs[0].numel()
        self.macs.by_operator[operator] += macs or 0  # type: ignore[assignment]
        return result


class _Looks(TorchDispatchMode):
    """Sees whether numbers decide how large something is."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.at_values = False

    def __torch_dispatch__(
        self, function: Any, _types: object, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        self.at_values |= bool(SIZED_BY_VALUES & set(function.tags)) and not _picks_by_number(args)
        return function(*args, **(kwargs or {}))


def _looks(layer: nn.Module, x: Tensor) -> bool:
    observer = _Looks()
    with observer:
        layer(x)
    return observer.at_values


def _picks_by_number(args: Sequence[Any]) -> bool:
    """Whether an index is made of whole numbers, so that as much is picked whatever they are."""
    indices = args[1] if len(args) > 1 and isinstance(args[1], list | tuple) else []
    kinds = {each.dtype for each in indices if isinstance(each, Tensor)}
    return bool(kinds) and not kinds & {torch.bool, torch.uint8}


def _trace(layer: nn.Module, x: Tensor, operators: Mapping[str, OperatorMacs]) -> _Macs:
    """What fvcore finds in the traced forward pass, and the parts of what it has no formula for."""
    own = {name: _handle(formula) for name, formula in operators.items()}
    analysis = FlopCountAnalysis(layer, x).set_op_handle(**HANDLES, **own)
    analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False).tracer_warnings("all")
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        by_operator = analysis.by_operator()
    looks = any(issubclass(each.category, TracerWarning) for each in told) or _looks(layer, x)
    analysis.tracer_warnings("none")
    unknown = {name for name in analysis.unsupported_ops() if not is_free(name)}
    in_parts = {name: _InParts(name) for name in unknown if name.startswith("aten::")}
    if in_parts:
        by_operator = analysis.set_op_handle(**in_parts).by_operator()
    failed = {name for name, parts in in_parts.items() if parts.failed}
    return _Macs(by_operator, (unknown - in_parts.keys()) | failed, looks)


def _run(layer: nn.Module, x: Tensor, operators: Mapping[str, OperatorMacs]) -> _Macs:
    observer = _AsItRuns(operators)
    with observer:
        layer(x)
    return observer.macs


def _handle(formula: OperatorMacs) -> Handle:
    """A formula of shapes as fvcore asks it, with values of a trace."""

    def macs(inputs: Sequence[Any], outputs: Sequence[Any]) -> float:
        given, made = ([_sides_in_trace(value) for value in values] for values in (inputs, outputs))
        return formula(given, [sides for sides in made if sides is not None])

    return macs


def _sides_in_trace(value: Any) -> tuple[int, ...] | None:
    sides = get_shape(value) if isinstance(value.type(), torch._C.TensorType) else None
    return tuple(sides) if sides is not None else None


def _sides(value: object) -> tuple[int, ...] | None:
    return tuple(value.shape) if isinstance(value, Tensor) else None


def _image(layer: nn.Module, geometry: Geometry, seed: int = 0) -> Tensor:
    """One image, or its tokens, of random numbers as the layer's first real parameter would have them."""
    real = (parameter for parameter in layer.parameters() if parameter.is_floating_point())
    like = next(real, torch.empty(0))
    shape = geometry.input_shape(1)
    if like.is_meta:
        return torch.empty(shape, device="meta", dtype=like.dtype)
    drawn = torch.randn(shape, generator=torch.Generator().manual_seed(seed), device="cpu")
    return drawn.to(like.device, like.dtype)


def _state(layer: nn.Module) -> Iterator[Tensor]:
    for each in layer.state_dict(keep_vars=True).values():
        if isinstance(each, Tensor):
            yield each


@contextmanager
def _slow_path() -> Iterator[None]:
    """Without torch's fused form of its own attention module, which hides its products."""
    before = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(before)


class _InParts:
    """The multiply-adds of an operator by those that torch makes of it, for the tensors of a trace.

    It `failed` where it cannot be run on tensors without memory, or is made of something unknown.
    """

    def __init__(self, name: str) -> None:
        self.operator = name.removeprefix("aten::")
        self.failed = False

    def __call__(self, inputs: Sequence[Any], _outputs: Sequence[Any]) -> float:
        try:
            parts = _parts(self.operator, [_argument(value) for value in inputs])
        except Exception:
            self.failed = True
            return 0
        self.failed |= bool(parts.unknown)
        return sum(parts.by_operator.values())


def _parts(operator: str, args: Sequence[Any], per_product: float = 0.0) -> _Macs:
    """What one call of an operator of torch comes to, for tensors without memory.

    Of its overloads that take so many arguments the first is taken that takes these.
    """
    packet = getattr(torch.ops.aten, operator)
    for overload in (getattr(packet, name) for name in packet.overloads()):
        wanted = overload._schema.arguments
        if len(wanted) != len(args) or any(each.is_out for each in wanted):
            continue
        pairs = list(zip(wanted, args, strict=True))
        placed = [value for argument, value in pairs if not argument.kwarg_only]
        named = {argument.name: value for argument, value in pairs if argument.kwarg_only}
        observer = _AsItRuns(per_product=per_product)
        try:
            with observer:
                overload(*placed, **named)
        except (RuntimeError, TypeError, NotImplementedError):
            continue
        return observer.macs
    raise LookupError(operator)


def _argument(value: Any) -> Any:
    """What stands in a trace, with tensors that have a shape and a dtype and no memory."""
    kind = value.type()
    if isinstance(kind, torch._C.TensorType):
        sides = kind.sizes()
        if sides is None:
            raise LookupError("a tensor without a shape")
        return torch.empty(sides, dtype=kind.dtype(), device="meta")
    node = value.node()
    if node.kind() in ("prim::ListConstruct", "prim::TupleConstruct"):
        return [_argument(each) for each in node.inputs()]
    if node.kind() != "prim::Constant":
        raise LookupError(f"a value that {node.kind()} made")
    return value.toIValue()


def _matmul(inputs: Sequence[Any], outputs: Sequence[Any]) -> int:
    """Every output element sums over the dimension that the operands share, whatever else broadcasts."""
    return int(math.prod(get_shape(outputs[0])) * get_shape(inputs[0])[-1])


def _attention(inputs: Sequence[Any], _outputs: Sequence[Any]) -> int:
    q, k, v = (get_shape(value) for value in inputs[:3])
    return int(math.prod(q[:-1]) * k[-2] * (q[-1] + v[-1]))


def _norm(weight: int) -> Handle:
    """5 per element of a norm whose weight is the argument at this place, 4 where that is None."""
    return lambda inputs, _: math.prod(get_shape(inputs[0])) * (5 if get_shape(inputs[weight]) else 4)


def _einsum(inputs: Sequence[Any], _outputs: Sequence[Any]) -> float:
    """Operands contract two at a time in the order that torch chose, with opt_einsum or without.

    A contraction that sums nothing multiplies without adding, and so costs half.
    """
    parts = _parts("einsum", [_argument(value) for value in inputs], per_product=0.5)
    return sum(parts.by_operator.values())


HANDLES: dict[str, Handle] = {
    "aten::matmul": _matmul,
    "aten::mm": _matmul,
    "aten::bmm": _matmul,
    "aten::baddbmm": lambda inputs, outputs: _matmul(inputs[1:], outputs),
    "aten::einsum": _einsum,
    "aten::scaled_dot_product_attention": _attention,
    "aten::layer_norm": _norm(2),
    "aten::group_norm": _norm(2),
    "aten::instance_norm": _norm(1),
    "aten::adaptive_avg_pool2d": lambda _inputs, _outputs: 0,
}
