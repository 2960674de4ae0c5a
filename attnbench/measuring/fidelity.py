"""Whether a timed layer does its work: its results on new tokens, beside those of a new layer.

A layer may return what it kept of another input, leave work out after some calls, or let a thread go on with
it. Then its results on tokens that it never saw are not those that a new layer of the same seed has for them,
one image at a time, in a process where nothing is timed. A few projections of each image say so, which fit
into a fact.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import zip_longest

import torch
from torch import Tensor, nn

from attnbench.cases.case import Case, Role
from attnbench.cases.registry import Registry
from attnbench.cases.variant import Variant
from attnbench.machine.devices import any_lost
from attnbench.measuring.execution import cast, running
from attnbench.measuring.journal_writer import JournalWriter, failure_as_fact
from attnbench.measuring.layers import (
    Call,
    Data,
    Results,
    WrongOutput,
    build,
    check_results,
    is_shortage,
    make_step,
    shares_memory,
    untouched,
)
from attnbench.measuring.seeds import seed_torch
from attnbench.measuring.sketch import (
    ROUGHLY,
    Sketch,
    distance,
    distances,
    is_constant,
    numbers_of,
    scales_of,
    sketch,
    sketch_of,
)
from attnbench.records.block_state import BlockState
from attnbench.records.journal import Expected, Returned, Started

ELSEWHERE = 0.6  # a result that is so far away is another one's, and not the same but for rounding
LATE_S = 1.0  # for how long a call that has returned is given to change what it returned


def renew(data: Data, seed: int) -> None:
    """Write the same new tokens into all inputs, so that neither address nor shape tells them from the old.

    The first numbers stay those of the first input. In training there is a new gradient, too.
    """
    first, *others = data.inputs
    generator = torch.Generator().manual_seed(seed + 2)
    kept = first[0, 0, : first.shape[-1] // 2].clone()
    for image in [*first, *([] if data.gradient is None else data.gradient)]:
        image.copy_(torch.randn(image.shape, generator=generator))
    first[0, 0, : len(kept)] = kept
    for other in others:
        other.copy_(first)


def expect(registry: Registry, case: Case, seed: int, data: Data, index: int) -> Expected:
    """What a new layer gives for new tokens, which are in `data`: image by image, or why nobody can tell.

    Where the images of a batch see each other in training, the batch as a whole tells. An image whose result
    is not its own is a `WrongOutput`.
    """
    looks = _Looks(registry, case, seed, data)
    alone, scales = looks.alone()
    last = looks.together()
    together = sketch(last)
    rough = ROUGHLY[case.variant.computed]
    scales = [max(pair) for pair in zip_longest(scales, scales_of(together, case.variant), fillvalue=0.0)]
    if is_constant(together[0] if alone is None else torch.cat([alone[0], together[0]])):
        _require_numbers_of_its_own(last[0])
        _require_finished(last, together)
    if not any(scales):
        return Expected(index, (), (), False, "its results hardly depend on its input")
    passed_on = shares_memory(last[0], looks.batch)
    input_itself = Expected(index, (), (), False, "its output is its input, or a view of it")
    if alone and distance(alone, together, scales) <= rough:
        return input_itself if passed_on else _expected(index, alone, scales, alone=True)
    again = looks.together()
    if distance(sketch(again), together, scales) > rough:
        _require_finished(last, together)
        return Expected(index, (), (), False, "its results differ from call to call")
    turned = distance(sketch(looks.turned()), together, scales)
    if turned <= rough:
        return input_itself if passed_on else _expected(index, together, scales, alone=False)
    if turned <= ELSEWHERE:
        return Expected(index, (), (), False, "its results depend on the batch by more than rounding")
    raise WrongOutput(
        "images of a batch get results that are not their own: in another order they get others, "
        f"{turned:.2g} of what lies between two images away"
    )


def compare_with_new_layers(
    state: BlockState, registry: Registry, calls: Mapping[int, Call], writer: JournalWriter
) -> None:
    """Find out which of the timed layers do not do their work any more; those are wrong.

    Where nothing is expected of a member yet, what it gives is written down for who will know.
    """
    seed = state.job.protocol.seed
    asked = {index: call for index, call in calls.items() if state.job.cases[index].role is Role.member}
    for data in {id(call.data): call.data for call in asked.values()}.values():
        renew(data, seed)
    for index, call in asked.items():
        case, expected = state.job.cases[index], state.expected.get(index)
        with failure_as_fact(index, writer, case.variant):
            if expected and expected.reason:
                continue
            writer.write(Started(index, "the comparison with a new layer"))
            returned = what_is_returned(registry, call, case, seed, index)
            if expected:
                require_fidelity(returned, expected, case.variant)
            else:
                writer.write(returned)


def what_is_returned(registry: Registry, call: Call, case: Case, seed: int, index: int) -> Returned:
    """What a timed layer gives for the new tokens in its inputs, and a new one that has its buffers.

    A layer that changes its input is a `WrongOutput`.
    """
    with untouched(call.data):
        state = [buffer.clone() for buffer in call.layer.buffers()]
        with call.around():
            results = call.run()
        given = sketch(results)
        if case.variant.cuda_graph:
            call.layer.zero_grad()  # gradients in memory where graphs of other inputs have written since
        check_results(results[0], call.layer, case)
        looks = _Looks(registry, case, seed, call.data, state)
        has_moved = bool(state) and looks.moved
        return Returned(
            index,
            numbers_of(given),
            moved=numbers_of(sketch(looks.together())) if has_moved else (),
            moved_alone=numbers_of(looks.alone()[0] or ()) if has_moved else (),
            kept=_keeps_its_output(call),
        )


def _keeps_its_output(call: Call) -> bool:
    if call.variant.is_prepared:
        return False  # torch's own memory, which the next replay writes anew
    with call.around():
        first, second = call.run()[0], call.run()[0]
    return shares_memory(first, second)


def require_fidelity(returned: Returned, expected: Expected, variant: Variant) -> None:
    """Raise `WrongOutput` unless a timed layer gave for new tokens what is expected.

    A layer whose buffers moved meanwhile, as running statistics do, must give what a new one does that has
    them. It must not change what its last call returned.
    """
    if expected.reason:
        return
    rough, given = ROUGHLY[variant.computed], sketch_of(returned.images)
    far = distances(given, sketch_of(expected.images), expected.scales)
    moved = (returned.moved_alone if expected.alone else ()) or returned.moved
    as_moved = bool(moved) and distance(given, sketch_of(moved), expected.scales) <= rough
    if not (far.max() <= rough or as_moved):
        raise WrongOutput(
            f"after its samples it does not return for a new input what a new layer does: "
            f"{_number(far > rough)} of {len(far)} images are up to {float(far.max()):.2g} of what lies "
            "between two images away. It returned what it had kept of another input, or left work out"
        )
    if returned.kept:
        raise WrongOutput("it keeps its output: the next call writes into what the last one returned")


class _Looks:
    """Calls of new layers of a case on the first input, each with other random numbers.

    Layers are run eagerly, and have the buffers of `state` where that is given.
    """

    def __init__(
        self, registry: Registry, case: Case, seed: int, data: Data, state: Sequence[Tensor] = ()
    ) -> None:
        variant = replace(case.variant, compile=Variant().compile, cuda_graph=False)
        self.registry, self.case, self.seed = registry, replace(case, variant=variant), seed
        self.batch, self.gradient, self.state = data.inputs[0], data.gradient, state
        self.taken = 0

    @property
    def moved(self) -> bool:
        """Whether buffers are no longer what they are in a new layer."""
        built = self._built().buffers()
        return any(
            old.shape == new.shape and not torch.equal(old, new)
            for old, new in zip(self.state, built, strict=False)
        )

    def alone(self) -> tuple[Sketch | None, list[float]]:
        """The results of each image by itself, and their scales; None of a layer that takes no single one."""
        layer = self._layer()
        try:
            sketches = [sketch(self._call(layer, slice(i, i + 1))) for i in range(len(self.batch))]
        except Exception as error:  # of any kind, as a stranger's layer may raise for one image
            if is_shortage(error) or any_lost():
                raise
            return None, []
        images = [torch.cat(parts) for parts in zip(*sketches, strict=True)]
        if len(self.batch) > 1:
            return images, scales_of(images, self.case.variant)
        other = torch.randn(self.batch.shape, generator=torch.Generator().manual_seed(self.seed + 3))
        beside = sketch(self._step(layer, other.to(self.batch), self.gradient))
        both = [torch.cat(pair) for pair in zip(images, beside, strict=True)]
        return images, scales_of(both, self.case.variant)

    def together(self) -> Results:
        """The results of the batch."""
        return self._call(self._layer(), slice(None))

    def turned(self) -> Results:
        """The results of the batch whose images come in the opposite order, turned back."""
        gradient = None if self.gradient is None else self.gradient.flip(0)
        output, input_gradient = self._step(self._layer(), self.batch.flip(0), gradient)
        return output.flip(0), None if input_gradient is None else input_gradient.flip(0)

    def _layer(self) -> nn.Module:
        layer = self._built()
        for mine, theirs in zip(layer.buffers(), self.state, strict=False):
            if mine.shape == theirs.shape:
                mine.copy_(theirs)
        self.taken += 1
        seed_torch(self.seed + self.taken)
        return layer

    def _built(self) -> nn.Module:
        layer = build(self.registry, self.case, self.seed)
        cast(layer, self.batch.dtype, self.case.device)
        return layer

    def _call(self, layer: nn.Module, images: slice) -> Results:
        gradient = None if self.gradient is None else self.gradient[images]
        return self._step(layer, self.batch[images], gradient)

    def _step(self, layer: nn.Module, batch: Tensor, gradient: Tensor | None) -> Results:
        with running(self.case.variant):
            return make_step(layer, self.case, gradient)(batch)


def _number(chosen: Tensor) -> int:
    return int(chosen.sum())


def _expected(index: int, sketches: Sketch, scales: Sequence[float], *, alone: bool) -> Expected:
    return Expected(index, numbers_of(sketches), tuple(scales), alone, "")


def _require_finished(results: Results, before: Sketch) -> None:
    """Raise `WrongOutput` where what a call returned changes after it has."""
    time.sleep(LATE_S)
    if not all(map(torch.equal, sketch(results), before)):
        raise WrongOutput("its results change after the call has returned: the work goes on without it")


def _require_numbers_of_its_own(output: Tensor) -> None:
    """Raise `WrongOutput` for an output that is the same for every input and of which few numbers exist."""
    if output.untyped_storage().nbytes() < output.nbytes:
        raise WrongOutput("its output is a view of fewer numbers, and does not depend on the input")
