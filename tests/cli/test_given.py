"""Words that say nothing, and numbers that nothing has: each gets a sentence, and is no default."""

from pathlib import Path

import pytest

from attnbench.cli.given import shortened
from attnbench.records.record_file import append
from tests.conftest import Run
from tests.fakes import block

DIGITS = "9" * 5000
LONG = "x" * 5000
RUN = "the folder of a run"


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """The folder of a run."""
    append(tmp_path, block({"msa": [0.4] * 6, "hilo": [0.2] * 6}))
    return tmp_path


def said(attnbench: Run, *words: str | Path) -> str:
    done = attnbench(*words)
    assert (done.status, done.out, done.err.count("\n")) == (2, "", 1)
    assert len(done.err) < 600
    return done.err.removeprefix("Error: ")


@pytest.mark.parametrize("option", ["--fail-on", "--baseline", "--results", "--format", "--width"])
@pytest.mark.parametrize("nothing", ["", " "])
def test_an_empty_option_is_no_default(attnbench: Run, run: Path, option: str, nothing: str):
    says = "is empty; give it a value, or leave it out.\n"
    assert said(attnbench, "compare", run, option, nothing) == f"What follows {option} {says}"
    assert said(attnbench, "compare", run, f"{option}={nothing}") == f"{option} {says}"


@pytest.mark.parametrize(
    "words",
    [
        ("run", "--out", ""),
        ("run", "--plugin", ""),
        ("run", ""),
        ("report", "--out", ""),
        ("claims", "--claims", ""),
        ("check", ""),
        ("list", ""),
        ("",),
    ],
)
def test_an_empty_word_of_any_command_is_a_mistake(attnbench: Run, words: tuple[str, ...]):
    assert "is empty; give it a value, or leave it out." in said(attnbench, *words)


@pytest.mark.parametrize("option", ["--res", "--batch", "--device", "--mode", "--kernel"])
def test_commas_alone_are_no_list(attnbench: Run, monkeypatch: pytest.MonkeyPatch, option: str):
    monkeypatch.setattr("attnbench.cli.session.carry_out", lambda *_, **__: 0)
    assert (
        said(attnbench, "run", option, ",") == f"{option} is ','; it must name something, or be left out.\n"
    )


@pytest.mark.parametrize(
    "words",
    [
        ("list", "--res", DIGITS),
        ("list", "--res", f"14x{DIGITS}"),
        ("list", "--res", "0" * 5000),
        ("list", "--dim", DIGITS),
        ("list", "--dim", "9" * 20),
        ("list", f"hilo:window={DIGITS}"),
        ("list", "hilo:window=1..1e1000000000"),
        ("list", "hilo:alpha=0..1/1e-1000000"),
        ("run", "--batch", DIGITS),
        ("run", "--memory-limit", f"{DIGITS}GiB"),
        ("run", "--for", f"{DIGITS}s"),
        ("run", "--seed", "9" * 20),
        ("run", "--threads", "5000"),
        ("run", "--precision", f"{DIGITS}%"),
        ("run", "--max-seconds", "1e300"),
        ("flops", "--res", f"7..{DIGITS}"),
        ("check", f"hilo:window={DIGITS}"),
        ("compare", "--fail-on", f"slower:{DIGITS}"),
    ],
    ids=" ".join,
)
def test_a_number_of_any_length_gets_a_sentence(attnbench: Run, words: tuple[str, ...]):
    said(attnbench, *words)


@pytest.mark.parametrize(
    "words",
    [
        ("run", "--max-seconds", "inf"),
        ("run", "--timeout", "nan"),
        ("run", "--precision", "nan"),
        ("run", "--for", "inf"),
        ("list", "hilo:alpha=nan"),
        ("list", "hilo:alpha=0.5,-INF"),
        ("check", "hilo:alpha=Infinity"),
        ("compare", "--fail-on", "slower:nan"),
    ],
    ids=" ".join,
)
def test_what_is_no_finite_number_is_refused(attnbench: Run, words: tuple[str, ...]):
    said(attnbench, *words)


@pytest.mark.parametrize(
    "words",
    [
        ("compare", LONG),
        ("compare", RUN, LONG),
        ("compare", RUN, "--baseline", LONG),
        ("compare", "--results", LONG),
        ("report", RUN, "--out", f"{LONG}.md"),
        ("claims", RUN, "--claims", LONG),
        ("list", LONG),
        ("list", "--plugin", LONG),
        ("list", f"hilo:{LONG}=1"),
        ("check", LONG),
        ("check", f"{LONG}.py"),
        (LONG,),
    ],
    ids=lambda words: " ".join(words)[:30],
)
def test_a_word_of_any_length_gets_a_sentence(attnbench: Run, run: Path, words: tuple[str, ...]):
    said(attnbench, *(run if word == RUN else word for word in words))


def test_numbers_in_names_of_files_are_nobodys_business(attnbench: Run, run: Path):
    folder = run / "9e99999"
    folder.mkdir()
    append(folder, block({"msa": [0.4] * 6}))
    assert attnbench("compare", folder).status == 0
    (folder / "12e4567.py").write_text("")
    assert "holds no mechanism" in said(attnbench, "check", folder / "12e4567.py")


def test_an_ordinary_number_of_many_digits_is_one(attnbench: Run):
    assert (
        attnbench("flops", "hilo:alpha=0.30000000000000004", "--res", "7", "--out", "/dev/null/x").status == 2
    )
    assert attnbench("list", "hilo:alpha=0.30000000000000004", "--format", "csv").status == 0


def test_a_digit_behind_a_letter_is_part_of_a_name(attnbench: Run):
    assert "No mechanism is called 'mine8e99999'" in said(attnbench, "list", "mine8e99999")


def test_a_word_is_shown_by_its_beginning_only_where_it_is_very_long():
    assert (
        shortened(f"One\n'{'a' * 300}' and '{'b' * 500}'; two") == f"One '{'a' * 300}' and '{'b' * 79}…'; two"
    )


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("plot",), "No such command 'plot'; `attnbench compare --plot` draws a run."),
        (
            ("run", "--amp"),
            "No such option: --amp; --autocast bfloat16 runs float32 weights under torch.autocast, and "
            "--dtype bfloat16 casts them.",
        ),
        (("run", "--fp16"), "--autocast float16 runs float32 weights"),
        (("compare", "--format", "tex"), "'json'; `attnbench report --format latex` writes it."),
        (("compaer",), "Did you mean 'compare'?"),
    ],
)
def test_a_word_that_others_use_is_answered_with_ours(attnbench: Run, words: tuple[str, ...], says: str):
    done = attnbench(*words)
    assert done.status == 2
    assert says in done.err
