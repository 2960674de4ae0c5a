"""`attnbench run` from end to end, on tiny layers, and what it says to bad input."""

import csv
import re
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from attnbench.cases.case import Mode, Role
from attnbench.cases.protocol import DEFAULT, QUICK, RIGOROUS, WORKER_START_S, Protocol
from attnbench.cases.variant import Variant
from attnbench.measuring.accuracy import BOUNDS
from attnbench.mechanism import Geometry
from attnbench.records.folder import PLAN, shards
from attnbench.records.journal import DISK_FAILED, UNWRITABLE, Failed, Started
from attnbench.records.record import Record
from attnbench.records.record_file import read
from attnbench.run import runner
from attnbench.run.process import WorkerEnded
from tests.conftest import Run
from tests.shards import ENVIRONMENT, Workers, session

SMALL = Geometry(8, 2, 2, 2)
SIZE = ("--dim", "8", "--heads", "2", "--batch", "2", "--device", "cpu")


@pytest.fixture
def workers(monkeypatch: pytest.MonkeyPatch) -> Workers:
    """No worker is started; facts appear all the same."""
    workers = Workers()
    monkeypatch.setattr(runner, "facts_of_worker", workers)
    return workers


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder in which commands run."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def members(folder: Path) -> list[Record]:
    return [row for row in read(folder).records if row.case.role is Role.member]


@pytest.mark.slow
@pytest.mark.usefixtures("workers_in_process")
@pytest.mark.parametrize(
    "size", [("--res", "2,100000", "--dim", "8"), ("--res", "2", "--dim", "8,99999999998")]
)
def test_a_size_beyond_all_memory_is_a_row_and_the_others_are_measured(
    attnbench: Run, tmp_path: Path, size: tuple[str, ...]
):
    effort = ("--heads", "2", "--batch", "1", "--device", "cpu", "--threads", "1", "--quick", "--for", "1s")
    done = attnbench("run", "msa", "hilo", *size, *effort, "--out", tmp_path)
    assert done.status == 0, done.err
    found = {(row.case.label, row.case.workload.geometry == SMALL): row for row in members(tmp_path)}
    assert [found[name, True].outcome for name in ("msa", "hilo")] == ["measured"] * 2
    for name in ("msa", "hilo"):
        assert found[name, False].outcome == "out_of_memory"
        assert (found[name, False].reason or "").startswith(
            "it needs 8,589,934,592.0 GiB or more by prediction"
        )


@pytest.mark.slow
def test_a_run_leaves_records_and_a_table_that_compare_reads(attnbench: Run, tmp_path: Path):
    effort = ("--quick", "--precision", "50%", "--threads", "1", "--max-seconds", "40")
    done = attnbench("run", "msa", "hilo:alpha=0.5", "--res", "2x3", *SIZE, *effort, "--out", tmp_path)
    assert done.status == 0, done.err
    assert "cpu 2x3 batch 2: 2 rows, 2 sessions" in done.err
    assert "This takes about" in done.err
    assert "measuring" not in done.out
    assert "HiLo (alpha=0.5)" in done.out
    assert [(row.case.label, row.complete) for row in members(tmp_path)] == [
        ("msa", True), ("hilo:alpha=0.5", True),
    ]  # fmt: skip
    with (tmp_path / "table.csv").open() as file:
        table = list(csv.DictReader(file))
    assert [row["label"] for row in table] == ["msa", "hilo:alpha=0.5"]
    assert all(float(row["imgs_per_s_low"]) <= float(row["imgs_per_s"]) for row in table)
    assert attnbench("compare", tmp_path).status == 0


EFFORT = ("--quick", "--sessions", "1", "--precision", "50%", "--max-seconds", "5", "--out")


