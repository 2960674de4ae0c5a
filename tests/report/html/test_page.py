"""The page as a file: what it holds, that names in it are harmless, and that it asks no host for anything."""

import base64
import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import pytest

from attnbench.analysis.analysis import Analysis, open_runs
from attnbench.analysis.rerun import commands
from attnbench.analysis.rows import measured, rows
from attnbench.cases.case import Mode
from attnbench.records.record import Record
from attnbench.records.record_file import RECORDS, append
from attnbench.report import html
from attnbench.report.columns import COLUMNS, SPEED, THROUGHPUT, TIME, verdict
from attnbench.report.formats.long_csv import long_csv
from attnbench.report.html.data import front
from attnbench.report.html.page import page
from tests.fakes import MACHINE, MEMORY, block, record, witness
from tests.report.html.reading import Element, Page

RESULTS = Path(__file__).parents[3] / "results"
HOSTILE = "</script><img src=x onerror=alert(1)>"
TIMES = {
    "msa": [0.40, 0.41, 0.39, 0.40, 0.42],
    "hilo": [0.20, 0.21, 0.19, 0.20, 0.22],
    "sra": [0.30, 0.31, 0.29, 0.30, 0.32],
}
Kept = Callable[..., list[Analysis]]


@pytest.fixture
def kept(tmp_path: Path) -> Kept:
    """Runs of these names and records, kept in folders and opened."""

    def keep(**runs: Sequence[Record]) -> list[Analysis]:
        for name, records in runs.items():
            (tmp_path / name).mkdir(parents=True)
            append(tmp_path / name, records)
        return open_runs([tmp_path / name for name in runs])

    return keep


def test_figures_are_drawn_from_the_rows(kept: Kept):
    (run,) = runs = kept(mine=block(TIMES, memory=MEMORY, predicted_bytes=3 * 2**20))
    (setting,) = Page(page(runs)).embedded("data")["settings"]
    for row, drawn in zip(run.rows, setting["rows"], strict=True):
        assert (drawn["label"], drawn["verdict"]) == (row.record.case.label, verdict(row))
        assert (drawn["total_mib"], drawn["need_mib"]) == (1001, 3)
        estimates = {column.title: found for column in COLUMNS if (found := column.in_unit(row))}
        values = drawn["values"]
        assert {name: (it["value"], it["low"], it["high"]) for name, it in values.items()} == {
            name: (it.value, it.low, it.high) for name, it in estimates.items()
        }
        assert values["Throughput"]["published"] == (row.published and row.published.imgs_per_s("cpu"))
        assert values["Params"]["published"] == (row.published and row.published.params_m)
        assert values["Time"]["text"] == TIME.text(row)


def test_a_mechanism_keeps_its_colour_in_all_settings(kept: Kept):
    mine = {"msa": TIMES["msa"], "mine": TIMES["sra"]}
    first, second = Page(page(kept(one=block(mine), two=block(TIMES)))).embedded("data")["settings"]
    assert first["rows"][0]["ink"] == second["rows"][0]["ink"]
    assert first["rows"][1]["ink"] not in [row["ink"] for row in second["rows"]]


def test_settings_are_told_apart_by_what_differs_in_their_run(kept: Kept):
    records = [record("msa", TIMES["msa"], mode=mode, block=mode) for mode in Mode]
    settings = Page(page(kept(one=records, two=block(TIMES)))).embedded("data")["settings"]
    assert [setting["name"] for setting in settings] == ["inference", "training", "two"]
    assert settings[1]["title"] == (
        "cpu, 14×14 tokens, dim 768, 12 heads, batch 64, training, float32, explicit kernel, 2 threads"
    )
    assert len({setting["family"] for setting in settings}) == 3


def test_sizes_of_a_family_can_be_drawn_together(kept: Kept):
    records = [record("msa", TIMES["msa"], height=s, width=s, block=str(s)) for s in (7, 14)]
    settings = Page(page(kept(one=records))).embedded("data")["settings"]
    assert [(setting["size"], setting["side"]) for setting in settings] == [("7×7", 7), ("14×14", 14)]
    assert len({setting["family"] for setting in settings}) == 1


def test_the_front_has_what_no_other_beats_in_both():
    counts = {"msa": 500, "hilo": 300, "sra": 400, "same": 300}
    times = {**TIMES, "msa": [0.1] * 5, "sra": [0.1] * 5, "same": [0.25] * 5}
    records = [record(label, times[label], macs=macs) for label, macs in counts.items()]
    assert [row.record.case.label for row in front(measured(rows(records)))] == ["hilo", "sra"]


