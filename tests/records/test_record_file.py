"""The file that outlives a run."""

import errno
import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from attnbench.cases.case import Role
from attnbench.cases.variant import Variant
from attnbench.errors import AttnbenchError
from attnbench.machine.node import Allocation
from attnbench.records.codec import to_row
from attnbench.records.record import Memory, Sample
from attnbench.records.record_file import RECORDS, TAIL_BYTES, RecordFile, append, newest, read
from tests.fakes import MACHINE, block, changed, record, witness


def test_what_is_appended_is_read_back(tmp_path: Path):
    rows = [
        record("msa", [1.0, 2.0]),
        record("hilo:alpha=0.5", settings={"alpha": 0.5}, uncounted=("aten::x",), witnesses=(witness(),)),
        record("msa", role=Role.twin, complete=False),
    ]
    append(tmp_path, rows[:2])
    append(tmp_path, rows[2:])
    found = read(tmp_path)
    assert list(found.records) == rows
    assert found.warnings == ()


def test_a_last_line_that_was_cut_off_is_left_out_and_said_so(tmp_path: Path):
    append(tmp_path, [record("msa"), record("hilo")])
    path = tmp_path / RECORDS
    path.write_text(path.read_text()[:-100])
    found = read(tmp_path)
    assert [row.case.label for row in found.records] == ["msa"]
    assert "last line was cut off" in found.warnings[0]


def damaged(folder: Path, line: bytes) -> str:
    """What is said of a file whose second line of three is this one."""
    append(folder, [record("msa")])
    (folder / RECORDS).write_bytes((folder / RECORDS).read_bytes() + line + b"\n")
    append(folder, [record("hilo")])
    with pytest.raises(AttnbenchError, match=r"remove it, and the rest of the file can be read") as caught:
        read(folder)
    return str(caught.value).partition("records.jsonl, ")[2].partition(". The line is damaged")[0]


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (b"{broken", "line 2 is not JSON in UTF-8"),
        (b'{"title": "\xff"}', "line 2 is not JSON in UTF-8"),
        (b"[1, 2]", "line 2 is not a JSON object"),
        (b'"x"', "line 2 is not a JSON object"),
    ],
)
def test_a_line_that_is_damaged_is_an_error_that_says_what_to_remove(tmp_path: Path, line: bytes, says: str):
    assert damaged(tmp_path, line) == says


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"role": "x"}, "role: 'x' is not one of member, control, twin, ceiling"),
        ({"threads_": 2}, "threads_ missing or unknown in a record"),
        (
            {"samples": [{"second": 1.0}]},
            "samples[0]: position, round, second, seconds, session, wall_s missing or unknown",
        ),
        ({"samples": [1]}, "samples[0]: 1 is not a sample"),
        ({"uncounted": None}, "uncounted: None is not a list"),
        ({"batch": 0}, "batch: 0 is not a whole number above 0"),
        ({"outcome": "fine"}, "outcome: 'fine' is not one of measured, unsupported, out_of_memory"),
        ({"dtype": "float7"}, "dtype: 'float7' is not one of float32, tf32"),
        ({"device": "abacus"}, "The device 'abacus' is not known"),
        ({"heads": 0}, "heads is 0; it must be at least 1"),
        ({"macs_by_operator": {"linear": -1}}, "macs_by_operator.linear: -1 is not a whole number of"),
    ],
)
def test_a_line_that_is_no_record_is_damaged_too(tmp_path: Path, changes: dict[str, Any], says: str):
    row = to_row(record("sra")) | changes
    assert damaged(tmp_path, json.dumps(row).encode()).startswith(f"line 2 is not a record: {says}")


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999", "-0.5", "0"])
def test_a_time_that_is_none_is_told_with_its_field(tmp_path: Path, number: str):
    row = json.dumps(to_row(record("sra", [0.125, 0.25]))).replace('"seconds": 0.25', f'"seconds": {number}')
    says = f"line 2 is not a record: samples[1].seconds: {float(number) if number != '0' else 0} is not"
    assert damaged(tmp_path, row.encode()).startswith(says)


def test_numbers_that_json_has_not_are_not_written(tmp_path: Path):
    with pytest.raises(ValueError, match="JSON compliant"):
        append(tmp_path, [record("msa", [float("nan")])])


def test_half_a_character_in_a_title_is_written_and_read(tmp_path: Path):
    row = record("msa", title="half \udcff")
    append(tmp_path, [row])
    assert read(tmp_path).records == (row,)


def test_rows_of_one_block_from_two_machines_are_refused(tmp_path: Path):
    msa, hilo, twin = block({"msa": [0.4], "hilo": [0.2]})
    append(tmp_path, [msa, changed(hilo, machine=replace(MACHINE, cpu="Slide rule")), twin])
    says = r"lines 1 and 2 are rows of one block from machines that differ in cpu \(Abacus, Slide rule\)"
    with pytest.raises(AttnbenchError, match=says):
        read(tmp_path)


