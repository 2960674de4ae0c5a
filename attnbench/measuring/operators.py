"""The operators behind one call: what each reads, writes and multiplies, from its real tensors."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from attnbench.measuring.formulas import multiply_adds
from attnbench.measuring.model_parts import Whereabouts, followed
from attnbench.records.profile import (
    ALLOCATIONS,
    CONVOLUTION,
    LOOKUPS,
    PRODUCTS,
    WRITES,
    Operation,
    Part,
    part_of,
)


def operations(call: Callable[[], object], layer: nn.Module) -> list[Operation]:
    """Every operator of a call of `layer` that computes or moves numbers, in order; views do neither."""
    with followed(layer) as where, _Observer(layer.parameters(), where) as observer:
        call()
    return [each for each in observer.seen if each.part is not Part.between]


class _Observer(TorchDispatchMode):
    """Sees each operator with its tensors and where it is, and follows what is made of parameters alone."""

    def __init__(self, parameters: Iterable[Tensor], where: Whereabouts) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.where = where
        self.weights = {
            _storage(parameter): parameter for parameter in parameters
        }  # kept alive: addresses stay
        self.seen: list[Operation] = []

    def __torch_dispatch__(
        self, function: Any, _types: object, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        result = function(*args, **(kwargs or {}))
        outputs = _tensors(result)
        inputs = _tensors([args, {key: value for key, value in (kwargs or {}).items() if key != "out"}])
        self.seen.append(self._operation(function._schema, args, inputs, outputs))
        if inputs and all(map(self._is_weight, inputs)):
            self.weights |= {_storage(output): output for output in outputs}
        return result

    def _operation(
        self, schema: torch.FunctionSchema, args: Sequence[Any], inputs: list[Tensor], outputs: list[Tensor]
    ) -> Operation:
        operator = schema.name.removeprefix("aten::")
        if operator in ALLOCATIONS or (not schema.is_mutable and _are_views(outputs, inputs)):
            return Operation(operator, Part.between, bytes=0, macs=0)
        operands = [args[position] for position in PRODUCTS.get(operator, ())]
        part = part_of(
            operator,
            with_weight=any(map(self._is_weight, operands)),
            in_patches=operator == CONVOLUTION and _in_patches(args),
        )
        return Operation(
            operator,
            part,
            bytes=_bytes(operator, inputs, outputs),
            macs=round(multiply_adds(operator, args, outputs) or 0),
            stage=self.where.stage,
            kind=self.where.kind,
        )

    def _is_weight(self, tensor: Tensor) -> bool:
        return _storage(tensor) in self.weights


def _tensors(values: object) -> list[Tensor]:
    """The tensors among values, each once."""
    by_id = {id(leaf): leaf for leaf in tree_leaves(values) if isinstance(leaf, Tensor)}
    return list(by_id.values())


def _storage(tensor: Tensor) -> int:
    return tensor.untyped_storage().data_ptr()


def _are_views(outputs: list[Tensor], inputs: list[Tensor]) -> bool:
    return {_storage(output) for output in outputs} <= {_storage(tensor) for tensor in inputs}


def _bytes(operator: str, inputs: list[Tensor], outputs: list[Tensor]) -> int:
    """What must at least be read and written: each tensor once, of a table no more than is looked up."""
    read = sum(map(_distinct_bytes, inputs))
    written = sum(map(_distinct_bytes, outputs))
    first = _distinct_bytes(inputs[0]) if inputs else 0
    if operator in WRITES:
        read -= first
    if operator in LOOKUPS:
        read -= max(0, first - written)
    return read + written


def _distinct_bytes(tensor: Tensor) -> int:
    """The bytes behind a tensor; what is expanded is there once."""
    sides = (side for side, stride in zip(tensor.shape, tensor.stride(), strict=True) if stride)
    return min(math.prod(sides) * tensor.itemsize if tensor.numel() else 0, tensor.untyped_storage().nbytes())


def _in_patches(args: Sequence[Any]) -> bool:
    """Whether a convolution's patches neither overlap nor leave gaps."""
    _, weight, _, stride, padding, dilation = args[:6]
    return list(weight.shape[2:]) == list(stride) and not any(padding) and set(dilation) == {1}
