"""What commands print as JSON: the lines of `data` and `export`, and what they share."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from itertools import combinations

from attnbench.analysis.analysis import Analysis
from attnbench.analysis.ceilings import Seen, rate_per_s
from attnbench.analysis.claims import Judgement
from attnbench.analysis.difference import Change, Difference
from attnbench.analysis.orders import correlation
from attnbench.analysis.variant_matrix import (
    Swap,
    VariantMatrix,
    swaps,
    without_matrix,
)
from attnbench.cases.variant import Variant
from attnbench.machine.fingerprint import Machine
from attnbench.mechanism import Geometry
from attnbench.paper.claims import Claim, Metric
from attnbench.records.codec import to_row
from attnbench.records.cost import Entry, Point
from attnbench.records.profile import Profile
from attnbench.records.record import Record
from attnbench.records.record_file import RecordFile
from attnbench.report.column import Line
from attnbench.report.columns import FLOPS, PARAMS
from attnbench.report.data import estimate_cells, lines_of, machine_indices, machines_of
from attnbench.report.export import change_line, crossover_line, entry_line, matrix_line, point_line
from attnbench.report.json_text import json_pieces, json_text
from attnbench.report.profile import call_line, operator_lines, place_lines, setting_line
from attnbench.statistics import Estimate

COUNTS = {Metric.params: PARAMS, Metric.flops: FLOPS}
RATES = {"matmul": "macs_per_s", "copy": "bytes_per_s"}


def registry_json(entries: Sequence[Entry], geometry: Geometry, image: Geometry) -> str:
    """Choices with what they cost, layers on a map and models on an image, their papers and branches."""
    mechanisms = [
        {
            **entry_line(entry),
            "paper": asdict(paper) if (paper := entry.choice.mechanism.paper) else None,
            "branches": list(map(asdict, entry.branches)),
            "refusal": entry.refusal,
        }
        for entry in entries
    ]
    sizes = {"geometry": to_row(geometry), "image": {"height": image.height, "width": image.width}}
    return json_text({**sizes, "mechanisms": mechanisms})


def flops_json(points: Sequence[Point]) -> str:
    """Closed forms of choices on maps, and those of their branches."""
    return json_text(
        {
            "points": [
                {**point_line(point), "branches": list(map(asdict, point.branches)), "refusal": point.refusal}
                for point in points
            ]
        }
    )


def run_json(run: Analysis) -> str:
    """The rows of a run, where their order changes with size, and how far it is the paper's."""
    return "".join(run_json_pieces(run))


def run_json_pieces(run: Analysis) -> Iterator[str]:
    """The same a row at a time."""
    return json_pieces({**_run(run.file), "rows": lines_of(run), **_orders(run)})


def matrices_json(run: Analysis) -> str:
    """The matrices of a run, and the rows of all places that have one variant only."""
    several = [_matrix(run.file, matrix) for matrix in run.matrices]
    others = replace(run, rows=without_matrix(run.rows))
    return json_text(
        {**_run(run.file), "matrices": several, "rows": list(lines_of(others)), **_orders(others)}
    )


def changes_json(
    before: RecordFile, after: RecordFile, changes: Sequence[Change], different: Sequence[Difference]
) -> str:
    """The cases of two runs, and what the runs differ in where their times say nothing about each other."""
    return json_text(
        {
            "before": _run(before),
            "after": _run(after),
            "cases": [change_line(change) for change in changes],
            "differences": [{"field": name, "before": old, "after": new} for name, old, new in different],
        }
    )


def machine_json(machine: Machine, seen: Mapping[str, Seen]) -> str:
    """The machine, and for each device its ceilings and what will disturb a measurement."""
    devices = {
        device: {"ceilings": list(map(_ceiling, found.ceilings)), "advice": found.advice}
        for device, found in seen.items()
    }
    return json_text({"machine": asdict(machine), "devices": devices})


def claims_json(judgements: Sequence[Judgement]) -> str:
    """Judgements as a list, an object a claim; numbers are ratios, or counts as `unit` says."""
    return json_text(list(map(_claim, judgements)))


def profile_json(profile: Profile) -> str:
    """One call of a layer, operator by operator, the one that takes longest first."""
    operators = operator_lines(profile)
    places = place_lines(profile)
    return json_text({**setting_line(profile), **call_line(profile), "operators": operators, **places})


def _run(found: RecordFile) -> Line:
    return {"run": str(found.folder), "machines": list(map(asdict, machines_of(found)))}


def _orders(run: Analysis) -> Line:
    return {
        "crossovers": [crossover_line(each) for each in run.crossovers],
        "agreements": list(map(asdict, run.agreements)),
    }


def _matrix(found: RecordFile, matrix: VariantMatrix) -> Line:
    orders = {variant: matrix.order(variant) for variant in matrix.variants}
    machines = machine_indices(found)
    return {
        "reference": asdict(matrix.reference),
        "cells": [
            {**matrix_line(matrix, cell), "machine": machines[cell.row.record.conditions.machine]}
            for cell in matrix.cells.values()
        ],
        "correlations": [
            {"first": asdict(first), "second": asdict(second), "kendall_tau": correlation(*pair)}
            for (first, second) in combinations(orders, 2)
            for pair in [(orders[first], orders[second])]
        ],
        "swaps": list(map(_swap, swaps(matrix))),
    }


def _swap(swap: Swap) -> Line:
    return {
        "first": swap.first,
        "second": swap.second,
        "ahead": _in_variants(swap.ahead),
        "behind": _in_variants(swap.behind),
    }


def _in_variants(ratios: Mapping[Variant, Estimate]) -> list[Line]:
    return [{**asdict(variant), **estimate_cells("speed", ratio)} for variant, ratio in ratios.items()]


def _ceiling(record: Record) -> Line:
    return {
        "name": record.case.mechanism,
        "dtype": record.case.variant.dtype,
        "threads": record.conditions.threads,
        "outcome": record.outcome,
        "reason": record.reason,
        **estimate_cells(RATES[record.case.mechanism], rate_per_s(record)),
    }


def _claim(judgement: Judgement) -> Line:
    claim, ours = judgement.claim, judgement.ours
    return {
        "id": claim.id,
        "sentence": claim.sentence,
        "source": claim.source,
        "mechanism": claim.mechanism,
        "metric": claim.metric,
        "relation": claim.relation,
        "than": claim.than,
        "device": claim.device,
        "verdict": judgement.ruling,
        "value": _number(claim, ours.value if ours else None),
        "low": _number(claim, ours.low if ours else None),
        "high": _number(claim, ours.high if ours else None),
        "claimed": _number(claim, claim.number),
        "unit": "ratio" if claim.millions is None else COUNTS[claim.metric].base_unit,
        "reason": judgement.reason,
        "beside": _claim(judgement.beside) if judgement.beside else None,
        "variant": judgement.variant.brief if judgement.variant else None,
        "differences": [asdict(difference) for difference in judgement.differences],
    }


def _number(claim: Claim, value: float | None) -> float | None:
    """A ratio, or a count in base units."""
    return value if value is None or claim.millions is None else round(value * 1e6)