@pytest.mark.slow
@pytest.mark.usefixtures("workers_in_process")
def test_autocast_is_measured_beside_the_pure_cast_forward_and_in_training(attnbench: Run, tmp_path: Path):
    formats = ("--autocast", "bfloat16", "--mode", "inference,training")
    done = attnbench("run", "msa", "hilo", "--res", "4", *SIZE, *formats, "--threads", "1", *EFFORT, tmp_path)
    assert done.status == 0, done.err
    found = [row for row in members(tmp_path) if row.case.variant.autocast]
    assert [(row.case.label, row.outcome) for row in found] == 2 * [("msa", "measured"), ("hilo", "measured")]
    errors = [row.check.relative_error or 0 for row in found if row.check]
    assert all(1e-4 < error < BOUNDS["bfloat16"] for error in errors)
    assert len(errors) == 4
    assert {row.unchecked for row in found} == {None}
    assert "autocast-bfloat16 explicit" in done.out
    with (tmp_path / "table.csv").open() as file:
        shares = [
            row["fraction_of_limit"] for row in csv.DictReader(file) if row["dtype"].startswith("autocast")
        ]
    assert all(float(share) > 0 for share in shares)  # beside the matmul in bfloat16


@pytest.mark.slow
@pytest.mark.usefixtures("workers_in_process")
def test_a_batch_that_is_found_fits_and_the_same_command_has_nothing_left_to_do(
    attnbench: Run, tmp_path: Path
):
    asked = ("--dim", "8", "--heads", "2", "--res", "2", "--device", "cpu", "--threads", "1")
    words = ("run", "msa", "van", *asked, "--batch", "1,max", "--memory-limit", "0.1MiB", *EFFORT, tmp_path)
    done = attnbench(*words)
    assert done.status == 0, done.err
    batches = {row.case.workload.batch: row for row in members(tmp_path)}
    most = max(batches)
    assert batches.keys() == {1, most}
    assert most > 1
    assert f"batch {most} is the largest power of two with which all layers fit: {2 * most} of " in done.err
    assert {row.outcome for row in members(tmp_path)} == {"measured"}
    before = read(tmp_path).records
    assert "4 rows of this plan" in attnbench(*words).err
    assert read(tmp_path).records == before


@pytest.mark.slow
@pytest.mark.usefixtures("workers_in_process")
def test_each_number_of_threads_is_what_its_workers_have(attnbench: Run, tmp_path: Path):
    done = attnbench("run", "msa", "hilo", "--res", "4", *SIZE, "--threads", "1,2", *EFFORT, tmp_path)
    assert done.status == 0, done.err
    found = {
        (row.conditions.threads, row.conditions.flags["threads"], row.block) for row in members(tmp_path)
    }
    assert sorted(each[:2] for each in found) == [(1, "1"), (2, "2")]
    assert attnbench("compare", tmp_path, "--format", "json").status == 0


@pytest.mark.usefixtures("figures_unencoded")
def test_each_size_is_a_block_and_a_figure_of_its_own(attnbench: Run, workers: Workers, tmp_path: Path):
    attnbench("run", "msa", "hilo", "--res", "2,2x3", "--res", "5", *SIZE, "--quick", "--out", tmp_path)
    assert [
        (row.case.label, row.case.workload.geometry.height, row.case.workload.geometry.width)
        for row in members(tmp_path)
    ] == [(label, *size) for size in ((2, 2), (2, 3), (5, 5)) for label in ("msa", "hilo")]
    compared = attnbench("compare", tmp_path, "--plot")
    assert compared.status == 0, compared.err
    sizes, figures = ("2x2", "2x3", "5x5"), ("throughput", "ratios", "flops-time")
    drawn = {path.name for path in tmp_path.glob("*.png")}
    over_sizes = {"scaling.png", "scaling-ratios.png", "scaling-ratios-memory.png"}
    assert drawn == {*over_sizes, *(f"{figure}-{size}.png" for figure in figures for size in sizes)}
    assert {path.stem for path in tmp_path.glob("*.pdf")} == {Path(name).stem for name in drawn}


def test_a_run_of_several_variants_ends_with_the_matrix(attnbench: Run, workers: Workers, tmp_path: Path):
    variants = ("--kernel", "explicit,fused")
    done = attnbench("run", "msa", "hilo", "--res", "2", *variants, *SIZE, "--quick", "--out", tmp_path)
    assert "gain = how many times as fast as the same mechanism in float32 explicit" in done.out
    assert "verdict" not in done.out
    assert "`attnbench compare` shows each variant's table, and with --kernels --plot draws this." in done.out
    one = attnbench("run", "msa", "hilo", "--res", "2", *SIZE, "--quick", "--out", tmp_path / "one")
    assert "verdict" in one.out
    assert "`attnbench compare --plot` draws them." in one.out


