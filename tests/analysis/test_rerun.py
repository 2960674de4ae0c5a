"""The commands that measure a run again, read from its records."""

from dataclasses import replace
from typing import Any

from attnbench.analysis.rerun import commands
from attnbench.cases.case import Mode, Role
from attnbench.cases.protocol import DEFAULT, QUICK
from attnbench.mechanism import Geometry
from tests.fakes import MACHINE, block, record

SETTING = "--device cpu --res 14 --batch 64 --mode inference --dim 768 --heads 12"
TIMES = {"msa": [0.1] * 5, "hilo:alpha=0.5,window=4": [0.2] * 5}


def test_a_run_with_the_usual_effort_needs_no_more_than_its_place():
    (command,) = commands(block(TIMES, protocol=DEFAULT))
    assert command == f"attnbench run msa hilo:alpha=0.5,window=4 {SETTING} --threads 2"


def test_a_model_has_no_channels_and_heads_of_its_own():
    changes: dict[str, Any] = {"protocol": DEFAULT, "geometry": Geometry.image(224, 192), "batch": 8}
    (command,) = commands([record("litv2-s/msa", **changes)])
    assert command.startswith("attnbench run litv2-s/msa --device cpu --res 224x192 --batch 8")
    assert "--dim" not in command
    assert "--plugin" not in command


def test_sizes_and_modes_that_were_combined_are_one_command():
    changes: list[dict[str, Any]] = [
        {"height": s, "width": 28, "mode": mode} for s in (7, 28) for mode in Mode
    ]
    records = [
        record("msa", block=str(number), protocol=DEFAULT, **change) for number, change in enumerate(changes)
    ]
    (command,) = commands(records)
    assert "--res 7x28,28 --batch 64 --mode inference,training" in command
    assert len(commands(records[:3])) == 2


def test_effort_is_the_nearest_preset_and_what_differs():
    protocol = replace(QUICK, max_seconds=20.0, precision=0.025, allocator="system", seed=3)
    (command,) = commands(block(TIMES, protocol=protocol))
    assert command.endswith("--quick --precision 2.5% --max-seconds 20 --seed 3 --allocator system")


def test_a_baseline_is_named_where_it_is_not_the_usual_one():
    records = block({"hilo": [0.1] * 5, "msa": [0.2] * 5}, protocol=DEFAULT)
    assert "--baseline hilo" in commands(records)[0]
    assert "--baseline" not in commands(block({"hilo": [0.1] * 5, "sra": [0.2] * 5}))[0]
    apart = [record("hilo"), record("msa", role=Role.control), record("msa", role=Role.twin)]
    assert "--baseline msa" in commands(apart)[0]


def test_each_number_of_threads_is_a_command():
    records = [record(label, threads=n, protocol=DEFAULT) for label, n in (("msa", 1), ("hilo", 2))]
    assert [command.rpartition("--")[2] for command in commands(records)] == ["threads 1", "threads 2"]


def test_numbers_of_threads_that_were_combined_are_one_command():
    (command,) = commands([record("msa", threads=n, protocol=DEFAULT) for n in (1, 2)])
    assert command == f"attnbench run msa {SETTING} --threads 1,2"


def test_mechanisms_of_others_come_from_a_file_and_names_are_quoted():
    (command,) = commands([record("mine; rm", protocol=DEFAULT)])
    assert command.startswith("attnbench run 'mine; rm' --plugin FILE --device")


def test_variants_are_lists_of_options():
    records = [
        record("msa", kernel=kernel, dtype=dtype, protocol=DEFAULT)
        for kernel in ("explicit", "fused")
        for dtype in ("float32", "bfloat16")
    ]
    (command,) = commands(records)
    assert "--kernel explicit,fused --dtype float32,bfloat16 --compile off --cuda-graph off" in command
    assert "--kernel fused --dtype float32" in commands([record("msa", kernel="fused")])[0]


def test_what_is_on_in_some_variants_is_asked_for_both_ways():
    (command,) = commands([record("msa", cuda_graph=graph, protocol=DEFAULT) for graph in (False, True)])
    assert "--compile off --cuda-graph off,on" in command


def test_variables_that_decide_are_set_but_those_that_the_allocator_sets_itself():
    machine = replace(MACHINE, environment={"MALLOC_MMAP_MAX_": "0", "OMP_NUM_THREADS": "1"})
    kept, system = (
        commands([record("msa", machine=machine, protocol=replace(DEFAULT, allocator=name))])[0]
        for name in ("kept", "system")
    )
    assert kept.startswith("OMP_NUM_THREADS=1 attnbench")
    assert system.startswith("MALLOC_MMAP_MAX_=0 OMP_NUM_THREADS=1 attnbench")


def test_the_later_record_of_a_case_counts_and_controls_are_not_asked_for():
    control = record("sra", role=Role.control)
    before = record("msa", protocol=QUICK)
    (command,) = commands([before, control, record("msa", protocol=DEFAULT)])
    assert command == f"attnbench run msa {SETTING} --threads 2"
