"""What holds for every figure: its width, its fonts, its room, and that the same rows give the same bytes."""

import re
import struct
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import matplotlib as mpl
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.transforms import Bbox, BboxBase

from attnbench.analysis.rows import rows
from attnbench.errors import AttnbenchError
from attnbench.report.figure.page import save
from attnbench.report.figure.print_size import PLAIN, PrintSize, Width, read_width
from attnbench.report.figure.run import setting_pages
from tests.fakes import record
from tests.report.figure.pages import PAGES, figures, of_run

COLUMNS = (
    *("throughput", "ratios", "flops-time", "scaling-training", "flops of one panel", "profile", "gain"),
    *("scaling-ratios", "scaling-ratios-memory-training", "scaling-ratios of many"),
    *("throughput of many", "ratios of many", "flops-time of many"),
)
LEAST_POINTS = 7
HIGHEST_INCHES = 9.2
SLACK = 1.0  # pixels by which boxes may touch


@dataclass(frozen=True)
class Drawn:
    """A text as it stands on its page, in pixels."""

    words: str
    box: Bbox
    points: float
    level: bool


@pytest.fixture
def texts(monkeypatch: pytest.MonkeyPatch) -> list[Drawn]:
    """Every text that is drawn from now on."""
    found: list[Drawn] = []
    draw = Text.draw

    def noted(text: Text, renderer: Any) -> None:
        if text.get_visible() and text.get_text().strip():
            box = Text.get_window_extent(text, renderer)  # an annotation's own would hold its arrow
            found.append(
                Drawn(text.get_text(), box, float(text.get_fontsize()), text.get_rotation() in (0, 90))
            )
        draw(text, renderer)

    monkeypatch.setattr(Text, "draw", noted)
    return found


def holds(page: BboxBase, box: BboxBase) -> bool:
    """Whether a box lies on a page."""
    inner = box.padded(-SLACK)
    return page.x0 <= inner.x0 and inner.x1 <= page.x1 and page.y0 <= inner.y0 and inner.y1 <= page.y1


def check(page: Figure, width_inches: float, texts: list[Drawn]) -> None:
    """A page has its width, fits on paper, and its texts are large enough, inside it, and apart."""
    texts.clear()
    page.draw_without_rendering()
    assert page.get_figwidth() == width_inches
    assert page.get_figheight() < HIGHEST_INCHES
    assert min(text.points for text in texts) >= LEAST_POINTS
    assert [text.words for text in texts if not holds(page.bbox, text.box)] == []
    level = [text for text in texts if text.level]
    touching = [pair for pair in combinations(level, 2) if pair[0].box.padded(-SLACK).overlaps(pair[1].box)]
    assert [(one.words, other.words) for one, other in touching] == []


def natural(kind: str) -> Width:
    return Width.column if kind in COLUMNS else Width.page


@pytest.mark.parametrize("kind", PAGES)
def test_a_page_of_its_natural_width_is_legible_and_nothing_on_it_overlaps(kind: str, texts: list[Drawn]):
    check(PAGES[kind](PLAIN), natural(kind).inches, texts)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "width"), [(kind, width) for kind in PAGES for width in Width if width is not natural(kind)]
)
def test_a_page_of_any_other_width_is_legible_and_nothing_on_it_overlaps(
    kind: str, width: Width, texts: list[Drawn]
):
    check(PAGES[kind](PrintSize(width.inches)), width.inches, texts)


def pdf_of(kind: str, wanted: PrintSize, folder: Path) -> bytes:
    save(PAGES[kind](wanted), folder / "figure", wanted)
    return (folder / "figure.pdf").read_bytes()


@pytest.mark.parametrize(("width", "points"), [("column", "252"), ("text", "396"), ("page", "515.52")])
def test_a_saved_page_has_exactly_its_width(
    width: str, points: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setitem(mpl.rcParams, "savefig.bbox", "tight")  # as a user may have it
    found = re.search(
        rb"/MediaBox \[ ?0 0 ([\d.]+) ", pdf_of("throughput", PrintSize(Width(width).inches), tmp_path)
    )
    assert found
    assert found[1].decode() == points


def test_a_bare_page_is_lower_by_its_note_and_says_nothing_at_its_foot():
    bare, page = (PAGES["throughput"](wanted) for wanted in (PrintSize(bare=True), PLAIN))
    assert bare.get_supxlabel() == ""
    assert bare.get_figheight() < page.get_figheight()


def test_signs_of_mathematics_in_a_name_are_drawn_as_they_are_written(texts: list[Drawn]):
    page = figures(setting_pages, rows([record("x", [1.0] * 6, title="$5_{ for $x")]))["throughput"]
    page.draw_without_rendering()
    assert "$5_{ for $x" in [text.words for text in texts]


def test_a_bitmap_has_300_dots_an_inch(tmp_path: Path):
    save(PAGES["throughput"](PLAIN), tmp_path / "figure", PLAIN)
    assert struct.unpack(">I", (tmp_path / "figure.png").read_bytes()[16:20]) == (1050,)


def test_fonts_embed_as_outlines_that_publishers_take(tmp_path: Path):
    pdf = pdf_of("scaling", PLAIN, tmp_path)
    assert b"/Type3" not in pdf
    assert b"/FontFile2" in pdf
    assert b"DejaVuSans" in pdf


def test_the_same_rows_give_the_same_bytes_whatever_the_time_and_the_users_style(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    wanted = PrintSize(svg=True)
    first = save(PAGES["flops-time"](wanted), tmp_path / "first", wanted)
    monkeypatch.setitem(mpl.rcParams, "font.size", 20)
    of_run.cache_clear()  # the second one is drawn anew
    second = save(PAGES["flops-time"](wanted), tmp_path / "second", wanted)
    assert [path.suffix for path in first] == [".png", ".pdf", ".svg"]
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]
    assert b"CreationDate" not in first[1].read_bytes()
    assert b"<dc:date>" not in first[2].read_bytes()


@pytest.mark.parametrize(
    ("text", "inches"),
    [("column", 3.5), ("cvpr", 3.25), ("neurips", 5.5), ("3.25in", 3.25), ("5.08 cm", 2.0), ("127mm", 5.0)],
)
def test_a_width_is_a_word_a_venue_or_a_length(text: str, inches: float):
    assert read_width(text) == pytest.approx(inches)


@pytest.mark.parametrize("text", ["wide", "3.25", "0.5in", "900in", "in", "-3in", "1..2in"])
def test_any_other_width_says_what_it_can_be(text: str):
    with pytest.raises(AttnbenchError, match=f"--width is {re.escape(repr(text))}; it must be column, text"):
        read_width(text)


def test_texts_in_a_vector_graphic_for_screens_need_no_font(tmp_path: Path):
    wanted = PrintSize(svg=True)
    svg = save(PAGES["throughput"](wanted), tmp_path / "figure", wanted)[2].read_text()
    assert "<text" not in svg
    assert 'width="252pt"' in svg
