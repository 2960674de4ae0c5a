"""The commands, one file each: parse, call one thing, print."""

import sys

import typer

from attnbench.cli.check import check
from attnbench.cli.compare import compare
from attnbench.cli.doctor import doctor
from attnbench.cli.flops import flops
from attnbench.cli.list import list_mechanisms
from attnbench.cli.pipe import quiet_output
from attnbench.cli.profile import profile
from attnbench.cli.report import report
from attnbench.cli.run import run
from attnbench.cli.spectrum import spectrum
from attnbench.errors import AttnbenchError

app = typer.Typer(
    name="attnbench",
    help="Compare attention layers for vision: parameters, FLOPs and speed, with intervals.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command("list")(list_mechanisms)
app.command("flops")(flops)
app.command("run")(run)
app.command("compare")(compare)
app.command("report")(report)
app.command("check")(check)
app.command("spectrum")(spectrum)
app.command("profile")(profile)
app.command("doctor")(doctor)


@quiet_output()
def main() -> None:
    """Run a command; a mistake that the user can mend is one line on standard error and exit status 2."""
    try:
        app()
    except AttnbenchError as mistake:
        print(f"Error: {mistake}", file=sys.stderr)
        sys.exit(2)