def test_a_run_without_a_time_promises_no_figure(attnbench: Run, workers: Workers, tmp_path: Path):
    workers.next = [[ENVIRONMENT, *(Failed(case, "wrong", "NaN") for case in range(4))]]
    done = attnbench("run", "msa", "hilo", "--res", "2", *SIZE, "--quick", "--out", tmp_path)
    assert done.status == 1
    assert done.out.endswith(f"2 rows in {tmp_path}/records.jsonl and {tmp_path}/table.csv.\n")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["hlio"], "No mechanism is called 'hlio'. Did you mean 'hilo'?"),
        (["hilo:alfa=1"], "hilo has no setting 'alfa'. Did you mean 'alpha'?"),
        (["hilo:alpha=x"], "alpha is 'x'; it must be a number"),
        (["--res", "0"], "'0' is not a size"),
        (["--res", "-3"], "'-3' is not a size"),
        (["--res", "14x"], "'14x' is not a size"),
        (["--dim", "0"], "--dim is '0'; it must be a whole number, at least 1"),
        (["--device", "tpu"], "'tpu' is not known"),
        (["--plugin", "nowhere.py"], "nowhere.py does not exist"),
        (["--baseline", "hlio"], "No mechanism is called 'hlio'"),
        (["--quick", "--rigorous"], "--quick and --rigorous exclude each other; choose one of them."),
        (["--precision", "2"], "--precision is '2'; it must be a share such as 2% or 0.02."),
        (["--precision", "0%"], "--precision is '0%'; it must be a share"),
        (["--precision", "100%"], "--precision is '100%'; it must be a share"),
        (["--precision", "2%%"], "--precision is '2%%'; it must be a share"),
        (["--precision", "nan"], "--precision is 'nan'; it must be a share"),
        (["--precision", "much"], "--precision is 'much'; it must be a share"),
        (["--for", "soon"], "--for is 'soon'; it must be a duration such as 2min, 90s or 1h."),
        (["--for", "120"], "--for is '120'; it must be a duration"),
        (["--for", "-2min"], "--for is '-2min'; it must be a duration"),
        (["--for", "nan"], "--for is 'nan'; it must be a duration"),
        (["--for", "2min", "--max-seconds", "9"], "--for and --max-seconds exclude each other"),
        (["--batch", "0"], "--batch is '0'; it must be a number of images, at least 1, or max for"),
        (["--batch", "2,many"], "--batch is 'many'; it must be a number of images"),
        (["--mode", "inference,learning"], "--mode is 'learning'; it can be inference, training."),
        (["--memory-limit", "2"], "--memory-limit is '2'; it must be an amount of memory such as 2GiB"),
        (["--memory-limit", "-2GiB"], "--memory-limit is '-2GiB'; it must be an amount of memory"),
        (["--kernel", "explicit,flesh"], "--kernel is 'flesh'; it can be explicit, fused, flash"),
        (
            ["--compile", "reduce-overhead", "--cuda-graph", "on"],
            "--compile reduce-overhead makes CUDA graphs of its own",
        ),
        (["--autocast", "float64"], "--autocast is 'float64'; it can be bfloat16, float16."),
        (["--threads", "0"], "--threads is '0'; it must be a whole number, at least 1"),
        (["--threads", "1,5000"], "--threads is 5000; it must be 4096 at most."),
        (["--dtype", "float8"], "--dtype is 'float8'; it can be float32, tf32, bfloat16"),
        (["--compile", "on"], "--compile is 'on'; it can be off, default, reduce-overhead"),
        (["--cuda-graph", "yes"], "--cuda-graph is 'yes'; it can be off, on."),
        (["--allocator", "mine"], "--allocator is 'mine'; it can be kept, system."),
        (["msa", "--out", "/proc/run"], "/proc/run cannot be written"),
    ],
)
def test_bad_input_is_one_clear_line_and_status_two(
    attnbench: Run, workers: Workers, here: Path, arguments: list[str], says: str
):
    done = attnbench("run", "--device", "cpu", *arguments)
    assert done.status == 2
    assert done.err.startswith("Error: ")
    assert done.err.count("\n") == 1
    assert says in done.err
    assert list(here.iterdir()) == []


