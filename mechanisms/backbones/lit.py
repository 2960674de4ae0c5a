"""LITv2 and LITv1 (Pan et al., 2022): a pyramid whose first two stages have no attention at all.

Patches of 4 × 4 pixels are embedded and normalised. Stages follow, each with half the rows and columns of the
last one and twice its channels, deformable token merging between them, and a classifier of the mean token:

    stages 1, 2:    x + FFN(LN(x))
    stages 3, 4:    x + mixer(LN(x)), then x + FFN(LN(x))

LITv2's perceptron has a 3 × 3 depthwise convolution between its matrices (`convffn`), which tells tokens
where they are, and its mixer is HiLo, with windows of one token in stage 4, where that is softmax attention.
LITv1's perceptron is plain, and its mixer is attention with a bias by relative positions, `msa-rpe`. The
steps from one to the other are settings and mixers: `litv1-s`, `litv1-s:convffn=true`,
`litv1-s/msa:convffn=true` and `litv1-s/hilo:convffn=true`, which is `litv2-s`.

Multiply-adds without the mixers, for stages of N tokens and C channels: 48NC and 5NC for the embedding and
its norm, 8NC² + 5NC for a block's perceptron, 36NC more with the convolution, 5NC for the norm before a
mixer, those of the merging, 5NC + 1000C for the classifier.

Images of any size: zero-padded at the bottom and right to whole patches, as the authors' code for dense
prediction does. Merging leaves out the last row or column of an odd map. Stochastic depth, which is for
training to an accuracy, is left out, and weights begin as torch's layers begin.
"""

from collections.abc import Callable
from functools import partial

from torch import nn

from attnbench import Backbone, Paper, Slot
from mechanisms.backbones import _blocks as blocks
from mechanisms.backbones import _pyramid as pyramid
from mechanisms.backbones._blocks import Image
from mechanisms.backbones._merging import DeformableTokenMerging, merging_macs
from mechanisms.backbones._pyramid import Size, Stage

MIXED = (3, 4)  # stages with a mixer in each block

SMALL, MEDIUM, BASE = Size(96, (2, 2, 6, 2)), Size(96, (2, 2, 18, 2)), Size(128, (2, 2, 18, 2))

FILLINGS: dict[str, dict[int, tuple[str, ...]]] = {
    "hilo": {4: ("hilo:window=1",)},
    "sra": {4: ("sra:reduction=1",)},
    "t-msa": {3: ("t-msa:part=local", "t-msa:part=global"), 4: ("msa",)},
}
"""Where the paper's Table 4 has not the same layer in stages 3 and 4."""


def stages_of(image: Image, size: Size) -> tuple[Stage, ...]:
    return pyramid.stages_of(image, size, halve=lambda side: side // 2)


def slots(image: Image, *, size: Size, **_: bool) -> tuple[Slot, ...]:
    return tuple(slot for stage in stages_of(image, size) if stage.number in MIXED for slot in stage.slots)


def build(image: Image, mixer: Callable[[Slot], nn.Module], *, size: Size, convffn: bool) -> nn.Sequential:
    """The model, from images `[B, 3, H, W]` to logits `[B, 1000]`."""
    perceptron = blocks.ConvFeedForward if convffn else blocks.FeedForward

    def block(slot: Slot) -> nn.Module:
        return blocks.block(slot, mixer if slot.stage in MIXED else None, perceptron)

    return pyramid.model(image, stages_of(image, size), block, DeformableTokenMerging)


def macs(image: Image, *, size: Size, convffn: bool) -> int:
    def block(stage: Stage) -> int:
        tokens = stage.geometry
        norms = blocks.norm_macs(tokens) * (2 if stage.number in MIXED else 1)
        return norms + blocks.feed_forward_macs(tokens) + convffn * blocks.depthwise_macs(tokens)

    return pyramid.macs(stages_of(image, size), block, merging_macs)


LESS_IS_MORE = Paper(
    title="Less is More: Pay Less Attention in Vision Transformers",
    venue="AAAI",
    year=2022,
    url="https://arxiv.org/abs/2105.14217",
)
FAST_HILO = Paper(
    title="Fast Vision Transformers with HiLo Attention",
    venue="NeurIPS",
    year=2022,
    url="https://arxiv.org/abs/2205.13213",
)


def litv1(letter: str, size: Size) -> Backbone:
    return _lit(f"litv1-{letter}", f"LITv1-{letter.upper()}", size, LESS_IS_MORE, "msa-rpe", convffn=False)


def litv2(letter: str, size: Size) -> Backbone:
    return _lit(f"litv2-{letter}", f"LITv2-{letter.upper()}", size, FAST_HILO, "hilo", convffn=True)


def _lit(name: str, title: str, size: Size, paper: Paper, filling: str, *, convffn: bool) -> Backbone:
    return Backbone(
        name=name,
        title=title,
        build=partial(build, size=size),
        slots=partial(slots, size=size),
        macs=partial(macs, size=size),
        filling=filling,
        fillings=FILLINGS,
        settings={"convffn": convffn},
        paper=paper,
    )


litv2_s, litv2_m, litv2_b = litv2("s", SMALL), litv2("m", MEDIUM), litv2("b", BASE)
litv1_s, litv1_m, litv1_b = litv1("s", SMALL), litv1("m", MEDIUM), litv1("b", BASE)
