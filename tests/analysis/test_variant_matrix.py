"""What each variant makes of mechanisms, which order survives it, and what is said of that."""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from attnbench.analysis.claims import Ruling
from attnbench.analysis.orders import correlation
from attnbench.analysis.rows import rows
from attnbench.analysis.variant_matrix import (
    VariantMatrix,
    judged_claims,
    matrices,
    swaps,
    without_matrix,
)
from attnbench.cases.case import Role
from attnbench.cases.variant import DTYPES, KERNELS, PLAIN, Variant
from attnbench.records.record import Record
from attnbench.report.export import write_matrices
from attnbench.report.terminal.variants import matrix_table, report, swap_sentences
from attnbench.statistics import Estimate
from tests.fakes import changed, exactly, in_sessions, record

FUSED = Variant(kernel="fused")
HALF = Variant(dtype="bfloat16")
COMPILED = Variant(compile="default")
DRIFT = (1.0, 1.01, 0.99, 1.0, 1.0, 1.005, 0.995, 1.0)
Times = Mapping[Variant, Mapping[str, float | str]]


def case(label: str, variant: Variant, times_s: Sequence[float] = (), **changes: Any) -> Record:
    how = {"dtype": variant.dtype, "kernel": variant.kernel, "compile": variant.compile}
    return record(label, times_s, **{**how, "cuda_graph": variant.cuda_graph, **changes})


def a_run(times_s: Times, **changes: Any) -> list[Record]:
    """A block whose rounds drift together, and its twin; a word instead of a time is an outcome."""
    members = [
        case(label, variant, outcome=time, reason="no", **changes)
        if isinstance(time, str)
        else case(label, variant, [time * drift for drift in DRIFT], **changes)
        for variant, times in times_s.items()
        for label, time in times.items()
    ]
    first = next(member for member in members if member.samples)
    return [*members, changed(first, role=Role.twin)]


def in_two_sessions(first: str, second: str) -> list[Record]:
    """Two that change order: their own two sessions leave it open, and the scatter of the block does not."""
    plain, fused = in_sessions(first, 0.0, 0.0), in_sessions(first, -1.0, -1.0, kernel="fused")
    others = [in_sessions(second, -0.5, -0.6, kernel=kernel) for kernel in ("explicit", "fused")]
    return [plain, fused, *others, changed(plain, role=Role.twin)]


def ceilings(macs: int, moved: int) -> list[Record]:
    """A matmul and a copy of about a second each."""
    names = ("matmul", "copy")
    made = [record(f"ceiling/{name}", DRIFT, mechanism=name, batch=1) for name in names]
    return [changed(each, role=Role.ceiling, macs=macs, least_bytes=moved) for each in made]


def matrix_of(records: Sequence[Record]) -> VariantMatrix:
    (matrix,) = matrices(rows(records))
    return matrix


def gains(matrix: VariantMatrix, variant: Variant) -> dict[str, Estimate | None]:
    return {label: cell.gain for (label, where), cell in matrix.cells.items() if where == variant}


def printed(matrix: VariantMatrix, width: int = 160) -> str:
    console = Console(width=width, highlight=False)
    with console.capture() as capture:
        for part in report(matrix):
            console.print(part)
    return capture.get()


def line_of(text: str, name: str) -> list[str]:
    """The cells of the first line that begins with a name."""
    line = next(line for line in text.splitlines() if line.startswith(f"│ {name} "))
    return [cell.strip() for cell in line.strip("│").split("│")]


def after(text: str, title: str) -> str:
    return text.partition(title)[2]


SWAPPED: Times = {
    PLAIN: {"msa": 0.4, "hilo": 0.2, "sra": 0.3},
    FUSED: {"msa": 0.1, "hilo": 0.2, "sra": 0.3},
}


