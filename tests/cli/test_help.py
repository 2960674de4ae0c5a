"""What commands say of themselves: man pages that do not go stale."""

import re
import shlex
from pathlib import Path

import pytest
from typer.core import TyperOption
from typer.main import get_command, get_group

from attnbench.cli import app
from attnbench.cli.help import flowing
from attnbench.machine import devices
from attnbench.records.record_file import append
from tests.cli.test_claims import MINE
from tests.conftest import Run
from tests.fakes import block

COMMANDS = get_group(app).commands
DOORS = {  # what each command calls when it has understood what it was asked for
    "list": ["attnbench.measuring.catalogue.entries"],
    "flops": ["attnbench.measuring.catalogue.points"],
    "spectrum": ["attnbench.measuring.spectrum.survey"],
    "run": ["attnbench.cli.session.carry_out", "attnbench.cli.cluster.order"],
    "collect": ["attnbench.cluster.standing.collected"],
    "profile": ["attnbench.measuring.profile.profile", "attnbench.run.fitting.shortages"],
    "doctor": ["attnbench.run.runner.measure_ceilings"],
    "compare": [
        *(f"attnbench.cli.show.print_{what}" for what in ("run", "matrices_of")),
        "attnbench.cli.two_runs.print_changes",
    ],
    "report": ["attnbench.analysis.analysis.open_runs"],
    "runs": ["attnbench.analysis.overview.overview"],
    "claims": ["attnbench.analysis.claims.judge"],
    "check": ["attnbench.measuring.contract.examine"],
}
PLUGIN = """
from attnbench import Mechanism, Paper

def anything(geometry):
    raise AssertionError("nothing is built or counted")

paper = Paper("On it", "Here", 2026, "https://example.org")
linear = Mechanism(name="linear", title="Linear", build=anything, macs=anything, paper=paper)
"""


class Understood(BaseException):
    """A command line that works."""


def examples(epilog: str | None) -> list[str]:
    return re.findall(r"^attnbench .*", (epilog or "").replace("\\[", "["), flags=re.MULTILINE)


EVERY = [line for each in (get_command(app), *COMMANDS.values()) for line in examples(each.epilog)]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with all that examples name, on a machine with a GPU, where nothing is really done."""

    def understood(*_: object, **__: object) -> None:
        raise Understood

    for door in (door for doors in DOORS.values() for door in doors):
        monkeypatch.setattr(door, understood)
    monkeypatch.setattr(devices, "present", lambda: ("cpu", "cuda"))
    monkeypatch.setattr(devices, "require", lambda name: None)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my_attention.py").write_text(PLUGIN)
    (tmp_path / "my_claims.toml").write_text(MINE)
    for run in ("results/table-iv-cpu", "results/table-iv-h200", "before", "after"):
        Path(run).mkdir(parents=True)
        append(Path(run), block({"msa": [0.4] * 6, "hilo": [0.2] * 6}))
    return tmp_path


@pytest.fixture
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal of 80 columns."""
    monkeypatch.setenv("COLUMNS", "80")


@pytest.mark.parametrize("line", [line for line in EVERY if not line.startswith("attnbench --")])
def test_an_example_is_a_command_line_that_works(attnbench: Run, here: Path, line: str):
    _, *words = shlex.split(line)
    with pytest.raises(Understood):
        attnbench(*words[: words.index("|") if "|" in words else None])


def test_the_apps_own_options_in_examples_exist():
    own = [line.split()[1:] for line in examples(get_command(app).epilog) if line.startswith("attnbench --")]
    assert own == [["--install-completion"]]
    assert "--install-completion" in {name for option in get_command(app).params for name in option.opts}


@pytest.mark.parametrize("name", COMMANDS)
def test_help_begins_with_what_a_command_does_and_ends_with_examples(attnbench: Run, narrow: None, name: str):
    done = attnbench(name, "--help")
    assert done.status == 0
    usage, does, *_ = (text for text in re.split(r"\n *\n", done.out) if text.strip())
    assert usage.split()[:3] == ["Usage:", "attnbench", name]
    assert " ".join(does.split()) == (COMMANDS[name].help or "").split("\n\n")[0]
    told = [line.strip() for line in done.out.partition("Examples")[2].splitlines()]
    shown = examples(COMMANDS[name].epilog)
    assert shown
    assert [line for line in told if line.startswith("attnbench")] == shown
    assert max(map(len, done.out.splitlines())) <= 80


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_is_in_a_group_and_says_what_it_is_without_being_given(name: str):
    options = [option for option in COMMANDS[name].params if isinstance(option, TyperOption)]
    said = [option for option in options if option.is_flag or "[default: " in (option.help or "")]
    shown = [option for option in options if option.show_default and option.default is not None]
    assert [option.name for option in options if not option.rich_help_panel] == []
    assert [option.name for option in options if option not in [*said, *shown]] == []


@pytest.mark.parametrize("name", ["", *COMMANDS])
def test_a_short_h_helps_as_well(attnbench: Run, narrow: None, name: str):
    asked = [name] if name else []
    assert attnbench(*asked, "-h").out == attnbench(*asked, "--help").out


def test_the_overview_says_where_results_go_and_what_exit_statuses_mean(attnbench: Run, narrow: None):
    out = attnbench("--help").out
    said = re.findall(r"^ (\d+)  +\w", out, flags=re.MULTILINE)
    assert said == ["0", "1", "2", "3", "4", "70", "130", "141"]
    assert "records.jsonl" in out
    assert max(map(len, out.splitlines())) <= 80


def test_without_a_command_the_overview_is_shown_as_a_mistake(attnbench: Run, narrow: None):
    done = attnbench()
    assert (done.status, done.out.rstrip()) == (2, attnbench("--help").out.rstrip())


def test_a_docstring_flows_into_a_terminal_of_any_width():
    assert flowing("One that\ngoes on.\n\nAnother,\n  indented.") == "One that goes on.\n\nAnother, indented."