@pytest.mark.skipif(torch.accelerator.is_available(), reason="there is an accelerator")
@pytest.mark.parametrize(("name", "says"), [("mps", "no MPS device"), ("xpu", "no XPU device")])
def test_an_accelerator_that_is_not_there_is_a_mistake(attnbench: Run, name: str, says: str):
    done = attnbench("run", "--device", f"cpu,{name}")
    assert done.status == 2
    assert says in done.err


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_a_gpu_that_is_not_there_is_said_with_what_torch_sees(attnbench: Run):
    done = attnbench("run", "--device", "cuda")
    assert done.status == 2
    assert "sees 0 devices" in done.err


@pytest.mark.parametrize(
    ("arguments", "protocol"),
    [
        ([], DEFAULT),
        (["--quick"], QUICK),
        (["--rigorous"], RIGOROUS),
        (["--quick", "--precision", "4%", "--sessions", "1", "--max-seconds", "9", "--timeout", "7",
          "--seed", "4"],
         replace(QUICK, precision=0.04, sessions=1, max_seconds=9, timeout_s=7, seed=4)),
        (["--for", "2min"], replace(DEFAULT, max_seconds=120 - 4 * WORKER_START_S)),
        (["--rigorous", "--for", "30s"], replace(RIGOROUS, max_seconds=15)),
        (["--for", "2min", "--energy"],  # of MSA, its twin and two ceilings, and of the machine at rest
         replace(DEFAULT, energy_s=0.5, max_seconds=120 - 4 * WORKER_START_S - 3 * 0.5 * (4 + 1))),
        (["--precision", "0.03"], replace(DEFAULT, precision=0.03)),
        (["--allocator", "system"], replace(DEFAULT, allocator="system")),
    ],
    ids=["default", "quick", "rigorous", "each", "duration", "short", "energy", "share", "allocator"],
)  # fmt: skip
def test_a_row_says_with_how_much_effort_it_was_measured(
    attnbench: Run, workers: Workers, tmp_path: Path, arguments: list[str], protocol: Protocol
):
    assert attnbench("run", "msa", *SIZE, *arguments, "--out", tmp_path).status == 0
    (row,) = members(tmp_path)
    assert row.conditions.protocol == protocol
    assert len(row.witnesses) == protocol.sessions


def test_a_row_says_in_which_setting_it_was_measured(attnbench: Run, workers: Workers, tmp_path: Path):
    setting = ("--threads", "1", "--dtype", "bfloat16", "--kernel", "fused")
    attnbench("run", "msa", *SIZE, *setting, "--out", tmp_path)
    (row,) = members(tmp_path)
    assert (
        row.case.workload.geometry.dim,
        row.case.workload.geometry.heads,
        row.case.workload.batch,
        row.case.workload.geometry.height,
        row.conditions.threads,
    ) == (8, 2, 2, 14, 1)
    assert (row.case.variant.dtype, row.case.variant.kernel) == ("bfloat16", "fused")


def test_several_blocks_share_the_time_of_a_run(attnbench: Run, workers: Workers, tmp_path: Path):
    attnbench("run", "msa", *SIZE, "--res", "2,3", "--for", "4min", "--out", tmp_path)
    assert {row.conditions.protocol.max_seconds for row in members(tmp_path)} == {120 - 4 * WORKER_START_S}


@pytest.mark.parametrize(
    ("arguments", "batch"), [([], 64), (["--quick"], 8), (["--quick", "--batch", "2"], 2)]
)
def test_a_first_impression_takes_few_images_on_a_cpu_unless_told_otherwise(
    attnbench: Run, workers: Workers, tmp_path: Path, arguments: list[str], batch: int
):
    attnbench("run", "msa", "--dim", "8", "--heads", "2", "--device", "cpu", *arguments, "--out", tmp_path)
    assert [row.case.workload.batch for row in members(tmp_path)] == [batch]


