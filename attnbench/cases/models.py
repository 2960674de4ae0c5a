"""Models: a backbone with mechanisms in its slots, which maps images to scores, as one more mechanism.

`litv2-s` is a backbone with the layers that it was published with, `litv2-s/sra` the same with others.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from attnbench.backbone import Backbone, Slot
from attnbench.cases.declared import HOST
from attnbench.cases.labels import label_of
from attnbench.errors import AttnbenchError, UnsupportedGeometry
from attnbench.file_marks import FLAT
from attnbench.mechanism import IMAGES, Geometry, Mechanism, Setting

Settings = Mapping[str, Setting]
Read = Callable[[str], tuple[Mechanism, Settings]]


@dataclass(frozen=True, slots=True)
class Mixer:
    """A mechanism with its settings, as it stands in a slot."""

    mechanism: Mechanism
    settings: Settings


@dataclass(frozen=True, slots=True)
class Mixing:
    """A layer that stands in slots of a model: in how many, and the multiply-adds of each for one image."""

    label: str
    geometry: Geometry = field(metadata=FLAT)
    layers: int
    macs: int | None


def mixing_macs(mixing: Sequence[Mixing]) -> int | None:
    """The multiply-adds of all of these for one image; None where one of them has no closed form."""
    macs = [each.layers * each.macs for each in mixing if each.macs is not None]
    return sum(macs) if len(macs) == len(mixing) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Model(Mechanism):
    """A backbone whose slots are filled with a mechanism; its settings are those of both.

    `instead` has what stands in the slots of a stage in turn, where that is not the filling as it is asked
    for: mechanisms, each with the settings that are given there.
    """

    backbone: Backbone
    filling: Mechanism
    instead: Mapping[int, tuple[Mixer, ...]] = field(default_factory=dict)

    def own(self, settings: Settings) -> dict[str, Setting]:
        """The backbone's of the model's settings."""
        return {key: settings.get(key, default) for key, default in self.backbone.settings.items()}

    def slots(self, geometry: Geometry, settings: Settings) -> tuple[Slot, ...]:
        """The places of mechanisms in the model for images of this geometry."""
        return self.backbone.slots((geometry.height, geometry.width), **self.own(settings))

    def mixer(self, slot: Slot, settings: Settings) -> Mixer:
        """What stands in a slot of the model that has these settings."""
        asked = {key: settings.get(key, default) for key, default in self.filling.settings.items()}
        others = self.instead.get(slot.stage)
        if not others:
            return Mixer(self.filling, asked)
        other = others[(slot.number - 1) % len(others)]
        usual = asked if other.mechanism is self.filling else other.mechanism.settings
        return Mixer(other.mechanism, {**usual, **other.settings})

    def closed_form(self, geometry: Geometry, **settings: Setting) -> int | None:
        """The multiply-adds of one image: the backbone's own, and those of the layers in its slots."""
        macs = self.backbone.macs((geometry.height, geometry.width), **self.own(settings))
        mixing = mixing_macs(self.mixing(geometry, settings))
        return None if mixing is None else macs + mixing

    def mixing(self, geometry: Geometry, settings: Settings) -> tuple[Mixing, ...]:
        """The layers in the slots of the model for images of this geometry, those that are alike together."""
        alike: dict[tuple[str, Geometry], Mixing] = {}
        for slot in self.slots(geometry, settings):
            mixer = self.mixer(slot, settings)
            label = label_of(mixer.mechanism, mixer.settings)
            with in_slot(slot):
                macs = mixer.mechanism.closed_form(slot.geometry, **mixer.settings)
            known = alike.get((label, slot.geometry))
            layers = known.layers + 1 if known else 1
            alike[label, slot.geometry] = Mixing(label, slot.geometry, layers, macs)
        return tuple(alike.values())

    @property
    def parts(self) -> tuple[Mechanism, ...]:
        """The mechanisms that it may hold."""
        others = (mixer.mechanism for mixers in self.instead.values() for mixer in mixers)
        return tuple({each.name: each for each in (self.filling, *others)}.values())


def parts_of(mechanism: Mechanism) -> tuple[Mechanism | Backbone, ...]:
    """What a mechanism's code is that of: its own, or a backbone's and that of what may fill it."""
    return (mechanism.backbone, *mechanism.parts) if isinstance(mechanism, Model) else (mechanism,)


class in_slot:  # noqa: N801 - a `with` reads it as words
    """Say of what a mechanism refuses inside in which slot that was."""

    def __init__(self, slot: Slot) -> None:
        self.slot = slot

    def __enter__(self) -> None:
        pass

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, UnsupportedGeometry):
            raise UnsupportedGeometry(f"In {self.slot.words}: {error}") from error


def filled(backbone: Backbone, filling: Mechanism, read: Read, *, bare: bool = False) -> Model:
    """The backbone with a mechanism in its slots; `read` finds the mechanism and settings of a word.

    A `bare` one is called as the backbone is, for nobody said what fills it. Raises `AttnbenchError` where a
    setting of one is named as one of the other's, or the mechanism is itself a model.
    """
    if filling.layout == IMAGES:
        raise AttnbenchError(
            f"{filling.name} is a model itself; a slot of {backbone.name} takes a layer of tokens."
        )
    both = backbone.settings.keys() & filling.settings.keys()
    if both:
        raise AttnbenchError(
            f"{backbone.name} and {filling.name} both have a setting {', '.join(sorted(both))}; rename one."
        )
    own = filling.name == backbone.filling
    instead = {
        stage: tuple(Mixer(*read(word)) for word in words)
        for stage, words in backbone.fillings.get(filling.name, {}).items()
    }
    operators = {
        name: formula
        for mixers in instead.values()
        for mixer in mixers
        for name, formula in mixer.mechanism.operators.items()
    }
    return Model(
        name=backbone.name if bare else f"{backbone.name}{HOST}{filling.name}",
        title=backbone.title if bare else f"{backbone.title} / {filling.title}",
        build=backbone.build,
        macs=backbone.macs,
        paper=backbone.paper if own else filling.paper,
        settings={**filling.settings, **backbone.settings},
        operators={**filling.operators, **operators},
        layout=IMAGES,
        backbone=backbone,
        filling=filling,
        instead=instead,
    )
