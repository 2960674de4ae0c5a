"""From which size on one mechanism is faster than another, and what is said of it."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from attnbench.analysis.crossover import crossovers, foremost, several_sizes
from attnbench.analysis.rows import rows
from attnbench.cases.case import Role
from attnbench.records.record import Record
from attnbench.records.record_file import append
from attnbench.report.export import write_crossovers
from attnbench.report.terminal.crossover import crossover_table
from tests.conftest import Run
from tests.fakes import block, record

DRIFT = (1.0, 1.3, 0.9, 1.6, 0.8, 1.1)


def a_run(times_s: Mapping[int, Mapping[str, float]], **changes: Any) -> list[Record]:
    """A block for each side, whose rounds drift together."""
    return [
        found
        for side, times in times_s.items()
        for found in block(
            {label: [seconds * drift for drift in DRIFT] for label, seconds in times.items()},
            **{"height": side, "width": side, "block": f"{side} {changes}", **changes},
        )
    ]


def told(records: Sequence[Record]) -> list[tuple[str, str, float]]:
    """Who is faster than whom beyond which size."""
    return [
        (each.faster.record.case.label, each.slower.record.case.label, round(each.side.value, 6))
        for each in crossovers(rows(records))
    ]


def test_the_faster_at_large_sizes_overtakes_halfway_between_equal_and_opposite_ratios():
    run = a_run({7: {"msa": 1.0, "hilo": 2.0}, 28: {"msa": 2.0, "hilo": 1.0}})
    assert told(run) == [("hilo", "msa", 14.0)]
    swapped = a_run({7: {"msa": 2.0, "hilo": 1.0}, 28: {"msa": 1.0, "hilo": 2.0}})
    assert told(swapped) == [("msa", "hilo", 14.0)]


def test_sizes_are_taken_in_their_order_and_not_in_the_runs():
    times = {28: {"a": 2.0, "b": 1.0}, 7: {"a": 1.0, "b": 2.0}, 56: {"a": 4.0, "b": 1.0}}
    assert told(a_run(times)) == [("b", "a", 14.0)]


def test_the_side_of_a_map_that_is_not_square_is_that_of_the_square_with_as_many_tokens():
    wide = a_run({28: {"msa": 2.0, "hilo": 1.0}}, height=14, width=56)
    assert told([*a_run({7: {"msa": 1.0, "hilo": 2.0}}), *wide]) == [("hilo", "msa", 14.0)]


def test_no_crossing_is_made_up_where_one_is_faster_throughout_or_the_change_lies_outside():
    run = a_run({7: {"msa": 1.0, "hilo": 4.0}, 14: {"msa": 1.0, "hilo": 2.0}, 28: {"msa": 1.0, "hilo": 1.1}})
    assert told(run) == []


def test_crossovers_are_found_in_each_mode_batch_and_device_by_themselves():
    before, after = {7: {"a": 1.0, "b": 2.0}}, {28: {"a": 2.0, "b": 1.0}}
    for others in ({"mode": "training"}, {"batch": 4}, {"device": "cuda"}, {"kernel": "fused"}):
        assert told([*a_run(before), *a_run(after, **others)]) == []
        assert len(told([*a_run({**before, **after}), *a_run({**before, **after}, **others)])) == 2


def test_members_that_were_not_timed_in_turn_are_not_compared():
    first = a_run({7: {"a": 1.0, "b": 2.0}, 28: {"a": 2.0}})
    apart = record("b", [1.0] * 6, height=28, width=28, block="another")
    assert told([*first, apart]) == []


def test_a_time_that_is_impossible_crosses_no_other():
    run = a_run({7: {"msa": 1.0, "hilo": 2.0}, 28: {"msa": 2.0, "hilo": 1.0}})
    limit = record("matmul", [1.5 * drift for drift in DRIFT], role=Role.ceiling, block=run[-1].block)
    assert told([*run, limit]) == []


def test_crossovers_are_sorted_by_size():
    times = {7: {"a": 1.0, "b": 4.0, "c": 1.5}, 28: {"a": 2.0, "b": 1.9, "c": 1.0}}
    assert [names for *names, _ in told(a_run(times))] == [["c", "a"], ["b", "a"]]


def test_of_many_mechanisms_those_with_hilo_or_the_baseline_are_shown_and_the_rest_counted():
    names = ["msa", "hilo:alpha=0.5", "a", "b", "c", "d"]
    few = a_run(
        {7: dict(zip(names, range(1, 7), strict=True)), 28: dict(zip(names, range(6, 0, -1), strict=True))}
    )
    names.append("e")
    many = a_run(
        {7: dict(zip(names, range(1, 8), strict=True)), 28: dict(zip(names, range(7, 0, -1), strict=True))}
    )
    all_few, all_many = crossovers(rows(few)), crossovers(rows(many))
    assert (len(all_few), len(foremost(all_few, rows(few)))) == (15, 15)
    shown = foremost(all_many, rows(many))
    assert (len(all_many), len(shown)) == (21, 11)
    assert all(
        {each.faster.record.case.label, each.slower.record.case.label} & set(names[:2]) for each in shown
    )
    around_c = foremost(all_many, rows(many, "c"))
    assert len(around_c) == 15


def test_a_crossover_is_a_line_and_the_first_a_sentence():
    found = crossovers(rows(a_run({7: {"msa": 1.0, "hilo": 2.0}, 28: {"msa": 2.0, "hilo": 1.0}})))
    console = Console(width=160)
    with console.capture() as capture:
        console.print(crossover_table(found, others=3))
    text = capture.get()
    (line,) = (line for line in text.splitlines() if line.startswith("│"))
    assert [cell.strip() for cell in line.strip("│").split("│")] == [
        "HILO", "MSA", "14.0 [14.0, 14.0]", "inference", "64", "cpu",
    ]  # fmt: skip
    assert "From 14.0 [14.0, 14.0] tokens a side on, HILO is faster than MSA" in text
    assert "and 3 crossovers between other mechanisms" in text
    assert crossover_table(found * 2, others=0).caption == (
        "From 14.0 [14.0, 14.0] tokens a side on, HILO is faster than MSA"
    )


def test_the_file_of_crossovers_has_full_numbers_and_their_setting(tmp_path: Path):
    found = crossovers(rows(a_run({7: {"msa": 1.0, "hilo": 2.0}, 28: {"msa": 2.0, "hilo": 1.0}})))
    with write_crossovers(found, tmp_path).open(encoding="utf-8") as file:
        (line,) = csv.DictReader(file)
    assert (line["faster_beyond"], line["slower_beyond"]) == ("hilo", "msa")
    sides = [float(line[f"tokens_a_side{end}"]) for end in ("", "_low", "_high")]
    assert sides == pytest.approx([14.0] * 3)
    assert (line["mode"], line["batch"], line["device"]) == ("inference", "64", "cpu")
    assert write_crossovers([], tmp_path).read_text() == ",".join(line) + "\n"


def test_a_run_over_sizes_is_compared_with_its_crossovers(attnbench: Run, tmp_path: Path):
    append(tmp_path, a_run({7: {"msa": 1.0, "hilo": 2.0}, 28: {"msa": 2.0, "hilo": 1.0}}))
    assert "From 14.0 [14.0, 14.0] tokens a side on, HILO is faster" in attnbench("compare", tmp_path).out
    assert not (tmp_path / "crossovers.csv").exists()


def test_with_figures_comes_the_file_of_crossovers(
    attnbench: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("attnbench.report.figure.run.save", lambda page, stem, wanted: [])
    append(tmp_path, a_run({7: {"msa": 1.0, "hilo": 2.0}, 28: {"msa": 2.0, "hilo": 1.0}}))
    assert "crossovers.csv" in attnbench("compare", tmp_path, "--plot").out
    assert len((tmp_path / "crossovers.csv").read_text().splitlines()) == 2


def test_a_run_over_sizes_whose_order_stays_says_so(attnbench: Run, tmp_path: Path):
    append(tmp_path, a_run({7: {"msa": 2.0, "hilo": 1.0}, 28: {"msa": 2.0, "hilo": 1.0}}))
    assert "No two mechanisms are seen to change order" in attnbench("compare", tmp_path).out


def test_a_run_of_one_size_has_no_say_in_it(attnbench: Run, tmp_path: Path):
    one = a_run({7: {"msa": 1.0, "hilo": 2.0}})
    append(tmp_path, one)
    assert "change order" not in attnbench("compare", tmp_path).out
    assert not several_sizes(rows(one))
    assert not several_sizes(rows([*one, *a_run({14: {"msa": 1.0}}, device="cuda")]))
    assert several_sizes(rows([*one, *a_run({14: {"msa": 1.0}})]))


def test_crossovers_stay_inside_a_number_of_threads_and_say_which(tmp_path: Path):
    late, early = {"msa": 1.0, "hilo": 2.0}, {"msa": 2.0, "hilo": 1.0}
    one = a_run({7: late, 28: early}, threads=1)
    table = rows([*one, *a_run({7: early, 28: late}, threads=2)])
    found = crossovers(table)
    assert [(each.faster.record.case.label, each.faster.threads) for each in found] == [
        ("hilo", 1),
        ("msa", 2),
    ]
    with write_crossovers(found, tmp_path).open() as file:
        assert [line["threads"] for line in csv.DictReader(file)] == ["1", "2"]
    headings = [[column.heading for column in crossover_table(each, 0).columns]
                for each in (found, crossovers(rows(one)))]  # fmt: skip
    assert ["Threads" in each for each in headings] == [True, False]
