"""`attnbench collect`: bring the rows of blocks that a cluster measured into the records of their run."""

from pathlib import Path
from typing import Annotated

from attnbench.cli.completion import runs
from attnbench.cli.help import argument

EXAMPLES = {
    "what has been measured of a run so far": "attnbench collect results/sweep",
}


def collect(
    run: Annotated[Path, argument("RUN", about="The folder of a run.", autocompletion=runs)],
) -> None:
    """Collect what jobs on a cluster have measured of a run so far, and say what is left.

    `attnbench run --on` does it at its end; this is for runs with --detach, and for those whose command was
    ended. It submits nothing, needs no torch, and where there is no Slurm it asks the files alone.
    """
    from attnbench.cli.cluster import progress
    from attnbench.cli.output import output
    from attnbench.cluster.standing import collected

    here = output()
    rows, found = collected(run)
    here.tell(f"{progress(found)}. {rows} new in {run}/records.jsonl.")