def test_a_gain_is_paired_by_round_and_no_ratio_of_medians():
    plain = case("msa", PLAIN, [2.0, 2.0, 2.0, 6.0, 6.0])
    fused = case("msa", FUSED, [1.0, 1.0, 5.0, 3.0, 3.0])
    gain = gains(matrix_of([plain, fused]), FUSED)["msa"]
    assert gain is not None
    assert gain.value == pytest.approx(2.0)


def test_gains_are_over_the_same_mechanism_in_the_plain_variant_wherever_that_stands():
    matrix = matrix_of(a_run({FUSED: {"msa": 0.1, "hilo": 0.4}, PLAIN: {"msa": 0.4, "hilo": 0.2}}))
    assert matrix.reference == PLAIN
    assert gains(matrix, FUSED) == {"msa": exactly(4.0), "hilo": exactly(0.5)}
    assert gains(matrix, PLAIN) == {"msa": exactly(1.0), "hilo": exactly(1.0)}


def test_without_the_plain_variant_gains_are_over_the_first_and_the_caption_says_so():
    matrix = matrix_of(a_run({HALF: {"msa": 0.4}, FUSED: {"msa": 0.1}}))
    assert matrix.reference == HALF
    assert gains(matrix, FUSED) == {"msa": exactly(4.0)}
    text = printed(matrix)
    assert "in bfloat16 explicit (nothing has a time in float32 explicit), by paired rounds" in text
    assert "nothing has a time" not in printed(matrix_of(a_run(SWAPPED)))


def test_a_plain_variant_without_any_time_is_no_reference():
    run = a_run({PLAIN: {"msa": "unsupported"}, HALF: {"msa": 0.4}, FUSED: {"msa": 0.1}})
    assert matrix_of(run).reference == HALF


def test_variants_that_were_not_timed_in_turn_are_not_compared():
    apart = [case("msa", PLAIN, [1.0] * 6, block="one"), case("msa", FUSED, [0.5] * 6, block="another")]
    assert gains(matrix_of(apart), FUSED) == {"msa": None}


def test_each_device_size_batch_mode_and_number_of_threads_with_several_variants_has_a_matrix():
    settings: list[dict[str, Any]] = [
        {},
        {"device": "cuda"},
        {"height": 7},
        {"batch": 4},
        {"mode": "training"},
        {"threads": 1},
    ]
    records = [found for changes in settings for found in a_run(SWAPPED, block=f"block {changes}", **changes)]
    single = record("van", [1.0] * 6, height=28, block="other")
    table = rows([*records, single])
    assert [len(matrix.rows) for matrix in matrices(table)] == [6] * 6
    assert [row.record.case.label for row in without_matrix(table)] == ["van"]


def test_the_best_variant_is_the_one_with_the_largest_gain():
    matrix = matrix_of(a_run({PLAIN: {"msa": 0.2, "hilo": 0.4}, FUSED: {"msa": 0.4, "hilo": 0.1},
                              HALF: {"msa": "wrong", "hilo": 0.2, "van": "wrong"}}))  # fmt: skip
    assert [matrix.best(label) for label in ("msa", "hilo", "van")] == [PLAIN, FUSED, None]
    best = after(printed(matrix), "The best variant")
    assert line_of(best, "MSA") == ["MSA", "float32 explicit", "320.0", "1"]
    assert line_of(best, "HILO") == ["HILO", "float32 fused", "640", "4.00 [4.00, 4.00]"]


def test_a_higher_median_that_is_no_gain_by_round_is_not_the_best():
    plain = case("msa", PLAIN, [1.0, 1.0, 3.0, 6.0, 6.0])
    fused = case("msa", FUSED, [1.1, 1.1, 2.0, 6.6, 6.6])
    matrix = matrix_of([plain, fused])
    assert matrix.order(FUSED)["msa"] > matrix.order(PLAIN)["msa"]
    assert matrix.best("msa") == PLAIN