def test_rows_of_one_block_from_two_nodes_of_one_kind_are_refused(tmp_path: Path):
    msa, hilo, twin = block({"msa": [0.4], "hilo": [0.2]}, node="0123")
    append(tmp_path, [msa, changed(hilo, node="4567"), twin])
    with pytest.raises(
        AttnbenchError, match=r"lines 1 and 2 are rows of one block from two nodes \(0123, 4567"
    ):
        read(tmp_path)


def test_a_line_says_of_node_and_allocation_what_there_is_to_say(tmp_path: Path):
    given = Allocation(affinity=(0, 1), node_cores=2, exclusive=True)
    rows = record("msa", block="plain"), record("hilo", node="0123", allocation=given)
    append(tmp_path, rows)
    plain, ours = map(json.loads, (tmp_path / RECORDS).read_text().splitlines())
    assert {"node", "allocation"} & plain.keys() == set()
    assert ours["allocation"] == {"affinity": [0, 1], "node_cores": 2, "exclusive": True}
    assert read(tmp_path).records == rows


def test_what_decides_no_time_may_differ_in_a_block(tmp_path: Path):
    msa, hilo, twin = block({"msa": [0.4], "hilo": [0.2]})
    append(tmp_path, [msa, changed(hilo, machine=replace(MACHINE, commit="later")), twin])
    assert len(read(tmp_path).records) == 3


def test_a_whole_last_line_without_a_line_break_is_a_record(tmp_path: Path):
    append(tmp_path, [record("msa"), record("hilo")])
    path = tmp_path / RECORDS
    path.write_bytes(path.read_bytes()[:-1])
    assert read(tmp_path) == RecordFile(tmp_path, (record("msa"), record("hilo")), ())


def test_a_run_whose_last_line_has_no_line_break_can_be_the_newest(tmp_path: Path):
    runs_that_started(tmp_path, a="2026-05-01", b="2026-04-01")
    append(tmp_path / "b", [record(started_at="2026-06-01")])
    path = tmp_path / "b" / RECORDS
    path.write_bytes(path.read_bytes()[:-1])
    assert newest(tmp_path).name == "b"


def test_a_folder_whose_name_is_too_long_cannot_be_read():
    with pytest.raises(AttnbenchError, match="cannot be read: File name too long"):
        read(Path("x" * 300))


def test_a_line_is_damaged_although_it_is_the_last_if_it_was_finished(tmp_path: Path):
    (tmp_path / RECORDS).write_text("{broken\n")
    with pytest.raises(AttnbenchError, match="line 1 is not JSON"):
        read(tmp_path)


def test_blank_lines_are_harmless(tmp_path: Path):
    append(tmp_path, [record("msa"), record("hilo")])
    path = tmp_path / RECORDS
    path.write_text(path.read_text().replace("\n", "\n\n \n"))
    assert read(tmp_path) == RecordFile(tmp_path, (record("msa"), record("hilo")), ())


def test_only_a_line_feed_ends_a_line(tmp_path: Path):
    row = record("msa", title="one\u2028two\u0085three")
    append(tmp_path, [row])
    assert read(tmp_path).records == (row,)


@pytest.mark.parametrize(
    ("name", "told"),
    [("unchecked", "it is random"), ("reference", "in float32"), ("put_right", ("the environment",))],
)
def test_what_few_records_have_is_written_only_there(tmp_path: Path, name: str, told: object):
    why: dict[str, Any] = {name: told}
    rows = record("msa"), record("hilo", **why)
    append(tmp_path, rows)
    assert read(tmp_path).records == rows
    written = (tmp_path / RECORDS).read_text().splitlines()
    assert [name in json.loads(line) for line in written] == [False, True]


def test_a_sample_says_that_the_host_paced_it_only_where_it_did(tmp_path: Path):
    own, hosts = Sample(0, 0, 0, 1.0, 1.0), Sample(0, 1, 0, 1.0, 1.0, host_paced=True)
    row = record("msa", samples=(own, hosts))
    append(tmp_path, [row])
    assert read(tmp_path).records == (row,)
    written = json.loads((tmp_path / RECORDS).read_text())["samples"]
    assert ["host_paced" in sample for sample in written] == [False, True]


def test_an_unknown_schema_is_an_error_that_names_both(tmp_path: Path):
    append(tmp_path, [record("msa", schema=99)])
    with pytest.raises(AttnbenchError, match="line 1 has schema 99; this attnbench reads schemas 2 to 5"):
        read(tmp_path)


