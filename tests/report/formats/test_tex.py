"""Texts and numbers as LaTeX has them."""

import pytest

from attnbench.report.digits import shown
from attnbench.report.formats.tex import escape, foreign, number, reach
from attnbench.statistics import Estimate


@pytest.mark.parametrize(
    ("text", "command"),
    [
        ("a & b", "a \\& b"),
        ("5 % of $3", "5 \\% of \\$3"),
        ("#1 snake_case", "\\#1 snake\\_case"),
        ("{x}", "\\{x\\}"),
        ("~", "$\\sim$"),
        ("^", "\\textasciicircum{}"),
        ("back\\slash", "back\\textbackslash{}slash"),
        ("a < b > c | d", "a \\textless{} b \\textgreater{} c \\textbar{} d"),
        ("[a] *b*", "{[}a] {*}b{*}"),
        ("14×14 ± 2", "14$\\times$14 $\\pm$ 2"),
        ("≥ 3 – 4 — 5", "$\\geq$ 3 -- 4 --- 5"),
        ("α=0.5, λ, Ω", "$\\alpha$=0.5, $\\lambda$, $\\Omega$"),
        ("Frédéric Łukasiewicz", "Fr\\'{e}d\\'{e}ric \\L{}ukasiewicz"),
        ("O(n²), x₁", "O(n\\textsuperscript{2}), x\\textsubscript{1}"),
        ("one\nline", "one line"),
        ("Fre\u0301de\u0301ric", "Fr\\'{e}d\\'{e}ric"),
        ("\x1b[2J\u202eMSA\x7f", "?{[}2J?MSA?"),
    ],
)
def test_what_latex_would_take_for_its_own_becomes_a_command(text, command):
    assert escape(text) == command


def test_what_pdflatex_has_no_command_for_stays_and_is_told():
    assert escape("注意 attention, ḍ") == "注意 attention, ḍ"
    assert foreign("注意 attention 注") == "意注"


def test_thousands_are_set_without_a_space():
    assert number("16,100") == "16{,}100"


def test_an_interval_is_how_far_it_reaches_to_either_side():
    assert reach(shown(Estimate(165.395, 163.012, 168.115))) == "$^{+3}_{-2}$"
    assert reach(shown(Estimate(104.647, 103.161, 105.623))) == "$^{+1.0}_{-1.4}$"
    assert reach(shown(Estimate(32000.0, 30000.0, 33000.0))) == "$^{+1{,}000}_{-2{,}000}$"


def test_without_an_interval_there_is_nothing_to_reach():
    assert reach(shown(Estimate(1.0))) == ""
