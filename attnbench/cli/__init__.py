"""The commands, one file each: parse, call one thing, print.

A command's file has a function, whose docstring is the command's help, and EXAMPLES, which end it.
"""

import errno
import gc
import platform
import sys
import traceback
from importlib.metadata import version
from typing import Annotated, NoReturn

import typer

from attnbench.cli import check, claims, collect, compare, doctor, flops, profile, report, run, runs, spectrum
from attnbench.cli import list as registry
from attnbench.cli.completion import whole_words
from attnbench.cli.given import require_words, shortened, with_what_is_meant
from attnbench.cli.help import COSTS, MEASURING, OWN, RESULTS, add, flag, flowing, worked
from attnbench.cli.pipe import quiet_output
from attnbench.errors import AttnbenchError
from attnbench.words import visible

NAME = "attnbench"
BUG = 70  # EX_SOFTWARE of sysexits.h
EXAMPLES = {
    "all mechanisms beside the paper's table, on this machine, in two minutes": "attnbench run --quick",
    "the newest run again, with its figures": "attnbench compare --plot",
    "commands, mechanisms and runs after TAB, in bash, zsh and fish": "attnbench --install-completion",
}
ENDING = """
[bold]Exit status[/]

0    done; rows that could not be measured are included, and said
1    check: the contract is broken; run: nothing could be measured
2    a mistake in the call, or runs that cannot be compared
3    compare: something is slower than --fail-on allows
4    run --on: jobs ended early; the same command submits what is left
70   a fault of attnbench itself, with its traceback
130  interrupted; what was measured is kept
141  nobody reads what is printed any more, as after | head

[bold]Results[/]

A run is a folder, named by --out or by the time in results/. records.jsonl
has every sample, the machine and all settings; the rest is made from it.

[bold]Environment[/]

NO_COLOR     no colours
FORCE_COLOR  colours in pipes and files, too
COLUMNS      how wide to print
"""


COLLECTED_EACH = 50_000  # new values; rows stay to the end, and to look through them more often finds nothing


@quiet_output()
def main() -> None:
    """Run a command; a mistake that the user can mend is one line on standard error and exit status 2.

    Any other exception is a fault of attnbench itself, whose traceback is shown: exit status 70.
    """
    gc.set_threshold(COLLECTED_EACH)
    try:
        require_words(sys.argv[1:])
        with whole_words():
            sys.exit(app(prog_name=NAME, standalone_mode=False))
    except AttnbenchError as mistake:
        _refuse(str(mistake))
    except typer.TyperException as mistake:
        _refuse(
            with_what_is_meant(mistake.format_message().replace("Value error, ", ""))
        )  # a word of the parser's to itself
    except Exception as error:
        if isinstance(error, OSError) and error.errno == errno.ENAMETOOLONG:
            _refuse(f"{error.filename} is too long for the name of a file.")
        print(visible(traceback.format_exc()), file=sys.stderr)
        print("Error: This is a fault of attnbench itself; what was measured is kept.", file=sys.stderr)
        sys.exit(BUG)


def _refuse(message: str) -> NoReturn:
    print(f"Error: {visible(shortened(message))}", file=sys.stderr)
    sys.exit(2)


def _print_versions(asked: bool) -> None:
    """Say what runs here; torch is not imported for it."""
    if asked:
        print(f"attnbench {version(NAME)}, Python {platform.python_version()}, torch {version('torch')}")
        raise typer.Exit


def attnbench(
    context: typer.Context,
    version: Annotated[  # noqa: ARG001 - its callback answers
        bool,
        flag(
            "--version",
            "-V",
            about="Show the versions of attnbench, Python and torch.",
            panel="Options",
            is_eager=True,
            callback=_print_versions,
        ),
    ] = False,
) -> None:
    """Compare attention layers for vision: parameters, FLOPs, speed and memory, with intervals.

    Layers are timed in pairs by several processes, so that ratios and verdicts can be believed, and shown
    beside the numbers that were published. Each command has a --help with examples.
    """
    if context.invoked_subcommand is None:
        context.get_help()
        raise typer.Exit(2)


app = typer.Typer(
    name=NAME,
    help=flowing(attnbench.__doc__ or ""),
    epilog=f"{worked(EXAMPLES)}\n{ENDING}",
    context_settings={"help_option_names": ["--help", "-h"]},
    pretty_exceptions_enable=False,
)
app.callback(invoke_without_command=True)(attnbench)
add(app, "list", registry.list_mechanisms, COSTS, registry.EXAMPLES)
add(app, "flops", flops.flops, COSTS, flops.EXAMPLES)
add(app, "spectrum", spectrum.spectrum, COSTS, spectrum.EXAMPLES)
add(app, "run", run.run, MEASURING, run.EXAMPLES)
add(app, "collect", collect.collect, MEASURING, collect.EXAMPLES)
add(app, "profile", profile.profile, MEASURING, profile.EXAMPLES)
add(app, "doctor", doctor.doctor, MEASURING, doctor.EXAMPLES)
add(app, "compare", compare.compare, RESULTS, compare.EXAMPLES)
add(app, "report", report.report, RESULTS, report.EXAMPLES)
add(app, "runs", runs.runs, RESULTS, runs.EXAMPLES)
add(app, "claims", claims.claims, RESULTS, claims.EXAMPLES)
add(app, "check", check.check, OWN, check.EXAMPLES)