def test_names_of_others_are_text(kept: Kept):
    hostile = block({"msa": TIMES["msa"], HOSTILE: TIMES["sra"]})
    failed = record("mine", outcome="crashed", reason=HOSTILE)
    written = page(kept(mine=[*hostile, failed]))
    found = Page(written)
    assert not found.all("img")
    assert len(found.all("script")) == 4
    (setting,) = found.embedded("data")["settings"]
    assert [setting["rows"][1]["label"], setting["rows"][2]["reason"]] == [HOSTILE, HOSTILE]
    assert HOSTILE not in written


def test_embedded_json_holds_no_markup(kept: Kept):
    found = Page(page(kept(mine=block({"msa": TIMES["msa"], "<!-- & <b>": TIMES["sra"]}))))
    for script in found.all("script", type="application/json"):
        assert not re.search("[<>&]", script.text)


def test_words_with_hyphens_stay_on_one_line(kept: Kept):
    found = Page(page(kept(mine=block(TIMES))))
    assert "--format" in [it.text for it in found.all("span", **{"class": "word"})]
    assert [it.text for it in found.all("pre")] == list(commands(block(TIMES)))


def test_the_page_names_no_folder_of_whoever_made_it(kept: Kept, tmp_path: Path):
    written = page(kept(mine=block(TIMES)))
    assert Page(written).all("code")[-1].text == "attnbench report mine --format html"
    assert str(tmp_path) not in written


def test_the_page_asks_no_host_for_anything(kept: Kept):
    found = Page(page(kept(mine=block(TIMES))))
    fetching = ("src", "href", "srcset", "action", "data", "poster", "formaction", "background")
    asked = [value for it in found.elements for name, value in it.attributes.items() if name in fetching]
    assert asked == ["data:,"]
    (style,) = found.all("style")
    assert not re.search(r"url\(|@import", style.text)
    (policy,) = found.all("meta", **{"http-equiv": "Content-Security-Policy"})
    assert str(policy.attributes["content"]).startswith("default-src 'none'; ")


def test_only_the_scripts_of_the_page_may_run(kept: Kept):
    found = Page(page(kept(mine=block(TIMES))))
    (policy,) = found.all("meta", **{"http-equiv": "Content-Security-Policy"})
    scripts = [script.text for script in found.all("script") if "type" not in script.attributes]
    digests = [base64.b64encode(hashlib.sha256(it.encode()).digest()).decode() for it in scripts]
    allowed = " ".join(f"'sha256-{digest}'" for digest in digests)
    assert f"script-src {allowed};" in str(policy.attributes["content"])
    assert not any(name.startswith("on") for it in found.elements for name in it.attributes)


def test_records_and_numbers_can_be_saved_as_they_are(kept: Kept):
    runs = kept(one=block(TIMES), two=block(TIMES))
    assert Page(page(runs)).files() == {
        "results.csv": long_csv(runs).encode(),
        "one-records.jsonl": (runs[0].file.folder / RECORDS).read_bytes(),
        "two-records.jsonl": (runs[1].file.folder / RECORDS).read_bytes(),
    }
    assert list(Page(page(runs[:1])).files()) == ["results.csv", "records.jsonl"]
    namesakes = kept(**{"old/cpu": block(TIMES), "new/cpu": block(TIMES)})
    assert list(Page(page(namesakes)).files())[1:] == ["old-cpu-records.jsonl", "new-cpu-records.jsonl"]


def test_each_button_saves_what_it_names(kept: Kept):
    found = Page(page(kept(one=block(TIMES), two=block(TIMES))))
    saving = [it for it in found.all("button") if "data-save" in it.attributes]
    names = list(found.files())
    assert [(it.text, names[int(str(it.attributes["data-save"]))]) for it in saving] == [
        ("Save as CSV", "results.csv"),
        ("Save one’s records.jsonl", "one-records.jsonl"),
        ("Save two’s records.jsonl", "two-records.jsonl"),
    ]


def texts(cells: Sequence[Element]) -> list[str]:
    return [cell.text for cell in cells]


def test_the_table_has_values_intervals_and_published_numbers(kept: Kept):
    runs = kept(mine=block({label: 6 * times for label, times in TIMES.items()}, params=2_000_000))
    hilo = runs[0].rows[1]
    time, throughput, speed = (column.shown(hilo) for column in (TIME, THROUGHPUT, SPEED))
    assert time
    assert throughput
    assert speed
    assert texts(Page(page(runs)).lines[2]) == [
        *("HILO", "2.00", "2.20", "500.0", "298.3"),
        *(time.value, time.interval_text.strip()),
        *(throughput.value, throughput.interval_text.strip(), "1,029"),
        *(speed.value, speed.interval_text.strip(), "2.04", "faster"),
    ]


def test_headings_say_what_columns_mean_and_which_way_they_sort_first(kept: Kept):
    found = Page(page(kept(mine=block(TIMES))))
    heads = dict(zip(texts(found.lines[0]), found.lines[0], strict=True))
    buttons = {it.text: it.attributes["title"] for it in found.all("button") if "title" in it.attributes}
    assert buttons["Throughputimg/s"] == THROUGHPUT.meaning
    assert heads["Throughputimg/s"].attributes["data-first"] == "descending"
    assert heads["Timems"].attributes["data-first"] == "ascending"
    assert "paper" in heads


