"""All of `attnbench run --device cuda`, on a device that is faked: what is planned becomes rows and tables.

`tests/fake_cuda.py` says what such a device has, and what it cannot show. HiLo stands for all mechanisms in
the quick tests; the slow ones have each.
"""

import sys
import time
from collections.abc import Mapping
from contextlib import redirect_stderr, redirect_stdout, suppress
from dataclasses import dataclass, replace
from io import StringIO
from pathlib import Path
from types import MappingProxyType

import pytest

from attnbench.cases.case import Mode, Role
from attnbench.cases.protocol import Protocol
from attnbench.cases.registry import discover
from attnbench.cases.variant import Variant
from attnbench.cli import main, protocol_options
from attnbench.machine.cuda import Cuda
from attnbench.measuring import counting
from attnbench.measuring.accuracy import BOUNDS
from attnbench.paper import published
from attnbench.records.record import Memory, Record
from attnbench.records.record_file import read
from tests.conftest import Run
from tests.fake_cuda import MEMORY_BYTES, installed

PROTOCOL = Protocol(
    sessions=2,
    precision=9,
    max_seconds=1e-3,  # for one round a session: nothing here is a matter of many
    least_warmup_s=0,
    most_warmup_s=0,
    min_sample_s=1e-6,
)
ONCE = replace(PROTOCOL, sessions=1)
DTYPES, KERNELS = ("float32", "tf32", "bfloat16", "float16"), ("explicit", "fused")
WAYS = [Variant(kernel, dtype) for kernel in KERNELS for dtype in DTYPES]
EVERY_WAY = ("--dtype", ",".join(DTYPES), "--kernel", ",".join(KERNELS))
SIZE = ("--res", "7", "--dim", "48", "--heads", "6", "--threads", "1")
FAULTY = Path(__file__).parents[1] / "faulty.py"


@dataclass(frozen=True)
class Ran:
    """What a run said, and left in its folder."""

    said: str
    folder: Path

    @property
    def records(self) -> tuple[Record, ...]:
        return read(self.folder).records

    def rows(self, label: str = "hilo", **wanted: str) -> list[Record]:
        """The members of this label whose variant is so."""
        return [
            record
            for record in self.records
            if record.case.role is Role.member and record.case.label == label
            if all(getattr(record.case.variant, name) == value for name, value in wanted.items())
        ]


Runs = dict[Mode, Ran]
UNPREDICTED = {"predicted_peak_bytes": lambda *_: None}


def ran(
    folder: Path,
    *words: str,
    free: int = MEMORY_BYTES,
    protocol: Protocol = PROTOCOL,
    stand_ins: Mapping[str, object] = MappingProxyType({}),
    batch: str = "3",
) -> Ran:
    """`attnbench run` on a faked device, with as little effort as there can be; `stand_ins` count instead."""
    said = StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(said), redirect_stderr(said):
        installed(patch).free = free
        for name, stand_in in stand_ins.items():
            patch.setattr(counting, name, stand_in)
        patch.setattr(protocol_options, "DEFAULT", protocol)
        patch.setenv("COLUMNS", "160")
        words = (
            "attnbench",
            "run",
            *words,
            *SIZE,
            "--batch",
            batch,
            "--device",
            "cuda",
            "--out",
            str(folder),
        )
        patch.setattr(sys, "argv", list(words))
        with suppress(SystemExit):
            main()
    return Ran(said.getvalue(), folder)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Runs:
    """HiLo in every way, forward beside MSA, and in training alone."""
    folder = tmp_path_factory.mktemp("runs")
    return {
        Mode.inference: ran(folder / "forward", "msa", "hilo", *EVERY_WAY),
        Mode.training: ran(folder / "training", "hilo", *EVERY_WAY, "--mode", "training"),
    }


def memory_of(record: Record) -> Memory:
    assert record.memory is not None
    return record.memory


@pytest.mark.parametrize("mode", Mode)
def test_every_way_to_run_a_layer_is_a_row_with_a_time(runs: Runs, mode: Mode):
    records = runs[mode].records
    assert [record.reason for record in records if record.outcome != "measured"] == []
    assert {record.case.variant for record in runs[mode].rows()} == set(WAYS)
    for record in records:
        assert {sample.session for sample in record.samples} == {0, 1}


@pytest.mark.parametrize("mode", Mode)
def test_times_are_the_devices_own_and_the_wall_clock_has_the_launches_too(runs: Runs, mode: Mode):
    for record in runs[mode].rows():
        assert not any(sample.host_paced for sample in record.samples)
        assert all(sample.wall_s > 1.5 * sample.seconds for sample in record.samples)
    assert "Launch-bound, the host takes longer than the device:" in runs[mode].said


def test_a_training_step_takes_longer_and_more_memory(runs: Runs):
    for forward, training in zip(*(runs[mode].rows() for mode in Mode), strict=True):
        assert training.samples[-1].seconds > 2 * forward.samples[-1].seconds
        assert memory_of(training).peak_bytes > memory_of(forward).peak_bytes


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("mode", Mode)
def test_fewer_bits_are_further_from_float64_and_within_their_bounds(runs: Runs, mode: Mode, kernel: str):
    checks = {record.case.variant.dtype: record.check for record in runs[mode].rows(kernel=kernel)}
    errors = {dtype: check.relative_error or 0.0 for dtype, check in checks.items() if check}
    assert errors.get("float32", 0.0) < 1e-5 < errors["tf32"] < errors["bfloat16"] < BOUNDS["bfloat16"]
    assert 1e-5 < errors["float16"] < errors["bfloat16"]