def test_a_gain_that_may_be_none_leaves_the_reference_the_best():
    wavering = [0.098, 0.103, 0.097, 0.104, 0.099, 0.099, 0.099, 0.099]
    plain = case("msa", PLAIN, [0.1] * 8)
    matrix = matrix_of([plain, case("msa", FUSED, wavering), changed(plain, role=Role.twin)])
    found = gains(matrix, FUSED)["msa"]
    assert found
    assert found.value > 1
    assert matrix.best("msa") == PLAIN


def test_the_best_of_variants_without_gains_has_the_highest_throughput():
    apart = [case("msa", PLAIN, [1.0] * 6, block="one"), case("msa", FUSED, [0.5] * 6, block="another")]
    assert matrix_of(apart).best("msa") == FUSED
    unlike = a_run({PLAIN: {"msa": "wrong", "hilo": 0.2}, FUSED: {"msa": 0.4}, HALF: {"msa": 0.3}})
    assert matrix_of(unlike).best("msa") == HALF


def test_a_gain_is_beside_the_ratio_of_throughputs_where_another_variant_was_timed_apart():
    gained = [case("msa", PLAIN, [1.0] * 6), case("msa", FUSED, [0.5] * 6)]
    matrix = matrix_of([*gained, case("msa", HALF, [0.8] * 6, block="another")])
    assert matrix.best("msa") == FUSED


OWN: dict[str, Any] = {
    "backends": ("flash",),
    "macs_by_operator": {"scaled_dot_product_attention": 5 * 10**8},
}


def test_a_layer_with_a_kernel_of_its_own_gains_nothing_where_the_kernel_alone_changes():
    times = {FUSED: [0.39] * 8, PLAIN: [0.4] * 8}
    matrix = matrix_of([case("mine", variant, each, **OWN) for variant, each in times.items()])
    assert gains(matrix, FUSED) == {"mine": None}
    assert gains(matrix, PLAIN) == {"mine": exactly(1.0)}
    assert matrix.best("mine") == PLAIN
    text = printed(matrix)
    assert line_of(after(text, "The best variant"), "MINE (own kernel)")[1:] == [
        "float32 explicit",
        "160",
        "1",
    ]
    assert "own kernel = its code asks for torch's fused attention by itself" in " ".join(text.split())


def test_of_two_variants_that_differ_in_the_kernel_alone_the_first_stands_for_a_kernel_of_ones_own():
    half_fused = Variant(kernel="fused", dtype="bfloat16")
    times = {PLAIN: [0.4] * 8, HALF: [0.2] * 8, half_fused: [0.19] * 8}
    matrix = matrix_of([case("mine", variant, each, **OWN) for variant, each in times.items()])
    assert matrix.best("mine") == HALF
    assert gains(matrix, half_fused)["mine"] is not None


def test_what_does_the_same_as_a_variant_whose_time_is_impossible_stands_for_itself():
    """The matmul makes the 32 G multiply-adds of a call possible in 0.32 s."""
    run = [case("mine", variant, [time_s] * 8, **OWN) for variant, time_s in ((PLAIN, 0.1), (FUSED, 0.4))]
    assert matrix_of([*run, *ceilings(10**11, 10**12)]).best("mine") == FUSED


@pytest.mark.parametrize(
    "other", [{"backends": ("math",)}, {"macs_by_operator": {"scaled_dot_product_attention": 10**9}}]
)
def test_a_kernel_of_ones_own_that_a_variant_changes_may_gain(other: dict[str, Any]):
    matrix = matrix_of([case("mine", PLAIN, [0.4] * 8, **OWN), case("mine", FUSED, [0.2] * 8, **OWN | other)])
    assert gains(matrix, FUSED) == {"mine": exactly(2.0)}
    assert matrix.best("mine") == FUSED


def test_what_attends_as_it_is_told_has_no_kernel_of_its_own():
    fused = case("msa", FUSED, [0.2] * 8, **OWN)
    matrix = matrix_of([case("msa", PLAIN, [0.4] * 8, macs_by_operator=OWN["macs_by_operator"]), fused])
    assert matrix.best("msa") == FUSED
    assert "own kernel" not in printed(matrix)


