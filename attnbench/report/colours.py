"""A mechanism's colour, marker and line: the same in every figure and on every page, without matplotlib.

The colours start from Okabe and Ito's and Paul Tol's, and are spread so that they stay apart for readers
without one kind of cone; each has a contrast of 3 or more on white. Ten markers and four lines tell forty
mechanisms apart for eyes and printers that see no colours.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from attnbench.cases.declared import HOST, builtin
from attnbench.cases.sweep import BASELINE
from attnbench.paper import published

PALETTE = (
    "#004488", "#d55e00", "#009e73", "#64114f", "#ae7bc2",
    "#7682f3", "#6e6a81", "#84240d", "#420a97", "#353629",
    "#519939", "#456fc1", "#34582b", "#d35f9e", "#308071",
    "#51196b", "#9a694a", "#634d88", "#7a4d4e", "#a74b0e",
)  # fmt: skip
HUES = {
    "softmax": "#1b6ca8",
    "windows": "#b5562b",
    "sparse": "#8e4fa8",
    "linear": "#2e7d4f",
    "state space": "#8a6d1d",
    "convolution": "#a83258",
    "frequency": "#4a5a6a",
}
"""Of families, for mechanisms beyond Table IV, whose own have one each in the palette."""
MARKERS = "osD^vP<>d*"  # as matplotlib calls them
DASHES = ("-", "--", "-.", ":")
FILLS = ("full", "none", "left", "right")  # of a marker that has no line, instead of dashes
BLACK, WHITE = "#000000", "#ffffff"
ASIDE = "#8c8c8c"  # of what is not highlighted
LEAST_CONTRAST = 3.0  # on white, for what is no text
MOST_CONTRAST = 14.0  # darker shades look black


@dataclass(frozen=True, slots=True)
class MarkStyle:
    """What a mechanism is drawn with; `marker`, `dash` and `fill` are matplotlib's words."""

    colour: str
    marker: str
    dash: str
    fill: str


MarkStyles = Mapping[str, MarkStyle]


def mark_styles_of(labels: Iterable[str], highlight: Collection[str] = ()) -> dict[str, MarkStyle]:
    """What each label of a run is drawn with; where some are to be seen first, all others are grey.

    Several settings of one mechanism have shades of its colour and markers of their own; the one with the
    default settings keeps what the mechanism has everywhere, a model what has the mechanism that fills it.
    """
    fillings = _fillings(labels)
    styles = _own_styles(fillings.values())
    styles = {label: styles[filling] for label, filling in fillings.items()}
    if not highlight:
        return styles
    return {
        label: style if label in highlight else replace(style, colour=ASIDE)
        for label, style in styles.items()
    }


def _own_styles(labels: Iterable[str]) -> dict[str, MarkStyle]:
    families: dict[str, list[str]] = {}
    for label in dict.fromkeys(labels):
        families.setdefault(_mechanism(label), []).append(label)
    indices = _indices(families)
    return {
        label: style
        for name, members in families.items()
        for label, style in _family(name, members, indices[name]).items()
    }


def inks_in(colour_of: str, labels: Iterable[str], count: int) -> list[MarkStyle]:
    """So many styles in shades of a mechanism's colour, of which the first is its own."""
    fillings = _fillings([*labels, colour_of])
    name = _mechanism(fillings[colour_of])
    index = _indices(map(_mechanism, [*fillings.values(), name]))[name]
    return list(_family(name, [name, *(f"{name}:{number}" for number in range(1, count))], index).values())


def shades(colour: str, count: int) -> list[str]:
    """So many shades of a colour, from the darkest to the lightest; one alone is the colour itself."""
    if count == 1:
        return [colour]
    return [_shade(colour, 2 * index / (count - 1) - 1) for index in range(count)]


def contrast(colour: str) -> float:
    """How much darker than white a colour is, from 1 to 21, by WCAG's formula."""
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in _parts(colour)]
    luminance = sum(share * part for share, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))
    return 1.05 / (luminance + 0.05)


def _fillings(labels: Iterable[str]) -> dict[str, str]:
    """Each label with that of what fills the model, where that tells them apart; with itself otherwise."""
    labels = list(dict.fromkeys(labels))
    fillings = [label.partition(HOST)[2] or label for label in labels]
    return dict(zip(labels, fillings if len(set(fillings)) == len(labels) else labels, strict=True))


def _mechanism(label: str) -> str:
    return label.partition(":")[0]


def _indices(names: Iterable[str]) -> dict[str, int]:
    """Where each mechanism stands in the order of colours: those of Table IV first, whether or not named."""
    known = sorted(published(), key=lambda name: name not in (BASELINE, "hilo"))
    return {name: index for index, name in enumerate(dict.fromkeys([*known, *names]))}


def _family(name: str, labels: Sequence[str], index: int) -> dict[str, MarkStyle]:
    """The styles of one mechanism's settings; its default ones have what the mechanism has."""
    own = _hue(name, index)
    tones = _around(own, len(labels), labels.index(name)) if name in labels else shades(own, len(labels))
    order = sorted(labels, key=lambda label: label != name)
    return {
        label: MarkStyle(tone, *_marks(index, order.index(label)))
        for label, tone in zip(labels, tones, strict=True)
    }


def _hue(name: str, index: int) -> str:
    """A mechanism's colour; the built-in ones beyond Table IV are shades of what their family has."""
    known = builtin()
    if name in published() or name not in known or known[name].family not in HUES:
        return PALETTE[index % len(PALETTE)]
    family = known[name].family
    members = [each for each, told in known.items() if told.family == family and each not in published()]
    return shades(HUES[family], len(members))[members.index(name)]


def _marks(index: int, step: int) -> tuple[str, str, str]:
    """The marker, dash and fill of a mechanism's setting: markers change first."""
    row = index // len(MARKERS) + step // len(MARKERS)
    return MARKERS[(index + step) % len(MARKERS)], DASHES[row % len(DASHES)], FILLS[row % len(FILLS)]


def _around(colour: str, count: int, own: int) -> list[str]:
    """Shades in the order of their lightness, of which one is the colour itself.

    The order is the one that gives more lightness to the side with more shades.
    """
    before, after = own, count - 1 - own
    steps = [(index - own) / max(before if index < own else after, 1) for index in range(count)]
    room_above, room_below = contrast(colour) / LEAST_CONTRAST, MOST_CONTRAST / contrast(colour)
    turn = 1 if (after > before) == (room_above > room_below) else -1
    return [_shade(colour, turn * step) for step in steps]


def _shade(colour: str, step: float) -> str:
    """A shade between the darkest, at -1, over the colour itself, at 0, to the lightest, at 1."""
    if step == 0:
        return colour
    end = BLACK if step < 0 else WHITE
    mixtures = [_mixed(colour, end, percent / 100) for percent in range(101)]
    allowed = [mixture for mixture in mixtures if LEAST_CONTRAST <= contrast(mixture) <= MOST_CONTRAST]
    return allowed[round(abs(step) * (len(allowed) - 1))] if allowed else colour


def _mixed(colour: str, end: str, share: float) -> str:
    parts = [part + share * (goal - part) for part, goal in zip(_parts(colour), _parts(end), strict=True)]
    return "#" + "".join(f"{round(255 * part):02x}" for part in parts)


def _parts(colour: str) -> list[float]:
    return [int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)]
