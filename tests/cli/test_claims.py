"""`attnbench claims`: the paper's claims, or a user's own, put to a run."""

import json
from pathlib import Path
from typing import Any

import pytest

from attnbench.cases.case import Role
from attnbench.paper.builtin import builtin
from attnbench.records.record_file import RECORDS, append
from tests.conftest import Run
from tests.fakes import block, record

TABLE_IV = Path(__file__).parents[2] / "results/table-iv-cpu"
MINE = """
[setting]
torch = "1.8.1"

[[claim]]
id = "half"
sentence = "With half of its heads in Lo-Fi, HiLo is at least 1.2 times as fast as MSA."
source = "my notes"
mechanism = "hilo:alpha=0.5"
metric = "speed"
relation = "faster"
times = 1.2
than = "msa"
device = "cpu"

[[claim]]
id = "unknown"
sentence = "Mine is faster than MSA."
source = "my notes"
mechanism = "mine"
metric = "speed"
relation = "faster"
than = "msa"
device = "cpu"
"""


@pytest.fixture
def run(tmp_path: Path) -> Path:
    folder = tmp_path / "runs" / "run"
    folder.mkdir(parents=True)
    append(folder, block({"msa": [0.3] * 6, "hilo:alpha=0.5": [0.2] * 6}))
    return folder


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    path = tmp_path / "mine.toml"
    path.write_text(MINE, encoding="utf-8")
    return path


def judged(attnbench: Run, *arguments: str | Path) -> dict[str, dict[str, Any]]:
    found = json.loads(attnbench("claims", *arguments, "--format", "json").out)
    return {claim["id"]: claim for claim in found}


def test_every_claim_of_the_paper_gets_a_verdict_and_its_source(attnbench: Run):
    found = judged(attnbench, TABLE_IV)
    assert list(found) == [claim.id for claim in builtin()]
    assert all(claim["source"] for claim in found.values())
    for claim in found.values():
        is_testable = claim["verdict"] in ("holds", "fails", "unclear")
        assert [claim[end] is not None for end in ("value", "low", "high")] == [is_testable] * 3
        assert claim["reason"] or claim["verdict"] in ("holds", "fails")
    assert found["hilo-sra-cpu"]["low"] < found["hilo-sra-cpu"]["value"] < found["hilo-sra-cpu"]["high"]


def test_of_the_counts_that_the_paper_published_one_fails_with_its_reason(attnbench: Run):
    counts = [claim for claim in judged(attnbench, TABLE_IV).values() if claim["unit"] != "ratio"]
    (quadtree,) = (claim for claim in counts if claim["verdict"] != "holds")
    assert (quadtree["id"], quadtree["verdict"]) == ("table-iv-flops-quadtree", "fails")
    assert (quadtree["value"], quadtree["claimed"]) == (622_884_864, 613_300_000)
    assert {claim["unit"] for claim in counts} == {"parameters", "multiply-adds"}
    assert quadtree["reason"].startswith("the published count leaves out the fine level's attention")


def test_json_has_all_fields_for_every_claim(attnbench: Run, run: Path, mine: Path):
    found = judged(attnbench, run, "--claims", mine)
    assert found["half"] == {
        "id": "half",
        "sentence": "With half of its heads in Lo-Fi, HiLo is at least 1.2 times as fast as MSA.",
        "source": "my notes",
        "mechanism": "hilo:alpha=0.5",
        "metric": "speed",
        "relation": "faster",
        "than": ["msa"],
        "device": "cpu",
        "verdict": "holds",
        "value": pytest.approx(1.5),
        "low": pytest.approx(1.5),
        "high": pytest.approx(1.5),
        "claimed": 1.2,
        "unit": "ratio",
        "reason": "",
        "beside": None,
        "variant": "float32 explicit",
        "differences": [{"field": "torch", "ours": "2.13.0", "claimed": "1.8.1"}],
    }
    assert found["unknown"].keys() == found["half"].keys()


def test_the_table_ends_with_settings_and_a_count_of_verdicts(attnbench: Run, run: Path, mine: Path):
    done = attnbench("claims", run, "--claims", mine)
    assert done.status == 0
    assert done.out.splitlines()[-2:] == [
        "· setting a: torch 2.13.0, not 1.8.1",
        "2 claims: 1 hold, 0 fail, 0 unclear, 1 not testable.",
    ]


def test_claims_of_ones_own_may_name_settings_and_mechanisms_that_the_run_lacks(
    attnbench: Run, run: Path, mine: Path
):
    found = judged(attnbench, run, "--claims", mine)
    assert {name: (claim["verdict"], claim["reason"]) for name, claim in found.items()} == {
        "half": ("holds", ""),
        "unknown": ("not testable", "not measured here: mine"),
    }


def test_variants_of_ceilings_are_none_of_the_run(attnbench: Run, run: Path, mine: Path):
    append(run, [record("ceiling/copy", role=Role.ceiling, dtype="bfloat16")])
    assert "judged in" not in attnbench("claims", run, "--claims", mine).out


def test_without_a_name_the_newest_run_is_judged(attnbench: Run, run: Path):
    later = run.parent / "later"
    later.mkdir()
    append(later, block({"msa": [0.3] * 6}, started_at="2027-01-01"))
    assert attnbench("claims", "--results", run.parent).out.startswith(str(later))


@pytest.mark.parametrize("form", ["table", "json"])
def test_an_empty_run_says_nothing_of_claims(attnbench: Run, tmp_path: Path, form: str):
    (tmp_path / RECORDS).touch()
    done = attnbench("claims", tmp_path, "--format", form)
    assert (done.status, done.out) == (2, "")
    assert done.err == f"Error: The run in {tmp_path} holds no rows; nothing was measured in it.\n"


def test_a_bad_file_of_claims_is_the_users_mistake(attnbench: Run, run: Path, mine: Path):
    mine.write_text(MINE.replace("times = 1.2", "times = 'twice'"), encoding="utf-8")
    done = attnbench("claims", run, "--claims", mine)
    assert done.status == 2
    assert f"{mine}, claim 'half': times is 'twice'; it must be a number above 1." in done.err


def test_a_cut_off_line_is_said_beside_both_forms(attnbench: Run, run: Path):
    path = run / RECORDS
    path.write_text(path.read_text()[:-50])
    assert "last line was cut off" in attnbench("claims", run).out
    done = attnbench("claims", run, "--format", "json")
    assert json.loads(done.out)
    assert "last line was cut off" in done.err