@pytest.mark.parametrize("times", [{PLAIN: 0.4, FUSED: 0.2}, {PLAIN: 0.2, FUSED: 0.4}])
def test_nothing_is_gained_over_or_by_a_time_that_is_impossible(times: Mapping[Variant, float]):
    """The matmul makes the 32 G multiply-adds of a call possible in 0.32 s."""
    run = a_run({variant: {"msa": time_s} for variant, time_s in times.items()})
    assert gains(matrix_of([*run, *ceilings(10**11, 10**12)]), FUSED) == {"msa": None}


def test_the_correlation_of_three_of_which_two_swap_is_a_third():
    times: Times = {
        PLAIN: {"msa": 0.3, "hilo": 0.1, "sra": 0.2},
        FUSED: {"msa": 0.3, "hilo": 0.2, "sra": 0.1},
    }
    matrix = matrix_of(a_run(times))
    assert correlation(matrix.order(PLAIN), matrix.order(FUSED)) == pytest.approx(1 / 3)
    order = after(printed(matrix), "Kendall's τ")
    assert line_of(order, "float32 fused")[:4] == ["float32 fused", "3", "0.33", "1.00"]


def test_what_has_no_time_shows_its_outcome_and_takes_no_part_in_the_order():
    times: Times = {
        PLAIN: {"msa": 0.1, "hilo": 0.2, "sra": 0.3},
        FUSED: {"msa": "unsupported", "hilo": 0.3, "sra": 0.2},
        HALF: {"msa": 0.1, "hilo": "wrong", "sra": "crashed"},
    }
    matrix = matrix_of(a_run(times))
    text = printed(matrix)
    assert line_of(text, "MSA")[2] == "unsupported"
    assert [line_of(text, name)[3] for name in ("HILO", "SRA")] == ["wrong", "crashed"]
    assert correlation(matrix.order(PLAIN), matrix.order(FUSED)) == -1
    assert correlation(matrix.order(PLAIN), matrix.order(HALF)) is None
    order = after(text, "Kendall's τ")
    assert line_of(order, "float32 fused")[1:4] == ["2", "-1.00", "1.00"]
    assert line_of(order, "bfloat16 explicit")[1:4] == ["1", "—", "—"]


def test_many_variants_are_compared_with_the_reference_alone_and_few_with_each_other():
    times: dict[Variant, dict[str, float | str]] = {
        Variant(kernel=kernel): {"mine": 1.0, "yours": 2.0} for kernel in KERNELS
    }
    few = line_of(after(printed(matrix_of(a_run(times))), "Kendall's τ"), "float32 math")
    assert few[2:] == ["1.00"] * 6
    times[HALF] = {"mine": 2.0, "yours": 1.0}
    many = line_of(after(printed(matrix_of(a_run(times))), "Kendall's τ"), "bfloat16 explicit")
    assert many[2:] == ["-1.00"]


def test_the_papers_order_is_that_of_its_device_and_stands_beside_every_variant_of_its_shape():
    times: Times = {variant: {"msa": 0.1, "hilo": 0.2, "mine": 0.3} for variant in (PLAIN, HALF)}
    matrix = matrix_of(a_run(times))
    assert matrix.published_order == {"msa": 505, "hilo": 1029}
    assert matrix_of(a_run(times, device="cuda")).published_order["msa"] == 4403
    order = after(printed(matrix), "Kendall's τ")
    assert line_of(order, "bfloat16 explicit")[-1] == "-1.00"
    assert "Table IV on the paper's Intel i9-10900X" in order
    for elsewhere in (matrix_of(a_run(times, batch=4)), matrix_of(a_run(times, device="mps"))):
        assert elsewhere.published_order == {}
        assert "Table IV" not in printed(elsewhere)


