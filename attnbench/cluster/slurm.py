"""Slurm's own commands, and what they answer; nothing here knows what a job does."""

import re
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from attnbench.errors import AttnbenchError

ANSWER_S = 60.0  # for which a controller that is busy is waited for
FINAL = frozenset(
    {
        *("BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "NODE_FAIL", "OUT_OF_MEMORY"),
        *("PREEMPTED", "REVOKED", "TIMEOUT"),
    }
)
"""States that a job does not leave; all others are of jobs that are waited for."""
MOST_SIGNALS = 65  # what stands there beyond them is a word of Slurm's, such as 125 for memory
FORGOTTEN = "FORGOTTEN"  # of a job that Slurm knows nothing of any more; a word of ours
CANCELLED = "CANCELLED"  # whose reason is still why it waited
RUNNING = ("RUNNING", "COMPLETING", "CONFIGURING")
UNCONFIGURED = "This machine belongs to no cluster: run the command on a login node of one."
REFUSED = "`sinfo` shows what this cluster has; --on slurm:partition=NAME,time=MINUTES asks for it."


@dataclass(frozen=True, slots=True)
class JobState:
    """Slurm's word for how a job is, and why: of one that waits, or how one ended."""

    state: str
    reason: str = ""

    @property
    def is_final(self) -> bool:
        return self.state in FINAL

    @property
    def is_running(self) -> bool:
        return self.state in RUNNING


@dataclass(frozen=True, slots=True)
class Node:
    """What Slurm knows of a node and all of its kind: sockets, cores and threads as `2:32:2`, and more."""

    cores: str
    devices: str
    features: frozenset[str]

    @property
    def words(self) -> str:
        """`2:32:2 cores, gpu:h100:4, with icelake, ib`."""
        features = f"with {', '.join(sorted(self.features))}" if self.features else "without features"
        return ", ".join(filter(None, [f"{self.cores} cores", self.devices, features]))


class NoAnswer(Exception):  # noqa: N818
    """Slurm did not say, which may pass."""


def submit(script: str, options: Sequence[str]) -> str:
    """Submit a script and return its job id; what Slurm refuses is an `AttnbenchError` in its words."""
    try:
        done = _run("sbatch", "--parsable", *options, text=script)
    except FileNotFoundError:
        raise AttnbenchError("There is no sbatch here; run this where Slurm's commands are.") from None
    except subprocess.TimeoutExpired:
        raise AttnbenchError(
            f"Slurm did not say in {ANSWER_S:g} s whether it took the jobs; run the same command again later."
        ) from None
    if done.returncode:
        remedy = UNCONFIGURED if "configuration source" in done.stderr else REFUSED
        raise AttnbenchError(f"Slurm did not take the jobs: {_last_words(done.stderr)}. {remedy}")
    return done.stdout.strip().partition(";")[0]


def cancel(names: Iterable[str]) -> None:
    """End all jobs of these names, waiting or running; `NoAnswer` where Slurm does not do it."""
    for name in names:
        _answer("scancel", f"--name={name}")


def members(names: Sequence[str]) -> dict[tuple[str, int], JobState]:
    """The members of arrays of these names that Slurm still knows, by name and index."""
    if not names:
        return {}
    done = _answer("squeue", "-h", "-r", "-t", "all", "-o", "%j|%K|%T|%r", f"--name={','.join(names)}")
    found: dict[tuple[str, int], JobState] = {}
    for line in done.splitlines():
        name, index, state, reason = line.split("|", 3)
        if index.isdecimal():
            told = JobState(state, "" if reason == "None" else reason)
            if told.is_final and (name, int(index)) in found:
                continue  # an earlier life of one that was queued again
            found[name, int(index)] = told
    return found


def nodes(partition: str) -> list[Node]:
    """The nodes of a partition, or of the usual one, that answer."""
    said = _answer("sinfo", "-h", "-N", "-r", "-o", "%P|%z|%G|%f", *([f"-p{partition}"] if partition else []))
    found = [line.split("|", 3) for line in said.splitlines()]
    return [
        Node(cores, _unless_null(devices), frozenset(filter(None, _unless_null(features).split(","))))
        for name, cores, devices, features in found
        if partition or name.endswith("*")
    ]


def _unless_null(text: str) -> str:
    return "" if text == "(null)" else text


def ended(job: str, index: int) -> JobState:
    """How a member of an array ended: by accounting, where there is any, or as the controller remembers."""
    member = f"{job}_{index}"
    try:
        lines = _answer("sacct", "-nPX", "-o", "State,ExitCode,Timelimit", "-j", member).splitlines()
    except NoAnswer:
        lines = []  # there is no accounting
    for state, code, limit in (line.split("|") for line in lines):
        word, _, by = state.partition(" ")  # `CANCELLED by 0`
        if word in FINAL:
            return JobState(word, _why(word, limit, by, code))
    try:
        told = _fields(_answer("scontrol", "-o", "show", "job", member))
    except NoAnswer:
        return JobState(FORGOTTEN, "Slurm knows nothing of its job any more")
    word, reason = told.get("JobState", FORGOTTEN), told.get("Reason", "None")
    says_no_more = word == CANCELLED or reason.replace("_", "").lower() in (
        "none",
        word.replace("_", "").lower(),
    )
    why = _why(word, told.get("TimeLimit", ""), "" if says_no_more else reason, told.get("ExitCode", ""))
    return JobState(word, why)


def _why(state: str, limit: str, reason: str, code: str) -> str:
    """What is said of how a job ended, beside its state."""
    words = [f"time limit {limit}" if state == "TIMEOUT" else reason, _exit(code)]
    return ", ".join(filter(None, words))


def _exit(code: str) -> str:
    """`0:9` as sacct and scontrol write an exit status and a signal."""
    match code.split(":"):
        case [status, "0"] if status != "0":
            return f"exit status {status}"
        case [_, signal] if 0 < int(signal) < MOST_SIGNALS:
            return f"signal {signal}"
    return ""


def _fields(line: str) -> dict[str, str]:
    return dict(re.findall(r"(\w+)=(\S*)", line))


def _answer(*command: str) -> str:
    """What a command prints; `NoAnswer` where it fails."""
    try:
        done = _run(*command)
    except subprocess.TimeoutExpired as error:
        raise NoAnswer(f"{command[0]} said nothing in {ANSWER_S:g} s") from error
    except FileNotFoundError as error:
        raise NoAnswer(f"there is no {command[0]} here") from error
    if done.returncode:
        raise NoAnswer(_last_words(done.stderr))
    return done.stdout


def _run(*command: str, text: str | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, input=text, capture_output=True, text=True, timeout=ANSWER_S, errors="replace", check=False
    )


def _last_words(text: str) -> str:
    said = text.strip().splitlines()
    return said[-1].removeprefix("sbatch: error: ").rstrip(".") if said else "it did not say why"
