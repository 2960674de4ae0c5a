"""A Slurm made of one file: its commands on PATH, and what a test makes of its jobs."""

import json
import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from attnbench.cluster import job
from attnbench.cluster.submission import submissions
from attnbench.machine.node import Allocation
from attnbench.records.journal import Fact, Timed
from attnbench.records.parts import Part
from attnbench.records.record import Record
from attnbench.records.record_file import read
from tests.shards import Workers

COMMANDS = ("sbatch", "squeue", "scancel", "scontrol", "sacct", "sinfo")
HERE = "FAKE_SLURM"
WHOLE = Allocation((0, 1), 2, exclusive=True)
SIZES = ("--res", "2,4,6", "--dim", "24", "--heads", "3", "--batch", "1", "--device", "cpu", "--threads", "1")
EFFORT = ("--quick", "--sessions", "1")
WORDS = ("msa", "hilo", *SIZES, *EFFORT, "--out", "run", "--on", "slurm:time=20")
SLEEP = "attnbench.cli.cluster.sleep"


@dataclass(frozen=True)
class FakeSlurm:
    """Jobs by number, in a folder that holds the commands too."""

    folder: Path

    def install(self) -> None:
        for name in COMMANDS:
            command = self.folder / name
            command.write_text(
                f"#!{sys.executable} -S\nimport sys\nsys.argv[0] = {name!r}\n{_SOURCE}", encoding="utf-8"
            )
            command.chmod(0o755)

    @property
    def arrays(self) -> list[dict[str, Any]]:
        path = self.folder / "jobs.json"
        return json.loads(path.read_text(encoding="utf-8")) if path.exists() else []

    @property
    def waiting(self) -> list[tuple[int, int]]:
        """Array and index of the jobs that have not begun."""
        return [
            (number, int(index))
            for number, array in enumerate(self.arrays)
            for index, (state, *_) in array["states"].items()
            if state == "PENDING"
        ]

    def put(self, number: int, index: int, state: str, reason: str = "None", code: str = "0:0") -> None:
        arrays = self.arrays
        arrays[number]["states"][str(index)] = [state, reason, code]
        (self.folder / "jobs.json").write_text(json.dumps(arrays), encoding="utf-8")

    def forget(self) -> None:
        """As the controller does with jobs that have ended some minutes ago."""
        (self.folder / "jobs.json").write_text(json.dumps([{**each, "states": {}} for each in self.arrays]))

    def submission(self, number: int) -> Path:
        """The file that the script of an array names."""
        words = self.arrays[number]["script"].split()
        return Path(words[words.index("attnbench.cluster.job") + 1])

    def work_off(self) -> Iterator[int]:
        """Do the jobs that wait, one by one, in this process; their exit statuses."""
        for number, index in self.waiting:
            self.put(number, index, "RUNNING")
            status = job.main(self.submission(number), index)
            if status:
                self.put(number, index, "FAILED", "NonZeroExitCode", f"{status}:0")
            else:
                self.put(number, index, "COMPLETED")
            yield status


_SOURCE = """
import json, os, pathlib, re
here = pathlib.Path(os.environ["FAKE_SLURM"])
path = here / "jobs.json"
jobs = json.loads(path.read_text()) if path.exists() else []
name, words = sys.argv[0], sys.argv[1:]
options = dict(word[2:].partition("=")[::2] for word in words if word.startswith("--"))
if (here / "down").exists():
    sys.exit("slurm_load_jobs error: Unable to contact slurm controller (connect failure)")
if name == "sbatch":
    if (here / "refusal").exists():
        sys.exit((here / "refusal").read_text())
    last = int(options["array"].partition("%")[0].partition("-")[2])
    states = {str(index): ["PENDING", "Resources", "0:0"] for index in range(last + 1)}
    jobs.append({"name": options["job-name"], "options": words, "script": sys.stdin.read(), "states": states})
    path.write_text(json.dumps(jobs))
    print(100 + len(jobs) - 1)
elif name == "squeue":
    for job in jobs:
        if job["name"] in options["name"].split(","):
            for index, (state, reason, _) in job["states"].items():
                print(f"{job['name']}|{index}|{state}|{reason}")
elif name == "scancel":
    for job in jobs:
        if job["name"] == options["name"]:
            for told in job["states"].values():
                if told[0] in ("PENDING", "RUNNING"):
                    told[:] = ["CANCELLED", "None", "0:15"]
    path.write_text(json.dumps(jobs))
elif name == "scontrol":
    number, _, index = words[-1].partition("_")
    told = jobs[int(number) - 100]["states"].get(index)
    if not told:
        sys.exit("slurm_load_jobs error: Invalid job id specified")
    print(f"JobId={words[-1]} JobState={told[0]} Reason={told[1]} ExitCode={told[2]} TimeLimit=00:20:00")
elif name == "sacct":
    if not (here / "accounts").exists():
        sys.exit("Slurm accounting storage is disabled")
    print((here / "accounts").read_text())
elif name == "sinfo":
    print((here / "nodes").read_text())
"""


def variables(folder: Path) -> Mapping[str, str]:
    """The environment in which its commands come first."""
    return {HERE: str(folder), "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}"}


def rows() -> tuple[Record, ...]:
    return read(Path("run")).records


def part(number: int = 0) -> Part:
    return Part(Path("run/blocks") / submissions(Path("run"))[0].parts[number])


class Killed(Workers):
    """Workers of which one that times is killed in its second round, with the job that it belongs to."""

    def __call__(self, shard: Path, threads: int, timeout_s: float, spare: object = None) -> Iterator[Fact]:
        timed = 0
        for fact in super().__call__(shard, threads, timeout_s):
            yield fact
            timed += isinstance(fact, Timed)
            if timed == 7:
                raise KeyboardInterrupt