def test_a_pair_that_changes_places_is_told_from_the_reference_with_both_ratios():
    (found,) = swaps(matrix_of(a_run({FUSED: {"msa": 0.1, "hilo": 0.2}, PLAIN: {"msa": 0.4, "hilo": 0.2}})))
    assert (found.first, found.second) == ("hilo", "msa")
    assert found.ahead == {PLAIN: exactly(2.0)}
    assert found.behind == {FUSED: exactly(0.5)}


def test_the_intervals_of_a_swap_hold_their_ratios_whichever_is_named_first():
    scatter = [0.8, 1.1, 0.9, 1.2, 1.0, 1.05, 0.95, 1.0]
    msa = [case("msa", PLAIN, [0.4 * spread for spread in scatter]), case("msa", FUSED, [0.1] * 8)]
    hilo = [case("hilo", PLAIN, [0.2] * 8), case("hilo", FUSED, [0.2 * spread for spread in scatter])]
    (found,) = swaps(matrix_of([*msa, *hilo]))
    for ratio in (found.ahead[PLAIN], found.behind[FUSED]):
        assert (ratio.low or 9) < ratio.value < (ratio.high or 0)


def test_the_sentence_of_a_swap_counts_the_other_variants():
    matrix = matrix_of(
        a_run({**SWAPPED, HALF: {"msa": 0.2, "hilo": 0.4}, COMPILED: {"msa": 0.8, "hilo": 0.2}})
    )
    text = " ".join(printed(matrix).split())
    assert (
        "HILO is faster than MSA in float32 explicit (2.00 [2.00, 2.00]) and 1 other, "
        "slower in float32 fused (0.50 [0.50, 0.50]) and 1 other."
    ) in text


def test_a_lead_that_rounds_do_not_agree_on_is_no_swap():
    plain = [case("msa", PLAIN, [0.4] * 8), case("hilo", PLAIN, [0.2] * 8)]
    scattered = [
        case("msa", FUSED, [0.2] * 8),
        case("hilo", FUSED, [0.21, 0.3, 0.25, 0.4, 0.22, 0.1, 0.1, 0.1]),
    ]
    matrix = matrix_of([*plain, *scattered])
    assert matrix.order(FUSED)["msa"] > matrix.order(FUSED)["hilo"]
    assert swaps(matrix) == []
    assert "No two mechanisms are seen to change places" in printed(matrix)


def test_a_lead_below_the_noise_floor_is_no_swap():
    records = a_run({PLAIN: {"msa": 0.4, "hilo": 0.2}, FUSED: {"msa": 0.36, "hilo": 0.4}})
    assert len(swaps(matrix_of(records))) == 1
    records[-1] = replace(records[-1], samples=case("msa", PLAIN, [0.5 * drift for drift in DRIFT]).samples)
    assert swaps(matrix_of(records)) == []


def test_the_noisiest_of_several_blocks_decides_what_is_no_swap():
    noisy = a_run({PLAIN: {"msa": 0.4, "hilo": 0.2}}, block="noisy")
    calm = a_run({FUSED: {"msa": 0.36, "hilo": 0.4}}, block="calm")
    assert len(swaps(matrix_of([*noisy, *calm]))) == 1
    noisy[-1] = replace(noisy[-1], samples=case("msa", PLAIN, [0.5 * drift for drift in DRIFT]).samples)
    assert swaps(matrix_of([*noisy, *calm])) == []


def test_a_swap_is_as_clear_as_the_scatter_of_its_whole_block_makes_it():
    *pair, twin = in_two_sessions("msa", "hilo")
    assert swaps(matrix_of(pair)) == []
    assert len(swaps(matrix_of([*pair, twin]))) == 1


