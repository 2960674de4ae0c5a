"""How much `attnbench run` measures: a preset, and what differs from it."""

from dataclasses import replace
from typing import Annotated

from attnbench.cases.protocol import DEFAULT, QUICK, RIGOROUS, Protocol
from attnbench.cli.help import EFFORT, flag, option
from attnbench.cli.options import read_share
from attnbench.errors import AttnbenchError
from attnbench.words import plural

ENERGY_S = 0.5


def _described(preset: Protocol) -> str:
    precision = f"intervals within ±{100 * preset.precision:g} %"
    return f"{plural(preset.sessions, 'session')}, {precision}, at most {preset.max_seconds:g} s a block."


Quick = Annotated[bool, flag("--quick", about=f"{_described(QUICK)} Not with --rigorous.", panel=EFFORT)]
Rigorous = Annotated[
    bool, flag("--rigorous", about=f"{_described(RIGOROUS)} Not with --quick.", panel=EFFORT)
]
Precision = Annotated[
    str | None,
    option(
        "--precision",
        metavar="SHARE",
        about="Stop when all intervals are within ± this, such as 2% or 0.02.",
        panel=EFFORT,
        default=f"{100 * DEFAULT.precision:g}%",
    ),
]
Sessions = Annotated[
    int | None,
    option(
        "--sessions",
        metavar="N",
        min=1,
        about="Fresh processes that time a block, one after the other.",
        panel=EFFORT,
        default=f"{DEFAULT.sessions}",
    ),
]
MaxSeconds = Annotated[
    float | None,
    option(
        "--max-seconds",
        metavar="S",
        min=1,
        about="Stop timing a block after this, precise enough or not.",
        panel=EFFORT,
        default=f"{DEFAULT.max_seconds:g}",
    ),
]
Duration = Annotated[
    str | None,
    option(
        "--for",
        metavar="DURATION",
        about="About how long all may take, such as 2min, 90s or 1h. Not with --max-seconds.",
        panel=EFFORT,
        default="as long as each block's --max-seconds",
    ),
]
Timeout = Annotated[
    float | None,
    option(
        "--timeout",
        metavar="S",
        min=1,
        about="Give a case up when one step, such as a first call, takes longer; one that compiles with "
        "max-autotune may take ten times as long.",
        panel=EFFORT,
        default=f"{DEFAULT.timeout_s:g}",
    ),
]
Energy = Annotated[
    bool,
    flag(
        "--energy",
        about=f"Measure energy too, where the device has a counter: {ENERGY_S:g} s a layer and session.",
        panel=EFFORT,
    ),
]


def read_duration(option: str, text: str) -> float:
    """Seconds from `2min`, `90s` or `1h30min`."""
    from pandas import Timedelta

    try:
        seconds = Timedelta(text).total_seconds()
    except (ValueError, OverflowError):
        seconds = 0.0
    if text.isdecimal() or not seconds > 0:
        raise AttnbenchError(f"{option} is {text!r}; it must be a duration such as 2min, 90s or 1h.")
    return seconds


def read_protocol(
    *,
    quick: bool,
    rigorous: bool,
    precision: str | None,
    sessions: int | None,
    max_seconds: float | None,
    duration: str | None,
    timeout_s: float | None,
    energy: bool,
) -> Protocol:
    """The effort that was asked for."""
    if duration and max_seconds:
        raise AttnbenchError("--for and --max-seconds exclude each other; choose one of them.")
    if quick and rigorous:
        raise AttnbenchError("--quick and --rigorous exclude each other; choose one of them.")
    effort = QUICK if quick else RIGOROUS if rigorous else DEFAULT
    return replace(
        effort,
        precision=read_share("--precision", precision) if precision else effort.precision,
        sessions=sessions or effort.sessions,
        max_seconds=max_seconds or effort.max_seconds,
        timeout_s=timeout_s or effort.timeout_s,
        energy_s=ENERGY_S if energy else 0.0,
    )