def test_each_number_of_threads_is_a_block_and_a_table_of_its_own(
    attnbench: Run, workers: Workers, tmp_path: Path
):
    done = attnbench(
        "run", "msa", "hilo", *SIZE, "--res", "2", "--threads", "1,3", "--quick", "--out", tmp_path
    )
    assert done.status == 0, done.err
    assert [(row.case.label, row.conditions.threads) for row in members(tmp_path)] == [
        ("msa", 1), ("hilo", 1), ("msa", 3), ("hilo", 3),
    ]  # fmt: skip
    assert done.out.count("verdict") == 2
    assert "cpu 2x2 batch 2, 3 threads: 2 rows" in done.err
    compared = attnbench("compare", tmp_path, "--plot")
    assert compared.status == 0, compared.err
    assert {"throughput-threads1.png", "throughput-threads3.png"} <= {
        each.name for each in tmp_path.glob("*")
    }


def test_the_largest_batch_is_one_of_a_list_and_the_same_command_finds_its_rows(
    attnbench: Run, workers: Workers, tmp_path: Path
):
    asked = ("run", "msa", "hilo", *SIZE, "--res", "2", "--batch", "max", "--quick", "--out", tmp_path)
    done = attnbench(*asked)
    assert [row.case.workload.batch for row in members(tmp_path)] == [2, 2, 8, 8]
    assert "batch 8 is the largest power of two with which all layers fit: 16 of it do not" in done.err
    assert "batch 8 is the largest" in (members(tmp_path)[2].batch_note or "")
    before, started = read(tmp_path).records, workers.started
    again = attnbench(*asked)
    assert f"Already in {tmp_path}: 4 rows" in again.err
    assert read(tmp_path).records == before
    assert workers.started == started + 2  # to fit, and to count


def test_lists_of_kernels_and_numbers_are_rows_of_one_block(attnbench: Run, workers: Workers, tmp_path: Path):
    ways = ("--kernel", "explicit,fused", "--dtype", "float32", "--dtype", "bfloat16")
    attnbench(
        "run", "msa", *SIZE, *ways, "--compile", "off,default", "--cuda-graph", "off", "--out", tmp_path
    )
    found = members(tmp_path)
    assert [row.case.variant for row in found] == [
        Variant(kernel, dtype, mode)
        for kernel in ("explicit", "fused")
        for dtype in ("float32", "bfloat16")
        for mode in ("off", "default")
    ]
    assert len({row.block for row in found}) == 1


def test_every_size_batch_and_mode_is_a_block_the_cheapest_first(
    attnbench: Run, workers: Workers, tmp_path: Path
):
    grid = ("--res", "2,3", "--batch", "4", "--mode", "training,inference")
    assert attnbench("run", "msa", *SIZE, *grid, "--out", tmp_path).status == 0
    cells = [
        (row.case.workload.mode, row.case.workload.batch, row.case.workload.geometry.height)
        for row in members(tmp_path)
    ]
    modes_and_batches = [(Mode.inference, 2), (Mode.inference, 4), (Mode.training, 2), (Mode.training, 4)]
    assert cells == [(*cell, side) for cell in modes_and_batches for side in (2, 3)]


@pytest.mark.parametrize(
    ("amount", "limit"),
    [("2GiB", 2 * 2**30), ("1.5 MiB", 3 * 2**19), ("3kb", 3000), ("1TB", 10**12)],
)
def test_every_worker_hears_of_the_limit_of_memory(
    attnbench: Run, workers: Workers, tmp_path: Path, amount: str, limit: int
):
    assert attnbench("run", "msa", *SIZE, "--memory-limit", amount, "--out", tmp_path).status == 0
    assert {job.memory_limit_bytes for job in workers.jobs} == {limit}