def test_the_largest_five_swaps_are_told_and_the_others_counted():
    names = "abcdefg"
    falling = {name: 2.0**place for place, name in enumerate(names)}
    rising = {name: 2.0**-place for place, name in enumerate(names)}
    found = swaps(matrix_of(a_run({PLAIN: {**falling}, FUSED: {**rising}})))
    assert len(found) == 21
    assert (found[0].first, found[0].second) == ("a", "g")
    matrix = matrix_of(a_run({PLAIN: {**falling}, FUSED: {**rising}}))
    assert len(swap_sentences(matrix, found[:5])) == 5
    text = printed(matrix)
    assert text.count("· ") == 6
    assert "· and 16 smaller swaps" in text


def test_a_swap_is_as_large_as_the_smaller_of_its_leads():
    times: Times = {PLAIN: {"a": 0.1, "b": 1.0, "c": 1.5}, FUSED: {"a": 1.1, "b": 1.0, "c": 0.6}}
    found = [(swap.first, swap.second) for swap in swaps(matrix_of(a_run(times)))]
    assert found == [("a", "c"), ("b", "c"), ("a", "b")]


def test_claims_are_judged_in_every_variant_of_the_papers_shape():
    times: Times = {PLAIN: {"hilo": 0.2, "sra": 0.3}, HALF: {"hilo": 0.2, "sra": 0.1}}
    matrix = matrix_of(a_run(times))
    (judged,) = judged_claims(matrix)
    assert judged.claim.id == "hilo-sra-cpu"
    assert {variant: (found.ours, found.ruling) for variant, found in judged.findings.items()} == {
        PLAIN: (exactly(1.5), Ruling.holds),
        HALF: (exactly(0.5), Ruling.fails),
    }
    claims = after(printed(matrix), "The paper's sentences")
    assert "HILO ≥ 1.4 ×" in claims
    assert line_of(claims, "bfloat16 explicit") == ["bfloat16 explicit", "0.50 [0.50, 0.50] fails"]


def test_an_order_that_the_paper_claims_is_judged_in_every_variant():
    shifted, local = "shifted-window", "local-window"
    times: Times = {PLAIN: {shifted: 0.3, local: 0.2}, HALF: {shifted: 0.2, local: 0.201}}
    matrix = matrix_of(a_run(times))
    (judged,) = judged_claims(matrix)
    assert [found.ruling for found in judged.findings.values()] == [Ruling.holds, Ruling.unclear]
    assert "SHIFTED-WINDOW slower than" in printed(matrix)
    noisy = a_run(times)
    noisy[-1] = replace(noisy[-1], samples=case(shifted, PLAIN, [0.5 * drift for drift in DRIFT]).samples)
    (judged,) = judged_claims(matrix_of(noisy))
    assert judged.findings[PLAIN].ruling is Ruling.unclear


def test_a_claim_is_judged_with_the_scatter_of_its_whole_block():
    (judged,) = judged_claims(matrix_of(in_two_sessions("shifted-window", "local-window")))
    assert [found.ruling for found in judged.findings.values()] == [Ruling.holds, Ruling.fails]


def test_a_claim_is_judged_among_mechanisms_that_were_timed_in_turn():
    run = a_run({PLAIN: {"hilo": 0.2, "sra": 0.3}, HALF: {"hilo": 0.2, "sra": 0.3}})
    apart = [
        replace(each, block=each.case.label) if each.case.variant.dtype == "bfloat16" else each
        for each in run
    ]
    (judged,) = judged_claims(matrix_of(apart))
    assert judged.findings[PLAIN].ruling is Ruling.holds
    assert judged.findings[HALF].reason == "measured apart: SRA"


def test_there_is_no_claim_about_other_devices_or_shapes():
    times: Times = {PLAIN: {"hilo": 0.2, "sra": 0.3}, HALF: {"hilo": 0.2, "sra": 0.1}}
    for changes in ({"device": "cuda"}, {"batch": 4}):
        assert judged_claims(matrix_of(a_run(times, **changes))) == []