def test_cells_sort_by_exact_values_and_missing_ones_by_none(kept: Kept):
    runs = kept(mine=[*block(TIMES), record("van", outcome="crashed", reason="it fell over")])
    *_, sra, van = Page(page(runs)).lines
    assert sra[5].attributes["data-sort"] == repr(0.3 * 1e3)
    assert van[5].attributes == {"class": "number nothing"}
    assert van[5].text == "—"


def test_best_and_second_are_marked_in_their_own_setting(kept: Kept):
    runs = kept(one=block(TIMES), two=block({"msa": TIMES["hilo"], "sra": TIMES["msa"]}))
    found = Page(page(runs))
    best, second = found.all("span", **{"class": "best"}), found.all("span", **{"class": "second"})
    assert [it.text for it in best] == ["200", "320", "2.00", "200", "320", "1.00"]
    assert len(second) == 3  # where there are only two, none is second
    assert [it.attributes["data-run"] for it in found.all("tr", **{"class": "first"})] == ["one", "two"]


def test_a_row_without_a_time_says_what_became_of_it(kept: Kept):
    runs = kept(mine=[*block(TIMES), record("van", outcome="out_of_memory", reason="it needs 14 GiB")])
    verdict_cell = Page(page(runs)).lines[-1][-1]
    assert verdict_cell.text == "out of memoryit needs 14 GiB"


def test_only_settings_that_differ_are_columns_and_filters(kept: Kept):
    records = [record("msa", TIMES["msa"], mode=mode, block=mode) for mode in Mode]
    alone = Page(page(kept(mine=block(TIMES))))
    assert not alone.all("select", **{"data-facet": "mode"})
    found = Page(page(kept(one=records, two=records)))
    assert texts(found.lines[0])[:3] == ["Mechanism", "Run", "Mode"]
    assert [(it.attributes["value"], it.text) for it in found.all("option")] == [
        *(("", "all"), ("one", "one"), ("two", "two")),
        *(("", "all"), ("inference", "inference"), ("training", "training")),
    ]
    assert [it.attributes["data-mode"] for it in found.all("tr", **{"data-run": "two"})] == list(Mode)


def test_unseen_digits_keep_decimal_points_under_each_other(kept: Kept):
    runs = kept(mine=block({"msa": [0.4] * 4, "hilo": [0.02] * 4}))
    pads = [it.text for it in Page(page(runs)).all("i", **{"class": "pad"})]
    assert [TIME.text(row) for row in runs[0].rows] == ["~400", "20.0"]
    assert ".0" in pads


def test_facts_are_said_once_for_all_runs_of_which_they_are_true(kept: Kept):
    other = replace(MACHINE, cpu="Difference Engine")
    found = Page(page(kept(one=block(TIMES), two=block(TIMES), three=block(TIMES, machine=other))))
    said = [it.text for it in found.all("dd")][:4]
    assert [line.split(" (")[0] for line in said[:2]] == ["Abacus", "Difference Engine"]
    assert (
        said[2]
        == "cpu; 14×14 tokens; dim 768, 12 heads; batch 64; inference; float32, explicit kernel; 2 threads"
    )
    assert said[3].startswith("3 sessions of at least 5 rounds, until intervals are within ±2 %")


def test_notes_disturbances_and_commands_of_each_run_are_there(kept: Kept):
    noisy = block({"msa": TIMES["msa"]}, witnesses=(witness(steal_s=80.0),))
    one, two = kept(one=block(TIMES), two=noisy)
    found = Page(page([replace(one, file=replace(one.file, warnings=("A line was cut off.",))), two]))
    notes = [it.text for it in found.all("li")]
    assert "A line was cut off." in notes
    assert any(note.startswith("One session only") for note in notes)
    assert any("other virtual machines" in note for note in notes)
    assert [it.text for it in found.all("pre")] == [
        *commands(block(TIMES)),
        *commands(noisy),
    ]
    assert len(found.all("dl", **{"class": "facts"})) == 3  # of all, and of each
    assert len(Page(page([one])).all("dl", **{"class": "facts"})) == 1


def test_the_library_is_the_one_that_its_note_names():
    vendor = files(html) / "vendor"
    digest = hashlib.sha256((vendor / "plotly-basic.min.js").read_bytes()).hexdigest()
    assert f"`{digest}`" in (vendor / "README.md").read_text(encoding="utf-8")


def test_a_run_of_the_usual_size_makes_a_page_of_few_bytes():
    written = page(open_runs([RESULTS / "table-iv-cpu"]))
    assert len(written.encode()) < 1_400_000