def test_a_row_from_before_variants_was_eager_on_the_systems_allocator(tmp_path: Path):
    append(tmp_path, [record("msa", dtype="float16")])
    path = tmp_path / RECORDS
    row = json.loads(path.read_text())
    for name in ("compile", "cuda_graph", "relative_error", "preparation_s"):
        del row[name]
    del row["protocol"]["allocator"]
    path.write_text(json.dumps({**row, "schema": 3}) + "\n")
    (found,) = read(tmp_path).records
    assert found.case.variant == Variant(dtype="float16")
    assert (found.conditions.protocol.allocator, found.check) == ("system", None)


def test_a_row_with_other_fields_is_an_error_that_names_them(tmp_path: Path):
    append(tmp_path, [record("msa")])
    path = tmp_path / RECORDS
    row = json.loads(path.read_text())
    del row["threads"]
    path.write_text(json.dumps(row) + "\n")
    with pytest.raises(AttnbenchError, match="threads missing or unknown"):
        read(tmp_path)


def test_a_folder_without_a_run_says_how_to_make_one(tmp_path: Path):
    with pytest.raises(AttnbenchError, match="`attnbench run` makes one"):
        read(tmp_path)
    with pytest.raises(AttnbenchError, match="There is no run in"):
        newest(tmp_path)


def test_the_newest_run_is_the_one_that_was_measured_last(tmp_path: Path):
    for name, started_at in (("a", "2026-03-01"), ("b", "2026-05-01"), ("c", "2026-04-01")):
        (tmp_path / name).mkdir()
        append(tmp_path / name, [record(started_at=started_at)])
    (tmp_path / "z").mkdir()
    assert newest(tmp_path).name == "b"


def runs_that_started(results: Path, **started_at: str) -> None:
    for name, start in started_at.items():
        (results / name).mkdir()
        append(results / name, [record(started_at=start)])


def test_a_run_that_went_on_later_is_the_newest(tmp_path: Path):
    runs_that_started(tmp_path, a="2026-03-01", b="2026-04-01")
    append(tmp_path / "a", [record(title="x" * 2 * TAIL_BYTES, started_at="2026-05-01")])
    assert newest(tmp_path).name == "a"


def test_damage_of_another_run_does_not_hide_the_newest(tmp_path: Path):
    runs_that_started(tmp_path, healthy="2026-05-01", broken="2026-04-01", worse="2027-01-01")
    for name, damage in (("broken", "{broken\n"), ("worse", "")):
        path = tmp_path / name / RECORDS
        path.write_text(damage + path.read_text() + "[1, 2]\n" * (not damage))
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / RECORDS).touch()
    assert newest(tmp_path).name == "healthy"


def test_a_run_that_is_being_written_or_ends_in_blank_lines_can_be_the_newest(tmp_path: Path):
    runs_that_started(tmp_path, a="2026-03-01", b="2026-04-01", c="2026-05-01")
    for name, end in (("a", ""), ("b", "\n \n"), ("c", '{"started_at": "2020-')):
        path = tmp_path / name / RECORDS
        path.write_text(path.read_text() + end)
    assert newest(tmp_path).name == "c"
    (tmp_path / "c" / RECORDS).unlink()
    assert newest(tmp_path).name == "b"


def test_a_run_without_records_is_there_nevertheless(tmp_path: Path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / RECORDS).touch()
    assert newest(tmp_path).name == "empty"


def test_where_no_run_can_be_read_that_is_said(tmp_path: Path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / RECORDS).write_text("{broken\n")
    with pytest.raises(AttnbenchError, match="can be read: the last record of each is damaged"):
        newest(tmp_path)


def test_a_record_is_on_the_disk_before_the_next_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    sizes: list[int] = []
    monkeypatch.setattr(os, "fsync", lambda number: sizes.append(os.fstat(number).st_size))
    append(tmp_path, [record("msa")])
    assert sizes == [(tmp_path / RECORDS).stat().st_size]


def test_rows_that_have_no_room_can_be_added_by_the_same_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def refuse(number: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(AttnbenchError, match="make room, and run the same command again"):
        append(tmp_path, [record("msa")])


def test_rows_from_before_memory_was_measured_are_read_and_lack_it(tmp_path: Path):
    append(tmp_path, [record("msa", [0.1])])
    row = json.loads((tmp_path / RECORDS).read_text(encoding="utf-8"))
    for name in ("memory", "predicted_bytes", "available_bytes"):
        del row[name]
    (tmp_path / RECORDS).write_text(json.dumps({**row, "schema": 2}) + "\n", encoding="utf-8")
    assert read(tmp_path).records == (record("msa", [0.1], schema=2),)


def test_memory_comes_back_as_it_was(tmp_path: Path):
    memory = Memory(2**20, 2**21, "cpu", repeatable=True, reserved_bytes=None, process_bytes=2**29)
    append(tmp_path, [record("msa", memory=memory, predicted_bytes=2**22, available_bytes=2**30)])
    assert read(tmp_path).records[0].memory == memory
