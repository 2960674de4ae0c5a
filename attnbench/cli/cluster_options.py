"""Where a run is measured: options of `attnbench run` for a cluster."""

from typing import Annotated

from attnbench.cli.help import WHERE, flag, option

On = Annotated[
    str | None,
    option(
        "--on",
        metavar="CLUSTER",
        about="slurm, slurm:partition=NAME,time=20, or a TOML file with such keys: sbatch's options.",
        panel=WHERE,
        default="this machine",
    ),
]
AtMost = Annotated[
    int | None,
    option(
        "--at-most",
        metavar="N",
        min=1,
        about="With --on: so many jobs at once.",
        panel=WHERE,
        default="as many as the cluster lets run",
    ),
]
SameMachine = Annotated[
    bool,
    flag(
        "--same-machine", about="With --on: all blocks on one kind of node, and none elsewhere.", panel=WHERE
    ),
]
Detach = Annotated[
    bool, flag("--detach", about="With --on: submit the jobs, and wait for none of them.", panel=WHERE)
]
Cancel = Annotated[bool, flag("--cancel", about="With --on: end the jobs of this command.", panel=WHERE)]
