"""What lies on a device beside the call of a case, for as long as a session times its block."""

import math
from collections.abc import Sequence

from attnbench.cases.case import Case, Mode, Role
from attnbench.measuring.ceiling import work
from attnbench.measuring.execution import dtype_of
from attnbench.measuring.layers import number_of_inputs


def beside_bytes(case: Case, cases: Sequence[Case], threads: int) -> int:
    """The bytes of what the ceilings compute on, and of all inputs but those that its own call is given.

    `cases` may be of other blocks, too. Weights of other layers are not in it, which are small beside these.
    """
    here = [each for each in cases if each.device == case.device]
    formats = {
        dtype_of(each.variant)
        for each in here
        if each.role is Role.ceiling and each.workload.geometry == case.workload.geometry
    }
    held = sum(work("matmul", case.device, dtype, threads)[1] for dtype in formats)
    held += work("copy", case.device, dtype_of(case.variant), threads)[1] if formats else 0
    alike = [each for each in here if each.role is not Role.ceiling and each.workload == case.workload]
    tokens = {dtype_of(each.variant): _tokens_bytes(each) for each in alike}
    return held + sum(tokens.values()) - _given_bytes(case, inputs=1)


def _tokens_bytes(case: Case) -> int:
    """Those of all inputs of one number format, and of the gradient."""
    return _given_bytes(case, inputs=number_of_inputs(case))


def _given_bytes(case: Case, *, inputs: int) -> int:
    workload, numbers = case.workload, inputs * math.prod(case.workload.shape)
    if workload.mode is Mode.training:
        numbers += math.prod(workload.output_shape)
    return numbers * dtype_of(case.variant).itemsize
