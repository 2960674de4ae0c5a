"""How users may write mechanisms, and what is offered where they write none."""

import pytest

from attnbench.cases.case import Case
from attnbench.cases.labels import closest, find, nearest
from attnbench.mechanism import Setting
from tests.fakes import changed, record


def case(label: str, title: str, **settings: Setting) -> Case:
    found: Case = changed(record(label, title=title), settings=settings).case
    return found


HILO = case("hilo", "HiLo", alpha=0.9, window=2)
WIDE = case("hilo:window=4", "HiLo (window=4)", alpha=0.9, window=4)
BOTH = case("hilo:alpha=0.0,window=4", "HiLo (alpha=0.0, window=4)", alpha=0.0, window=4)
LOCAL = case("local-window", "Local Window")
MASKED = case("masked:mask=True", "Masked (mask=True)", mask=True)
ALL = [HILO, WIDE, BOTH, LOCAL, MASKED]


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("hilo", "hilo"),
        ("HILO", "hilo"),
        ("local window", "local-window"),
        ("Local-Window", "local-window"),
        ("HiLo (window=4)", "hilo:window=4"),
        ("HiLo:Window=4", "hilo:window=4"),
        ("hilo:window=4,alpha=0.9", "hilo:window=4"),
        ("hilo:alpha=.9, window = 2", "hilo"),
        ("hilo:window=4,alpha=0", "hilo:alpha=0.0,window=4"),
        ("HiLo (window=4, alpha=0.0)", "hilo:alpha=0.0,window=4"),
        ("masked:mask=true", "masked:mask=True"),
        ("hillo", None),
        ("hilo:window=3", None),
        ("hilo:alpha=0", None),
        ("hilo:beta=1", None),
        ("masked", None),
    ],
)
def test_a_label_or_a_title_in_any_case_with_settings_in_any_order(text: str, label: str | None):
    assert find(text, ALL) == label


def test_a_label_comes_before_a_title_that_reads_the_same():
    assert find("HiLo", [case("other", "HiLo"), HILO]) == "hilo"


def test_what_could_be_several_is_none():
    assert find("Mine", [case("one", "Mine"), case("two", "Mine")]) is None
    assert find("Mine", [case("one", "Mine")]) == "one"


def test_the_nearest_is_found_by_label_or_title():
    assert nearest("HILLO", ALL) == "hilo"
    assert nearest("multi-head atention", [case("msa", "Multi-head attention")]) == "msa"
    assert nearest("quaternion", ALL) is None


def test_the_closest_name_is_found_in_any_case():
    assert closest("hlio", ["MSA", "HiLo"]) == "HiLo"


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("hilo:window=5", "hilo:window=4"),
        ("hilo:alpha=0.1,window=4", "hilo:alpha=0.0,window=4"),
        ("hilo:alpha=0.8", "hilo"),
        ("masked:mask=False", "masked:mask=True"),
    ],
)
def test_a_setting_that_is_not_there_is_answered_with_the_nearest_of_its_mechanism(text: str, label: str):
    assert nearest(text, ALL) == label