def test_the_named_baseline_is_measured_with_a_twin(attnbench: Run, workers: Workers, tmp_path: Path):
    attnbench("run", "msa", *SIZE, "--baseline", "hilo", "--out", tmp_path)
    assert [row.case.label for row in members(tmp_path)] == ["msa", "hilo"]
    assert [row.case.label for row in read(tmp_path).records if row.case.role is Role.twin] == ["hilo"]


COMMAND = ("run", "msa", "hilo", *SIZE, "--sessions", "2")


def only_run(here: Path) -> Path:
    """Its folder, under a name that no command gives."""
    (folder,) = (here / "results").iterdir()
    return folder.rename(here / "results" / "only")


def test_an_interrupted_command_keeps_its_rows_and_goes_on_in_its_folder(
    attnbench: Run, workers: Workers, here: Path
):
    workers.next = [workers.counts(4), [*session(0, range(5))[:16], KeyboardInterrupt()]]
    stopped = attnbench(*COMMAND)
    assert stopped.status == 130
    assert "Interrupted: everything that was measured is kept, and the same command goes on." in stopped.out
    folder = only_run(here)
    assert [(row.case.label, len(row.samples), row.complete) for row in members(folder)] == [
        ("msa", 2, False), ("hilo", 2, False),
    ]  # fmt: skip
    assert (folder / "table.csv").exists()

    assert attnbench(*COMMAND).status == 0
    assert only_run(here) == folder
    assert [(row.case.label, len(row.samples), row.complete) for row in members(folder)[2:]] == [
        ("msa", 12, True), ("hilo", 12, True),
    ]  # fmt: skip
    assert shards(folder) == []
    assert not (folder / PLAN).exists()


def test_another_command_does_not_go_on_with_it(attnbench: Run, workers: Workers, here: Path):
    workers.next = [workers.counts(4), [KeyboardInterrupt()]]
    attnbench(*COMMAND, "--out", here / "results" / "first")
    attnbench(*COMMAND, "--seed", "1")
    assert len(list((here / "results").iterdir())) == 2


def test_a_plan_that_is_finished_says_so_and_measures_nothing(
    attnbench: Run, workers: Workers, tmp_path: Path
):
    attnbench(*COMMAND, "--out", tmp_path)
    before, started = read(tmp_path).records, workers.started
    again = attnbench(*COMMAND, "--out", tmp_path)
    assert again.status == 0
    assert f"Already in {tmp_path}: 2 rows of this plan; --fresh measures them again." in again.err
    assert "2 rows in" in again.out
    assert read(tmp_path).records == before
    assert workers.started == started + 1  # to count


def test_fresh_puts_the_rows_aside_and_measures_again(attnbench: Run, workers: Workers, tmp_path: Path):
    attnbench(*COMMAND, "--out", tmp_path)
    again = attnbench(*COMMAND, "--fresh", "--out", tmp_path)
    (aside,) = tmp_path.glob("records-until-*.jsonl")
    assert f"Starting over; the earlier rows are in {aside}." in again.err.replace("\n", "")
    assert len(members(tmp_path)) == 2
    assert workers.started == 2 * 3


def test_fresh_is_no_part_of_what_is_gone_on_with(attnbench: Run, workers: Workers, here: Path):
    workers.next = [workers.counts(4), [*session(0, range(5)), KeyboardInterrupt()]]
    attnbench(*COMMAND, "--fresh")
    only_run(here)
    attnbench(*COMMAND)
    assert [sample.session for sample in members(only_run(here))[-1].samples] == [0] * 5 + [1] * 5


def test_a_full_disk_is_the_users_to_mend_and_the_same_command_goes_on(
    attnbench: Run, workers: Workers, here: Path
):
    full = WorkerEnded(f"{UNWRITABLE}No space left on device", Started(0, "a sample"), "crashed", DISK_FAILED)
    workers.next = [workers.counts(4), [*session(0, range(5)), full]]
    stopped = attnbench(*COMMAND)
    assert stopped.status == 2
    assert re.search("cannot be written: .*No space left on device.*the same command again", stopped.err)
    assert attnbench(*COMMAND).status == 0
    assert [len(row.samples) for row in members(only_run(here))] == [10, 10]
