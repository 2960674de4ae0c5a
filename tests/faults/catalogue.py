"""The faults, one by one: what is done to a command that runs, and to what it has left."""

import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from random import Random

import psutil

from attnbench.records.folder import LOCK, shards
from tests.faults.command import Command, wait

SIGNALS = ("SIGKILL", "SIGTERM", "SIGINT", "SIGHUP", "SIGUSR1")
LIMITS_KIB = (1, 60)  # of files, for a disk that is full; those of a run that is left alone become larger
STOPPED_S = (0.2, 3.0)
EARLY = 0.3  # of the time, for a second command to meet the first
DAMAGE = b"\xff\x00\xfe"  # what is in no text in UTF-8


@dataclass(slots=True)
class Scene:
    """A command that runs, chance, and the commands that were started beside it."""

    command: Command
    process: subprocess.Popen[str]
    chance: Random
    longest_s: float
    beside: list[subprocess.Popen[str]] = field(default_factory=list)

    def shard(self) -> Path | None:
        """A shard that a worker has written to, once there is one; None where the command ends without."""
        return wait(self.longest_s, "no block has begun", self._begun, self._ended)

    def _begun(self) -> Path | None:
        return next(filter(_is_begun, shards(self.command.folder)), None)

    def _ended(self) -> bool:
        return self.process.poll() is not None

    def stop_for_good(self) -> None:
        """Kill the command, and see its worker go."""
        self.process.kill()
        self.process.wait()
        wait(self.longest_s, "a worker outlives its parent", lambda: None, self.command.is_over)


@dataclass(frozen=True, slots=True)
class Fault:
    """What is done to a command at a random moment; it says whether there was still something to do it to.

    Where files are `limited`, they are so from the command's start. It comes in the part of the time up to
    `latest`, before which a command that is left alone would not be over.
    """

    name: str
    strike: Callable[[Scene], bool]
    limited: bool = False
    latest: float = 0.95


def to_parent(number: int, scene: Scene) -> bool:
    """Send a signal to the command itself."""
    scene.process.send_signal(number)
    return True


def to_worker(number: int, scene: Scene) -> bool:
    """Send a signal to the worker of the moment."""
    worker = scene.command.worker(scene.longest_s)
    return worker is not None and _send(number, worker)


def to_all(number: int, scene: Scene) -> bool:
    """Send a signal to the command and its worker, as a scheduler does that ends a job."""
    sent = [_send(number, process) for process in scene.command.processes()]
    return any(sent)


def pause_worker(scene: Scene) -> bool:
    """Let the worker of the moment stand still for a while."""
    worker = scene.command.worker(scene.longest_s)
    if worker is None or not _send(signal.SIGSTOP, worker):
        return False
    time.sleep(scene.chance.uniform(*STOPPED_S))
    return _send(signal.SIGCONT, worker)


def pause_parent(scene: Scene) -> bool:
    """Let the command stand still for a while; its worker goes on."""
    to_parent(signal.SIGSTOP, scene)
    time.sleep(scene.chance.uniform(*STOPPED_S))
    return to_parent(signal.SIGCONT, scene)


def start_another(scene: Scene) -> bool:
    """Start the same command beside itself."""
    scene.beside.append(scene.command.start())
    return True


def remove_lock(scene: Scene) -> bool:
    """Remove the lock of a command that runs, and start the same one beside it."""
    if scene.shard() is None:
        return False
    (scene.command.folder / LOCK).unlink(missing_ok=True)
    return start_another(scene)


def remove_folder(scene: Scene) -> bool:
    """Remove the run's folder while it is written."""
    if scene.shard() is None:
        return False
    shutil.rmtree(scene.command.folder, ignore_errors=True)
    return True


def remove_shard(scene: Scene) -> bool:
    """Remove the shard while it is written."""
    shard = scene.shard()
    if shard:
        shard.unlink(missing_ok=True)
    return shard is not None


def then(harm: Callable[[Path, Random], object], scene: Scene) -> bool:
    """Kill the command once there is a shard, and harm that."""
    scene.shard()
    scene.stop_for_good()
    harmed = list(filter(_is_begun, shards(scene.command.folder)))
    for shard in harmed:
        harm(shard, scene.chance)
    return bool(harmed)


def cut_off(shard: Path, chance: Random) -> None:
    """Leave out the end of its last line, as a kill in the middle of a write does."""
    content = shard.read_bytes()
    last = len(content.rstrip(b"\n").rpartition(b"\n")[2])
    shard.write_bytes(content[: len(content) - chance.randint(1, last)])


def damage(shard: Path, chance: Random) -> None:
    """Write over a few of its bytes."""
    content = shard.read_bytes()
    start = chance.randrange(len(content) - len(DAMAGE))
    shard.write_bytes(content[:start] + DAMAGE + content[start + len(DAMAGE) :])


def empty(shard: Path, _chance: Random) -> None:
    """Leave nothing of it."""
    shard.write_bytes(b"")


def remove(shard: Path, _chance: Random) -> None:
    """Remove it."""
    shard.unlink()


def _is_begun(shard: Path) -> bool:
    """Whether a worker has written to a shard: before, it is whole or not there at all."""
    with suppress(FileNotFoundError):
        return b'"Began"' in shard.read_bytes()
    return False


def _send(number: int, process: psutil.Process) -> bool:
    """Send a signal to a process, if there still is one."""
    try:
        process.send_signal(number)
    except psutil.NoSuchProcess:
        return False
    return True


def _signals() -> Iterator[Fault]:
    for name in SIGNALS:
        for send, whom in ((to_parent, "the command"), (to_worker, "its worker"), (to_all, "both")):
            yield Fault(f"{name} to {whom}", partial(send, getattr(signal, name)))


FAULTS = (
    *_signals(),
    Fault("a worker stopped for a while", pause_worker),
    Fault("the command stopped for a while", pause_parent),
    Fault("a full disk", lambda _: True, limited=True),
    Fault("the same command twice at once", start_another, latest=EARLY),
    Fault("its lock removed, and the same command again", remove_lock, latest=EARLY),
    Fault("the folder removed while it is written", remove_folder),
    Fault("the shard removed while it is written", remove_shard),
    Fault("killed, and the last line cut off", partial(then, cut_off)),
    Fault("killed, and the shard damaged", partial(then, damage)),
    Fault("killed, and the shard emptied", partial(then, empty)),
    Fault("killed, and the shard removed", partial(then, remove)),
)
