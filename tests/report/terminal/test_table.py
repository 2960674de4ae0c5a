"""Tables and the notes under them."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from attnbench.analysis.difference import changes
from attnbench.analysis.rows import measured, rows
from attnbench.cases.case import Mode, Role
from attnbench.cases.protocol import Protocol
from attnbench.records.record import Energy, Record
from attnbench.records.record_file import RecordFile
from attnbench.report.caption import TRAINING, facts, how_measured, what_marks_mean
from attnbench.report.notes import disturbances, notes, too_noisy
from attnbench.report.terminal.table import change_table, result_table
from tests.fakes import MEMORY, block, changed, record, witness

TIMES = [0.4, 0.41, 0.39, 0.4, 0.4, 0.4] * 3
HALF = [time / 2 for time in TIMES]
WIDE = [0.3, 0.5] * 9
TABLE = {"msa": TIMES, "hilo": HALF}


def text_of(table: object) -> str:
    console = Console(width=280)
    with console.capture() as capture:
        console.print(table)
    return capture.get()


def shown(records: Sequence[Record]) -> str:
    return text_of(result_table(rows(records)))


def cells(text: str, name: str) -> list[str]:
    """The cells of the line that begins with a name."""
    (line,) = (line for line in text.splitlines() if line.startswith(f"│ {name} "))
    return [cell.strip() for cell in line.strip("│").split("│")]


def headings(text: str) -> list[str]:
    (line,) = (line for line in text.splitlines() if line.startswith("┃ Mechanism"))
    return [cell.strip() for cell in line.strip("┃").split("┃")]


def change_text(before: Sequence[Record], after: Sequence[Record], *, times: bool = True) -> str:
    first, second = (RecordFile(Path("run"), tuple(records), ()) for records in (before, after))
    return text_of(change_table(changes(first, second, None, times=times)))


def test_a_row_says_in_its_own_cell_that_its_kernel_is_the_layers_own():
    msa, hilo, twin = block(TABLE)
    run = [msa, changed(hilo, backends=("flash",)), twin]
    text = shown(run)
    assert cells(text, "HILO (own kernel)")[-2] == "faster"
    assert "own kernel = its code asks for torch's fused attention by itself" in text
    assert "│ HILO (own kernel) " in change_text(run, run)
    fused = shown([changed(each, kernel="fused") for each in run])
    assert "own kernel" not in fused


def test_a_table_has_a_line_a_mechanism_and_columns_a_device():
    gpu = {label: [time / 100 for time in times] for label, times in TABLE.items()}
    text = shown([*block(TABLE), *block(gpu, device="cuda", block="gpu")])
    assert headings(text)[5::6] == ["CPU img/s [95 %]", "CUDA img/s [95 %]"]
    assert headings(text)[7::6] == ["CPU × MSA [95 %]", "CUDA × MSA [95 %]"]
    assert cells(text, "HILO")[:5] == ["HILO", "1.00", "2.20", "500.0", "298.3"]
    assert cells(text, "HILO")[5:8] == ["320 [320, 320]", "1,029", "2.00 [2.00, 2.00]"]
    assert cells(text, "HILO")[8:11] == ["2.04", "faster", "—"]
    assert cells(text, "HILO")[11:13] == ["32,000 [32,000, 32,000]", "5,104"]
    assert cells(text, "MSA")[7:10] == ["1.00", "1.00", "baseline"]


def test_a_column_is_relative_to_the_baseline_that_was_asked_for():
    text = text_of(result_table(rows(block(TABLE), "hilo")))
    assert headings(text)[7] == "× HILO [95 %]"
    assert cells(text, "HILO")[9] == "baseline"
    assert cells(text, "MSA")[9] == "slower"


def test_a_column_of_ratios_is_headed_with_the_title_of_its_baseline():
    text = shown([*block({"hilo:window=4": TIMES}, title="HiLo (window=4)"), record("msa", HALF)])
    assert "× HiLo (window=4) [95 %]" in headings(text)


def test_speeds_and_verdicts_of_groups_are_told_apart_where_nothing_else_has_room():
    gpu = {label: [time / 100 for time in times] for label, times in TABLE.items()}
    table = result_table(rows([*block(TABLE), *block(gpu, device="cuda", block="gpu")]))
    narrow = Console(width=60)
    with narrow.capture() as capture:
        narrow.print(table)
    shown, _, gone = capture.get().partition("left out")
    assert "CPU img/s" in gone
    assert all(name in shown for name in ("CPU × MSA", "CPU verdict", "CUDA × MSA", "CUDA verdict"))


def test_each_device_names_the_baseline_of_its_own():
    gpu = block({"hilo": HALF, "msa": TIMES}, device="cuda", block="gpu")
    assert headings(shown([*block(TABLE), *gpu]))[7::6] == ["CPU × MSA [95 %]", "CUDA × HILO [95 %]"]


def test_columns_of_the_paper_are_left_out_where_no_row_is_in_its_setting():
    text = shown(block(TABLE, batch=8))
    assert headings(text) == ["Mechanism", "Params (M)", "FLOPs (M)", "CPU img/s [95 %]", "× MSA [95 %]",
                              "verdict", "of limit"]  # fmt: skip
    assert cells(text, "HILO")[1:5] == ["1.00", "500.0", "40.0 [40.0, 40.0]", "2.00 [2.00, 2.00]"]
    assert "Table IV" not in text
    assert "paper: Table IV, batch 64, Intel i9-10900X and NVIDIA RTX 3090" in shown(block(TABLE))


def test_memory_stands_beside_the_costs_in_mib_and_says_what_it_is():
    text = shown([record("msa", TIMES, memory=replace(MEMORY, peak_bytes=3 * 2**19)), record("hilo", TIMES)])
    assert (headings(text)[5], cells(text, "MSA")[5], cells(text, "HILO")[5]) == ("Memory (MiB)", "1.5", "—")
    assert "the most that one call allocates beyond weights and input" in text


def test_each_device_has_its_own_memory():
    text = shown([record(device=device, memory=MEMORY) for device in ("cpu", "cuda")])
    assert (headings(text)[5], headings(text)[12]) == ("CPU memory (MiB)", "CUDA memory (MiB)")


def test_a_table_of_training_says_that_flops_are_not():
    assert "FLOPs stay those of the forward pass" in shown([record(mode=Mode.training)])
    assert "FLOPs stay those of the forward pass" not in shown([record()])
    assert TRAINING in facts(rows([record(), record(mode=Mode.training)]))


def test_a_share_of_the_limit_has_its_column():
    half: dict[str, Any] = {"role": Role.ceiling, "batch": 1, "macs": 64 * 500_000_000, "least_bytes": 10**9}
    limits = [record(f"ceiling/{name}", HALF, mechanism=name, **half) for name in ("matmul", "copy")]
    assert cells(shown([*block(TABLE), *limits]), "MSA")[-1] == "0.50"


def test_a_row_that_has_not_converged_is_marked_and_the_mark_explained():
    text = shown(block({"msa": TIMES, "hilo": WIDE}))
    assert cells(text, "HILO")[5].startswith("160 [")
    assert cells(text, "HILO")[7].startswith("~1.0 [")
    assert cells(text, "MSA")[5] == "160 [160, 160]"
    assert cells(shown(block({"msa": WIDE, "hilo": TIMES})), "MSA")[5].startswith("~160 [")
    assert "~ = not within ±2 % when time was over" in text
    assert "~" not in shown(block(TABLE))


def test_the_mark_of_open_rows_is_explained_by_what_is_true_of_all():
    coarse = Protocol(sessions=3, precision=0.05, max_seconds=60)
    open_rows = rows([record("msa", WIDE), record("hilo", WIDE, protocol=coarse)])
    assert what_marks_mean(open_rows) == ["~ = not within ±2 % when time was over"]


def with_limits(records: Sequence[Record]) -> list[Record]:
    """The records, and ceilings that do as much as they in 0.3 seconds."""
    limits = [record(f"ceiling/{name}", [0.3] * 18, mechanism=name) for name in ("matmul", "copy")]
    return [*records, *(changed(one, role=Role.ceiling) for one in limits)]


def test_an_impossible_row_is_marked_and_the_mark_explained():
    records = with_limits(block(TABLE))
    text = shown(records)
    assert cells(text, "HILO")[5:] == [
        "!320 [320, 320]", "1,029", "!2.00 [2.00, 2.00]", "2.04", "unclear", "1.50"
    ]  # fmt: skip
    assert cells(text, "MSA")[5] == "160 [160, 160]"
    assert what_marks_mean(rows(records)) == ["! = faster than this machine can do that work"]
    assert any(note.startswith("HILO (cpu 14x14 batch 64): faster than") for note in notes(rows(records)))
    assert not any("MSA" in note for note in notes(rows(records)))


def test_a_row_without_a_time_says_why():
    text = shown([*block(TABLE), record("sra", outcome="out_of_memory")])
    assert cells(text, "SRA")[5:] == ["out of memory", "710", "—", "1.41", "—", "—"]


def test_a_row_without_a_baseline_has_no_verdict():
    assert cells(shown([record("hilo", TIMES)]), "HILO")[7:] == ["—", "2.04", "—", "—"]


def test_the_title_says_machine_and_setting():
    text = shown([record("msa", TIMES)])
    assert "Abacus (2 cores), 2 threads, AVX2, torch 2.13.0" in text
    assert "14×14 tokens, dim 768, 12 heads, batch 64, float32, explicit kernel, inference" in text


def test_the_title_says_how_many_threads_rows_had_where_a_run_has_several():
    table = rows([record("msa", TIMES, threads=count) for count in (1, 2)])
    titles = [text_of(result_table([row])).splitlines()[1].strip() for row in table]
    assert [title.rpartition(", ")[2] for title in titles] == ["1 thread", "2 threads"]


def test_what_set_the_batch_is_said_once_for_all_its_rows():
    note = "batch 64 is what fits"
    said = notes(rows([record(label, TIMES, batch_note=note) for label in TABLE]))
    assert said[0] == "MSA, HILO (cpu 14x14 batch 64): batch 64 is what fits."


def test_the_caption_says_how_much_was_measured_and_how_noisy_it_was():
    records = block({"msa": TIMES, "hilo": HALF[:15]}, sessions=3)
    records[-1] = replace(records[-1], samples=record("msa", [1.04 * t for t in TIMES], 3).samples)
    text = shown([*records, *block({"msa": TIMES}, sessions=3, device="cuda", block="quiet")])
    assert "medians of 15 to 18 paired rounds in 3 sessions, 95 % bootstrap intervals" in text
    assert "; noise floor ±0.0 to ±4.0 %, from the baseline's twin" in text
    assert "same = within ±3 %" in text


def test_blocks_of_different_noise_are_said_from_the_calmest_to_the_noisiest():
    timings = [row.timing for row in measured(rows(block({"msa": TIMES, "hilo": HALF})))]
    assert "; noise floor ±2.4 to ±4.6 %, from" in how_measured(timings, [0.046, None, 0.024])


def test_one_round_is_not_called_rounds_and_promises_no_interval():
    text = shown([record("msa", [1.0])])
    assert "medians of 1 paired round in 1 session" in text
    assert "95 %" not in text
    assert "95 %" in shown(block(TABLE))


def test_verdicts_of_one_session_are_provisional():
    one, three = (block(TABLE, sessions=sessions) for sessions in (1, 3))
    provisional, sure = "and provisional, from one session", "and go beyond the scatter between sessions"
    for text, says, says_not in (
        (shown(one), provisional, sure),
        (shown(three), sure, provisional),
        (change_text(one, one), provisional, sure),
        (change_text(three, three), sure, provisional),
    ):
        assert f"corrected for all rows together, {says}".replace(", and go", " and go") in text
        assert says_not not in text


def test_a_table_without_a_time_promises_no_medians():
    assert "median" not in shown([record("sra", outcome="crashed")])


def test_a_lower_bound_is_marked_and_explained():
    table = rows([record("mine", TIMES, 3, uncounted=("aten::cdist",))])
    assert "≥ 500.0" in text_of(result_table(table))
    assert notes(table) == ["MINE (cpu 14x14 batch 64): FLOPs are a lower bound; no formula for aten::cdist."]


def test_notes_tell_what_is_wrong_with_a_row_and_nothing_else():
    assert notes(rows(block(TABLE, sessions=3))) == []
    assert notes(rows([record("mine", outcome="unsupported", reason="too square")])) == [
        "MINE (cpu 14x14 batch 64): unsupported: too square"
    ]
    assert notes(rows([record("mine", TIMES, 3, reason="not counted: it is shy")])) == [
        "MINE (cpu 14x14 batch 64): not counted: it is shy"
    ]
    assert notes(rows([record("mine", TIMES, 3, macs_closed_form=7)])) == [
        "MINE (cpu 14x14 batch 64): 500,000,000 multiply-adds counted, but the closed form is 7."
    ]


def test_rows_with_the_same_remark_share_a_note_that_names_just_them():
    def failed(label: str, dtype: str, reason: str, **changes: Any) -> Record:
        return record(label, dtype=dtype, outcome="unsupported", reason=reason, **changes)

    records = [
        failed("msa", "float32", "no"),
        failed("msa", "float16", "no"),
        failed("hilo", "float32", "no"),
        failed("hilo", "float16", "no"),
        failed("xca", "float16", "no", kernel="fused", compile="default"),
        failed("xca", "float16", "no", batch=4),
        failed("van", "tf32", "never"),
        failed("van", "float32", "never"),
    ]
    assert notes(rows(records)) == [
        "MSA, HILO (cpu 14x14 batch 64: float32 explicit, float16 explicit), "
        "XCA (cpu 14x14 batch 64: float16 fused compiled; cpu 14x14 batch 4: float16 explicit): "
        "unsupported: no",
        "VAN (cpu 14x14 batch 64: tf32 explicit, float32 explicit): unsupported: never",
    ]


def test_rows_that_have_not_converged_are_named_with_a_remedy():
    wide = Protocol(sessions=3, precision=0.005, max_seconds=60)
    (note,) = notes(rows(block({"msa": TIMES, "hilo": WIDE, "sra": WIDE}, 3, protocol=wide)))
    assert note.startswith("Not within ±0.5 % after 60 s: HILO, SRA. --max-seconds gives them more time")


def test_a_single_session_is_said_to_be_one():
    (note,) = notes(rows(block(TABLE)))
    assert note == "One session only: a second process may give other ratios; --sessions 3 asks three."


def test_too_few_rounds_are_said_to_be_too_few():
    few = notes(rows([record("msa", TIMES[:4])]))
    assert "Fewer than 5 rounds give no interval; --max-seconds gives them more time." in few


def test_a_row_that_was_not_compared_says_why():
    how = {"unchecked": "it is random", "reference": "compared with float64 in eval mode: it is random"}
    found = notes(rows([record("msa", TIMES, 3, title="MSA", **how)]))
    assert found == [
        "MSA (cpu 14x14 batch 64): compared with float64 in eval mode: it is random.",
        "MSA (cpu 14x14 batch 64): not compared with a new layer after its samples: it is random.",
    ]


def test_a_row_of_which_less_was_compared_with_float64_says_so():
    found = notes(rows([record("msa", TIMES, 3, title="MSA", reference="not compared with float64: full")]))
    assert found == ["MSA (cpu 14x14 batch 64): not compared with float64: full."]


def test_the_papers_gpu_column_is_explained_once_where_it_is_shown():
    rows_on_a_gpu = rows([record(label, TIMES, 3, device="cuda") for label in ("msa", "hilo")])
    (note,) = (line for line in notes(rows_on_a_gpu) if "paper" in line)
    assert note.startswith("The paper's GPU column was probably measured with TF32 on")
    assert not any("TF32" in line for line in notes(rows([record("msa", TIMES, 3)])))


def test_a_launch_bound_row_is_named():
    samples = [replace(sample, wall_s=1.3 * sample.seconds) for sample in record("msa", TIMES, 3).samples]
    slow = record("msa", device="cuda", title="MSA", samples=tuple(samples))
    assert notes(rows([slow]))[:-1] == ["Launch-bound, the host takes longer than the device: MSA."]


def test_a_layer_that_the_host_paced_in_any_sample_is_named():
    own, paced = record("msa", TIMES), record("hilo", TIMES)
    last = replace(paced.samples[-1], host_paced=True)
    paced = replace(paced, samples=(*paced.samples[:-1], last))
    says = "Timed at the host's pace, which the device waited for: HILO."
    assert says in notes(rows([own, paced]))
    assert not any("host's pace" in note for note in notes(rows([own])))


def test_the_form_of_fused_attention_is_told_once_or_for_whom():
    def fused(label: str, backend: str, kernel: str = "fused") -> Record:
        found: Record = changed(record(label, TIMES), kernel=kernel, backends=(backend,))
        return found

    alike = rows([fused("msa", "flash"), fused("hilo", "flash")])
    assert "Fused attention ran as flash." in notes(alike)
    assert not any(line.startswith("Not explicit") for line in notes(alike))
    unlike = notes(rows([fused("msa", "cudnn"), fused("hilo", "math")]))
    assert "Fused attention ran as cudnn in MSA." in unlike
    assert "Fused attention ran as math in HILO." in unlike
    asked_for = rows([fused("msa", "math", kernel="math")])
    assert not any("Fused attention" in note for note in notes(asked_for))


def test_two_runs_are_shown_with_both_throughputs_and_how_they_changed():
    drift = {"msa": [1.25 * time for time in TIMES], "hilo": [0.625 * time for time in HALF]}
    text = change_text(block(TABLE), block(drift))
    assert cells(text, "HILO")[1:] == ["cpu 14x14 batch 64", "1,000,000", "500,000,000", "—",
                                       "320 [320, 320]", "512 [512, 512]", "2.00 [2.00, 2.00]",
                                       "faster"]  # fmt: skip
    assert cells(text, "MSA")[-2:] == ["0.80 [0.80, 0.80]", "control"]
    assert "how many times as fast the later run is relative to MSA, whose code is the same in both" in text


def test_memory_is_compared_without_times():
    before, after = (record(memory=replace(MEMORY, peak_bytes=n * 2**20)) for n in (4, 3))
    assert cells(change_text([before], [after], times=False), "MSA")[4] == "4.0 → 3.0"


def test_counts_that_changed_show_both():
    after = [changed(found, params=2_000_000, macs=None) for found in block(TABLE)]
    assert cells(change_text(block(TABLE), after), "HILO")[2:4] == [
        "1,000,000 → 2,000,000",
        "500,000,000 → —",
    ]


def test_without_times_a_change_shows_counts_only():
    text = change_text(block(TABLE), block(TABLE), times=False)
    assert cells(text, "HILO")[-2:] == ["—", "—"]
    assert "counts only" in text
    assert "counts only" not in change_text(block({"msa": TIMES}), block({"msa": HALF}))
    assert "same = within" not in text


def test_a_case_without_a_time_shows_its_outcome():
    failed = [replace(found, outcome="crashed") for found in block(TABLE)]
    assert cells(change_text(block(TABLE), failed), "HILO")[-4:] == ["320 [320, 320]", "crashed", "—", "—"]


def test_a_narrow_table_keeps_our_numbers_whole_and_leaves_out_the_papers():
    console = Console(width=80)
    with console.capture() as capture:
        console.print(result_table(rows(block(TABLE))))
    text = capture.get()
    assert "paper" not in text.partition("1 FLOP")[0]
    assert "limit" in text.partition("1 FLOP")[0]
    assert "…" not in text
    assert "[2.00–2.00]" in text


def test_a_narrow_table_leaves_out_the_limit_rather_than_cut_numbers():
    drift = [1.0, 1.002] * 9
    records = block({"msa": drift, "hilo": [d / 2 for d in drift]}, memory=MEMORY, macs=22_504_500_000)
    console = Console(width=76)
    with console.capture() as capture:
        console.print(result_table(rows(records)))
    text = capture.get()
    assert "limit" not in text.partition("1 FLOP")[0]
    assert "left out for want of width: paper, of limit" in text
    assert "[127.74–128.00]" in text
    assert [text.count(cell) for cell in (" 22,504.5 ", " baseline ")] == [2, 1]


def test_changes_say_on_which_machine_in_how_many_rounds_and_above_which_noise():
    before, after = block({"msa": TIMES, "hilo": HALF}), block({"msa": TIMES, "hilo": WIDE})
    for run, factor in ((before, 1.03), (after, 1.04)):
        run[-1] = replace(run[-1], samples=record("msa", [factor * time for time in TIMES]).samples)
    text = change_text(before, after)
    assert "Abacus (2 cores), 2 threads" in text
    assert "medians of 18 paired rounds in 1 session, 95 % bootstrap intervals; noise floor ±5.0 %" in text
    assert cells(text, "HILO")[6].startswith("~")
    assert "~ = not within ±2 % when time was over" in text


def test_a_verdict_that_is_open_because_sessions_differ_is_said_with_the_remedy():
    faster, slower, even = [0.3] * 6, [0.5] * 6, [0.4] * 6
    apart = rows(block({"msa": even * 3, "hilo": faster + slower + even}, sessions=3))
    (note,) = (note for note in notes(apart) if "sessions differ" in note)
    assert "by up to 67 %: HILO." in note
    assert "--sessions 10" in note
    alike = rows(block({"msa": even * 3, "hilo": faster * 3}, sessions=3))
    assert not any("sessions differ" in note for note in notes(alike))


def test_sessions_that_differ_in_times_alone_are_not_why_a_verdict_is_open():
    drift = [0.3] * 6 + [0.5] * 6 + [0.4] * 6
    noisy = [time * noise for time, noise in zip(drift, [0.9, 1.1] * 9, strict=True)]
    table = rows(block({"msa": drift, "hilo": noisy}, sessions=3))
    assert [row.timing.verdict for row in measured(table)] == [None, "unclear"]
    assert not any("sessions differ" in note for note in notes(table))


def test_a_verdict_that_two_sessions_leave_open_says_that_they_differ():
    table = rows(block({"msa": [0.4] * 12, "hilo": [0.3] * 6 + [0.25] * 6}, sessions=2))
    (said,) = (note for note in notes(table) if "ession" in note)
    assert said.startswith("Unclear because sessions differ, by up to 20 %: HILO.")
    clear = rows(block({"msa": [0.4] * 12, "hilo": [0.2] * 12}, sessions=2))
    assert not any("ession" in note for note in notes(clear))


def test_an_open_verdict_says_how_much_longer_it_takes():
    noise = [1.2, 0.8, 1.1, 0.9, 1.0] * 4
    (said,) = unclear_note([0.4 * each for each in noise])  # an interval of 0.91 to 1.11
    assert said == "Unclear: HILO. ±2 % needs about 12.3 min more: --max-seconds 1040 gives it."
    (said,) = unclear_note([0.4 * each**3 for each in noise])
    assert said == "Unclear: HILO. ±2 % needs hours more here; a quieter machine helps more."


def near_the_border(noise: float) -> list[Record]:
    """HiLo, which is 2 % slower than MSA, give or take."""
    wavering = [1.02 * 0.4 * each for each in (1 - noise, 1 + noise, 1, 1 + noise, 1 - noise, 1)]
    asked = Protocol(sessions=3, precision=0.03, max_seconds=300)
    return block({"msa": [0.4] * 18, "hilo": wavering * 3}, protocol=asked)


def test_a_verdict_that_is_open_though_the_ratio_is_precise_says_why():
    (said,) = (note for note in notes(rows(near_the_border(0.02))) if note.startswith("Unclear"))
    assert said.startswith("Unclear, though as precise as was asked: HILO. Such a ratio lies too near")
    assert not any("as precise as" in note for note in notes(rows(near_the_border(0.04))))


def test_a_verdict_that_is_open_beside_an_impossible_time_is_not_said_to_be_near_the_border():
    table = rows(with_limits(block({"msa": [0.2] * 18, "hilo": [0.31] * 18})))
    assert [(row.timing.impossible, row.timing.verdict) for row in measured(table)] == [
        (True, None), (False, "unclear"),
    ]  # fmt: skip
    assert not any("as precise as" in note for note in notes(table))


def unclear_note(hilo: Sequence[float]) -> list[str]:
    """What is said of HiLo beside an MSA of 0.4 s, after a session of 30 seconds."""
    table = rows(block({"msa": [0.4] * len(hilo), "hilo": hilo}, witnesses=(witness(wall_s=30.0),)))
    return [note for note in notes(table) if note.startswith("Unclear:")]


def test_above_all_stands_that_nothing_is_usable_where_two_identical_layers_differ():
    quiet, noisy = (block({"msa": [0.4] * 12}) for _ in range(2))
    quiet[-1], noisy[-1] = (
        replace(twin, samples=record("msa", [0.4 * each for each in (1, far, 1 / far) * 4]).samples)
        for twin, far in ((quiet[-1], 1.19), (noisy[-1], 1.3))
    )
    assert too_noisy(rows(quiet)) == []
    (said,) = too_noisy(rows(noisy))
    assert said.startswith("Not usable: two identical layers differed by up to 30 %. ")


def test_the_noisiest_and_every_disturbed_block_are_told_of():
    quiet = block({"msa": [0.4] * 12}, block="quiet", height=7, witnesses=(witness(),))
    noisy = block({"msa": [0.4] * 12}, block="noisy", witnesses=(witness(others_cpu_s=90.0),))
    noisy[-1] = replace(
        noisy[-1], samples=record("msa", [0.4 * each for each in (1, 1.3, 1 / 1.3) * 4]).samples
    )
    (said,) = too_noisy(rows([*quiet, *noisy]))
    why, *others = disturbances(rows([*quiet, *noisy]))
    assert any("14x14" in line for line in (why, *others))
    assert said == f"Not usable: two identical layers differed by up to 30 %. {why}"


def test_from_five_rounds_on_nothing_is_said_of_too_few():
    said = [
        any("give no interval" in note for note in notes(rows([record("msa", [0.4] * n)]))) for n in (4, 5)
    ]
    assert said == [True, False]


def test_energy_that_one_row_asked_for_and_none_has_is_said_not_to_be_measured():
    asked, other = record("msa", TIMES, energy_s=1.0), record("hilo", TIMES)
    lacking = "Energy is not measured on"
    assert any(note.startswith(lacking) for note in notes(rows([asked, other])))
    had = replace(asked, energies=(Energy(0, 64.0, 2.0, 10, None),))
    assert not any(note.startswith(lacking) for note in notes(rows([had, other])))


def test_a_layer_that_asks_for_fused_attention_itself_is_not_explicit():
    own: Record = changed(record("own", TIMES), kernel="explicit", backends=("flash",))
    assert (
        "Not explicit: OWN, whose own code asks for torch's fused attention, which ran as flash under every "
        "kernel."
    ) in notes(rows([own, record("msa", TIMES)]))


@pytest.mark.parametrize(("count", "told"), [(1, "1 sample"), (2, "2 samples")])
def test_samples_in_which_the_process_stood_still_are_said(count: int, told: str):
    paced = record("msa", TIMES)
    paused = [replace(each, paused=True) for each in paced.samples[:count]]
    stood = replace(paced, samples=(*paused, *paced.samples[count:]))
    assert any(
        line.startswith(f"The measuring process stood still in {told} of MSA: it was stopped, or the ")
        for line in notes(rows([stood]))
    )
    assert not any("stood still" in line for line in notes(rows([paced])))


def test_what_a_layer_changed_for_others_is_said_of_its_row():
    meddling: Record = changed(record("own", TIMES), put_right=("the number of threads (2, then 1)",))
    assert any(
        "it changes the number of threads (2, then 1) for all layers; that was put right" in line
        for line in notes(rows([meddling]))
    )


def test_speeds_in_a_format_that_the_processor_emulates_are_said_to_be_so():
    slow = {"emulated.float16": "58"}
    half = changed(record("msa", TIMES), dtype="float16", flags=slow)
    (line,) = (line for line in notes(rows([half])) if "emulated" in line)
    assert line.startswith("float16 is emulated on this CPU: a product takes 58 times as long as in float32")
    for other in (changed(half, dtype="bfloat16"), changed(half, device="cuda")):
        assert not any("emulated" in line for line in notes(rows([other])))
    on_gpu = changed(half, device="cuda", flags={"emulated.cuda.float16": "3"})
    (line,) = (line for line in notes(rows([on_gpu])) if "emulated" in line)
    assert "is emulated on this GPU: a product takes 3 times as long as in float32. Its" in line


def test_a_device_whose_memory_cannot_be_measured_is_named():
    (said,) = notes(rows([record("msa", TIMES, 3, device="mps"), record("hilo", TIMES, 3, device="mps")]))
    assert said == "Memory is not measured on MPS, whose allocator keeps no peak."
