"""What is measured, and what is compared with what."""

from collections.abc import Sequence
from dataclasses import replace

from attnbench.cases.case import Block, Case, Mode, Role, Workload
from attnbench.cases.choice import Chosen, unique
from attnbench.cases.declared import HOST
from attnbench.cases.labels import Described
from attnbench.cases.variant import PLAIN, Variant
from attnbench.errors import AttnbenchError
from attnbench.mechanism import Geometry

BASELINE = "msa"  # what speeds are relative to, unless another member is named
CEILINGS = ("matmul", "copy")


def read_size(text: str) -> tuple[int, int]:
    """Height and width from `14` or `14x28`."""
    sides = text.split("x")
    if not (len(sides) <= 2 and all(side.isdecimal() and int(side) > 0 for side in sides)):
        raise AttnbenchError(
            f"{text!r} is not a size; write 14 for 14×14 tokens, or 14x28 for 14 rows of 28. Both at least 1."
        )
    return int(sides[0]), int(sides[-1])


def sweep(
    choices: Sequence[Chosen[Described]],
    geometries: Sequence[Geometry],
    devices: Sequence[str],
    *,
    batches: Sequence[int | None],
    threads: Sequence[int] = (1,),
    modes: Sequence[Mode] = (Mode.inference,),
    variants: Sequence[Variant] = (PLAIN,),
    baseline: Chosen[Described] | None = None,
) -> tuple[Block, ...]:
    """A block for each device, geometry, batch, mode and number of threads: every choice in every variant.

    Models are in the blocks of images, and layers in those of tokens. The baseline is `baseline`, or MSA or a
    model of it if that was chosen, or else the first of the choices; its twin runs in the first of the
    variants. A batch of None leaves a block open: it gets as many images as fit.
    """
    every = unique([*choices, *([baseline] if baseline else [])])
    return tuple(
        replace(
            _block(
                members, _baseline(members, baseline), Workload(geometry, batch or 1, mode), device, variants
            ),
            threads=count,
            is_open=batch is None,
        )
        for device in devices
        for geometry in geometries
        if (members := [each for each in every if each.mechanism.is_model == geometry.images])
        for batch in batches
        for mode in modes
        for count in threads
    )


def _baseline(members: Sequence[Chosen[Described]], asked: Chosen[Described] | None) -> Chosen[Described]:
    """What the speeds of a block are relative to."""
    by_label = {choice.label: choice for choice in members}
    if asked and asked.label in by_label:
        return asked
    models = (choice for label, choice in by_label.items() if label.endswith(f"{HOST}{BASELINE}"))
    return by_label.get(BASELINE) or next(models, members[0])


def ceilings(geometry: Geometry, device: str, dtype: str) -> tuple[Case, ...]:
    """The cases that show what this machine can do at best in a dtype, beside layers of a geometry."""
    return tuple(
        Case(
            role=Role.ceiling,
            mechanism=name,
            label=f"ceiling/{name}",
            title=f"Large {name}",
            settings={},
            source="",
            workload=Workload(geometry, 1, Mode.inference),
            device=device,
            variant=Variant(dtype=dtype),
        )
        for name in CEILINGS
    )


def _block(
    choices: Sequence[Chosen[Described]],
    baseline: Chosen[Described],
    workload: Workload,
    device: str,
    variants: Sequence[Variant],
) -> Block:
    members = [
        Case(
            role=Role.member,
            mechanism=choice.mechanism.name,
            label=choice.label,
            title=choice.title,
            settings=choice.settings,
            source=choice.source,
            workload=workload,
            device=device,
            variant=variant,
        )
        for choice in choices
        for variant in variants
    ]
    again = next(case for case in members if case.label == baseline.label)
    twin = replace(again, role=Role.twin, title=f"{again.title} again")
    dtypes = dict.fromkeys(variant.computed for variant in variants)
    limits = (limit for dtype in dtypes for limit in ceilings(workload.geometry, device, dtype))
    return Block((*members, twin, *limits))
