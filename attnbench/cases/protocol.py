"""How much is measured: the effort that a run puts into each block."""

from dataclasses import dataclass, field, replace

from attnbench.file_marks import SPARSE

KEPT, SYSTEM = ALLOCATORS = ("kept", "system")


@dataclass(frozen=True, slots=True)
class Protocol:
    """When a block's timing is over, and what goes into it.

    `sessions` fresh processes time the block, each for at least `least_rounds` rounds, until the 95 %
    intervals of all ratios lie within ±`precision`, and those of levels within `LEVEL_WIDTH` times that, or
    until `max_seconds` of timing are spent. A member warms up for `least_warmup_s` to `most_warmup_s`, or for
    its share of a tenth of the time where that is less; a sample lasts at least `min_sample_s`; one step of a
    case, such as its first call, may take `timeout_s`. `seed` fixes weights, inputs and the order inside the
    rounds. With an `allocator` that is `kept`, a process keeps the memory that it frees, where the C library
    can; one of the `system` may give it back, and pay for it again in every call. With `energy_s`, each
    case's calls go on for so long in each session, for the device's energy counter.
    """

    sessions: int
    precision: float
    max_seconds: float
    least_rounds: int = 5
    least_warmup_s: float = 0.3
    most_warmup_s: float = 3.0
    min_sample_s: float = 0.005
    timeout_s: float = 120.0
    seed: int = 0
    allocator: str = KEPT
    energy_s: float = field(default=0.0, metadata=SPARSE)

    def within(self, warmup_s: float) -> "Protocol":
        """The same with a warm-up that takes no longer."""
        return replace(
            self,
            least_warmup_s=min(self.least_warmup_s, warmup_s),
            most_warmup_s=min(self.most_warmup_s, warmup_s),
        )


LEVEL_WIDTH = 2.0  # times as wide as ratios levels may be, for the machine's drift is in them
WARMUP_SHARE = 0.1  # of a session's time, at most
WORKER_START_S = 5.0  # a worker imports torch and builds its layers; for estimates only


def lasting(protocol: Protocol, seconds: float, blocks: int, cases: int = 0) -> Protocol:
    """The protocol whose run of so many blocks takes about so long, of which at least half goes into timing.

    The rest is for starting a block's processes, one that examines its layers and one for each session, and
    for the energy of all blocks' `cases` in each, and of the device at rest.
    """
    share_s = seconds / blocks
    rest_s = (protocol.sessions + 1) * WORKER_START_S
    rest_s += protocol.sessions * protocol.energy_s * (cases / blocks + 1)
    return replace(protocol, max_seconds=max(share_s / 2, share_s - rest_s))


DEFAULT = Protocol(sessions=3, precision=0.02, max_seconds=300)
RIGOROUS = Protocol(sessions=5, precision=0.01, max_seconds=1200)
QUICK = Protocol(sessions=2, precision=0.03, max_seconds=60, least_warmup_s=0.1, most_warmup_s=0.5)
CEILINGS_ALONE = Protocol(sessions=1, precision=0.01, max_seconds=10, least_rounds=20)