@pytest.mark.parametrize("mode", Mode)
def test_what_is_measured_was_predicted(runs: Runs, mode: Mode):
    (record,) = runs[mode].rows(dtype="float32", kernel="explicit")
    assert record.prediction
    assert memory_of(record).total_bytes == pytest.approx(record.prediction.predicted_bytes, rel=0.05)
    assert memory_of(record).scope == "cuda"
    assert memory_of(record).repeatable


@pytest.mark.parametrize("mode", Mode)
def test_all_layers_are_compared_with_new_ones(runs: Runs, mode: Mode):
    assert {record.unchecked for record in runs[mode].rows()} == {None}


def test_the_tables_are_of_the_device(runs: Runs, attnbench: Run):
    assert "Pretence, driver 1.0" in runs[Mode.inference].said
    done = attnbench("compare", runs[Mode.inference].folder)
    assert done.status == 0
    text = " ".join(done.out.split())
    assert "CUDA img/s" in text
    assert all(way.dtype in text and f"{way.kernel} kernel" in text for way in WAYS)


def test_energy_is_that_of_calls_of_which_some_are_always_queued(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(Cuda, "energy_meter", lambda _: lambda: 50 * time.perf_counter())
    monkeypatch.setattr(protocol_options, "ENERGY_S", 0.02)
    (record,) = ran(tmp_path, "msa", "--energy").rows("msa")
    assert [energy.session for energy in record.energies] == [0, 1]
    for energy in record.energies:
        assert energy.calls > 0
        assert (energy.joules / energy.seconds, energy.idle_w) == pytest.approx((50, 50), rel=0.1)


def test_the_batch_that_fits_is_found_for_a_gpu_too(tmp_path: Path):
    (record,) = ran(tmp_path, "msa", batch="max").rows("msa")
    assert record.outcome == "measured"
    assert record.case.workload.batch > 64
    assert "256×256" in (record.batch_note or "")  # its own matmul, and not the CPU's


def test_what_would_not_fit_is_not_tried(tmp_path: Path):
    (record,) = ran(tmp_path, "msa", free=2**16).rows("msa")
    assert record.outcome == "out_of_memory"
    assert record.samples == ()


@pytest.fixture(scope="module")
def faulty(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """MSA beside a layer that leaves a tensor on the host, and one that keeps what it returned."""
    folder = tmp_path_factory.mktemp("faulty") / "run"
    return ran(folder, "msa", "strays", "keeps", "--plugin", str(FAULTY))


def test_a_tensor_that_stays_on_the_host_ends_its_own_row_alone(faulty: Ran):
    (strays,) = faulty.rows("strays")
    assert strays.outcome == "crashed"
    assert "same device, but found cuda:0 and cpu" in (strays.reason or "")
    assert faulty.rows("msa")[0].outcome == "measured"


def test_a_layer_that_returns_what_it_kept_is_found_out(faulty: Ran):
    (keeps,) = faulty.rows("keeps")
    assert keeps.outcome == "wrong"
    assert "returned what it had kept" in (keeps.reason or "")


def rows_of(name: str, folder: Path, *words: str) -> list[Record]:
    """The rows of a mechanism that runs as long as it takes to see that it does.

    Its memory is not predicted first: `tests/measuring/test_prediction.py` asks that of every mechanism.
    """
    return ran(folder, name, *words, protocol=ONCE, stand_ins=UNPREDICTED).rows(name)


SHORT = ("--dtype", "bfloat16,float16")  # formats in which a layer may lose more than rounding
LATER = sorted(discover().keys() - published().keys())
ILL_CONDITIONED = {
    "relu-linear"
}  # gradients of a quotient by sums that rectified numbers leave next to nothing


@pytest.mark.slow
@pytest.mark.parametrize("name", published())
def test_every_mechanism_of_the_table_runs_in_short_formats_with_either_kernel(name: str, tmp_path: Path):
    found = rows_of(name, tmp_path, *SHORT, "--kernel", ",".join(KERNELS))
    assert [record.reason for record in found if record.outcome != "measured"] == []
    assert len(found) == 2 * len(KERNELS)


@pytest.mark.slow
@pytest.mark.parametrize("name", published())
def test_every_mechanism_of_the_table_trains_in_short_formats(name: str, tmp_path: Path):
    found = rows_of(name, tmp_path, *SHORT, "--kernel", "fused", "--mode", "training")
    assert [record.reason for record in found if record.outcome != "measured"] == []
    assert len(found) == 2


@pytest.mark.slow
@pytest.mark.parametrize("name", LATER)
def test_every_other_mechanism_trains_in_bfloat16_or_runs_where_gradients_are_lost(name: str, tmp_path: Path):
    mode = Mode.inference if name in ILL_CONDITIONED else Mode.training
    (found,) = rows_of(name, tmp_path, "--dtype", "bfloat16", "--kernel", "fused", "--mode", mode)
    assert (found.outcome, found.reason) == ("measured", None)