def test_a_line_has_throughput_share_of_the_limit_and_gain():
    run = a_run({PLAIN: {"msa": 0.4, "hilo": 0.2}, FUSED: {"msa": 0.1, "hilo": 0.8}})
    text = printed(matrix_of([*run, *ceilings(macs=64 * 10**10, moved=10**12)]))
    assert [cell.split(maxsplit=2) for cell in line_of(text, "HILO")[1:]] == [
        ["320.0", "0.25"], ["80.0", "0.06", "0.25 [0.25, 0.25]"],
    ]  # fmt: skip
    assert "0.25 m" not in text
    assert "set by memory" not in text


def test_a_share_of_what_memory_allows_is_marked_and_explained():
    run = a_run({PLAIN: {"msa": 0.4}, FUSED: {"msa": 0.1}})
    text = printed(matrix_of([*run, *ceilings(macs=10**15, moved=10**9)]))
    assert line_of(text, "MSA")[1].split() == ["160.0", "0.25", "m"]
    assert "m = set by memory, else by products" in text


def test_a_throughput_that_has_not_converged_is_marked():
    wide = case("msa", FUSED, [0.1, 0.4] * 4)
    matrix = matrix_of([case("msa", PLAIN, [0.4] * 8), wide])
    assert line_of(printed(matrix), "MSA")[2].startswith("~")
    assert "~ = not within ±2 %" in printed(matrix)


@pytest.mark.parametrize(("width", "tables"), [(110, 8), (160, 4)])
def test_sixteen_variants_are_as_many_tables_as_fit_and_none_is_cut(width: int, tables: int):
    variants = [Variant(kernel, dtype) for dtype in DTYPES[:3] for kernel in KERNELS][:16]
    matrix = matrix_of(a_run({variant: {"shifted-window": 0.4, "hilo": 0.2} for variant in variants}))
    text = printed(matrix, width).partition("gain = ")[0]
    assert text.count("│ SHIFTED-WINDOW │") == tables
    assert max(map(len, text.splitlines())) <= width
    assert "…" not in text
    assert all(f" {variant.brief} " in text for variant in variants)


def test_a_table_is_split_when_it_is_one_letter_too_wide():
    matrix = matrix_of(a_run({variant: {"shifted-window": 0.4} for variant in (PLAIN, FUSED, HALF)}))

    def lines(width: int) -> list[str]:
        console = Console(width=width)
        with console.capture() as capture:
            console.print(matrix_table(matrix))
        return capture.get().splitlines()

    width = max(map(len, lines(160)))
    tables = [sum(line.startswith("│ SHIFTED-WINDOW │") for line in lines(at)) for at in (width, width - 1)]
    assert tables == [1, 2]


def test_the_file_has_a_line_a_mechanism_and_variant_with_full_numbers(tmp_path: Path):
    run = a_run({PLAIN: {"msa": 0.4, "hilo": "wrong"}, FUSED: {"msa": 0.3, "hilo": 0.2}})
    matrix = matrix_of([*run, *ceilings(macs=64 * 10**10, moved=10**12)])
    with write_matrices([matrix], tmp_path).open(encoding="utf-8") as file:
        lines = list(csv.DictReader(file))
    assert [(line["label"], line["kernel"], line["outcome"], line["best"]) for line in lines] == [
        ("msa", "explicit", "measured", "False"), ("hilo", "explicit", "wrong", "False"),
        ("msa", "fused", "measured", "True"), ("hilo", "fused", "measured", "True"),
    ]  # fmt: skip
    speeds = [float(lines[2][f"speed_vs_reference{end}"]) for end in ("", "_low", "_high")]
    assert speeds == pytest.approx([4 / 3] * 3, abs=1e-12)
    assert float(lines[2]["imgs_per_s"]) == pytest.approx(64 / 0.3, abs=1e-9)
    assert float(lines[2]["fraction_of_limit"]) == pytest.approx(0.05 / 0.3)
    assert (lines[2]["reference"], lines[2]["limited_by"]) == ("float32 explicit", "compute")
    assert (lines[1]["imgs_per_s"], lines[3]["speed_vs_reference"]) == ("", "")
