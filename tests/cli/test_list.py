"""`attnbench list`: the registry with exact costs."""

import csv
import io

from attnbench.paper import published
from tests.conftest import Run


def test_csv_holds_exact_counts_in_the_papers_order(attnbench: Run):
    done = attnbench("list", "--format", "csv")
    lines = list(csv.DictReader(io.StringIO(done.out)))
    assert [line["name"] for line in lines] == list(published())
    assert list(lines[0]) == ["name", "title", "params", "macs", "published_params_m", "published_flops_m"]
    assert lines[-1]["published_params_m"] == "2.20"
    assert lines[0] == {
        "name": "msa", "title": "MSA", "params": "2362368", "macs": "521428992",
        "published_params_m": "2.36", "published_flops_m": "521.4",
    }  # fmt: skip


def test_the_table_says_why_a_count_is_not_the_published_one(attnbench: Run):
    out = attnbench("list").out
    assert "622.9" in out
    assert "613.3" in out
    assert "QuadTree: the published count leaves out" in out


def test_a_mechanism_that_refuses_the_map_says_why(attnbench: Run):
    out = attnbench("list", "--res", "1", "--dim", "48", "--heads", "6").out
    assert "· sra: " in out
