"""READMEs hold: commands run, tables are what is printed, links lead somewhere, the example is a plugin."""

import json
import re
import shlex
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from attnbench.cases.case import Block
from attnbench.cases.protocol import QUICK
from attnbench.cases.registry import discover
from attnbench.cli import cluster, session
from attnbench.cluster import standing
from attnbench.machine import devices, system
from attnbench.measuring import profile, spectrum
from attnbench.paper import published
from attnbench.records.record_file import RECORDS
from attnbench.report.columns import ALL_COLUMNS, COLUMNS
from attnbench.run import runner
from attnbench.run.plan import Setup
from tests.conftest import Run
from tests.fakes import changed
from tests.plain.__main__ import main as print_ratios
from tests.shards import Workers

ROOT = Path(__file__).parents[1]
README, RESULTS, HARNESS, MECHANISMS = DOCUMENTS = [
    ROOT / folder / "README.md" for folder in (".", "results", "attnbench", "mechanisms")
]
TEXTS = {document: document.read_text(encoding="utf-8") for document in DOCUMENTS}
FENCED = re.compile(r"^```(\w*)\n(.*?)^```$", flags=re.DOTALL | re.MULTILINE)
LINK = re.compile(r"\]\(([^)]+)\)")
INTERVAL = re.compile(r"\d[\d.]* \[[^\]]+\]")


def readable(text: str) -> str:
    """A text without its line breaks."""
    return " ".join(text.split())


def commands_in(text: str) -> list[str]:
    """Commands of attnbench, in blocks without a language and between backticks, one by one."""
    blocks = "\n".join(content for language, content in FENCED.findall(text) if not language)
    lines = blocks.replace("\\\n", " ").splitlines() + re.findall(
        r"`(attnbench [^`]+)`", FENCED.sub("", text)
    )
    steps = [step.strip() for line in lines for step in re.split(r"&&|\|", readable(line))]
    return [step for step in steps if step.startswith("attnbench ")]


def table(document: Path, heading: str) -> list[list[str]]:
    """The cells of the table whose heading begins with this, a list a line."""
    lines = iter(TEXTS[document].splitlines())
    assert any(line.startswith(f"| {heading} |") for line in lines)
    next(lines)
    cells = []
    while (line := next(lines, "")).startswith("|"):
        cells.append([cell.strip() for cell in line.strip("|").split("|")])
    return cells


def anchors(document: Path) -> set[str]:
    """What code hosts call the headings of a document in links."""
    headings = re.findall(r"^#+ (.+)$", FENCED.sub("", document.read_text(encoding="utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


COMMANDS = list(dict.fromkeys(command for text in TEXTS.values() for command in commands_in(text)))
PRINTED = [
    (document, command)
    for document, text in TEXTS.items()
    for command in commands_in(text)
    if re.fullmatch(r"attnbench report( results/\S+)+ --format markdown( +--columns .*)?", command)
]
LINKS = [
    (document, target)
    for document, text in TEXTS.items()
    for target in dict.fromkeys(LINK.findall(FENCED.sub("", text)))
    if "://" not in target
]
(EXAMPLE,) = re.findall(r"^```python\n(.*?)^```", TEXTS[README], flags=re.DOTALL | re.MULTILINE)
KEPT = ROOT / "results" / "table-iv-cpu"


@pytest.fixture
def example(tmp_path: Path) -> Path:
    path = tmp_path / "my_attention.py"
    path.write_text(EXAMPLE, encoding="utf-8")
    return path


def test_the_example_keeps_the_contract(attnbench: Run, example: Path):
    done = attnbench("check", example, "--res", "14,3x2")
    assert done.status == 0
    assert "The contract is kept." in done.out


@pytest.mark.usefixtures("workers_in_process", "figures_unencoded")
def test_the_example_is_listed_run_and_compared(attnbench: Run, example: Path, tmp_path: Path):
    listed = attnbench("list", "--plugin", example, "--format", "csv").out.splitlines()
    assert listed[-1].startswith("linear,linear,Linear,,,,,2362368,,481689600,,")

    folder = tmp_path / "run"
    size = ("--res", "2", "--batch", "2", "--dim", "48", "--heads", "6", "--device", "cpu")
    effort = ("--quick", "--precision", "50%", "--threads", "1", "--max-seconds", "40")
    done = attnbench("run", example, "msa", *effort, *size, "--out", folder)
    assert done.status == 0, done.err
    assert re.search(r"│ Linear +│ +9\.4 ", done.out)

    compared = attnbench("compare", folder, "--plot")
    assert re.search(r"│ Linear +│.*\d \[", compared.out)
    assert (folder / "throughput.png").exists()


def _measure_later(path: Path) -> None:
    """The newest run is what commands without a run's name read; a reader has just made one of Table IV."""
    kept = path.read_text(encoding="utf-8")
    path.write_text(re.sub(r'("started_at": ?")\d+', r"\g<1>2999", kept), encoding="utf-8")


@pytest.fixture(scope="module")
def readers_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The repository as a reader of README has it, with the example's code, of now and of before."""
    folder = tmp_path_factory.mktemp("reader")
    shutil.copytree(ROOT / "results", folder / "results")
    _measure_later(folder / "results" / "table-iv-cpu" / RECORDS)
    for name in ("attnbench", "tests"):
        (folder / name).symlink_to(ROOT / name)
    for name in ("my_attention.py", "old/my_attention.py", "new/my_attention.py"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(EXAMPLE, encoding="utf-8")
    return folder


def test_the_harnesss_python_example_prints_the_kept_run_and_draws_some_of_it(
    readers_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    (code,) = (content for language, content in FENCED.findall(TEXTS[HARNESS]) if language == "python")
    monkeypatch.chdir(readers_folder)
    found: dict[str, Any] = {}
    exec(code, found)
    assert re.search(r"\bhilo +0\.306\d+ +298296320 +1\.626\d", capsys.readouterr().out)
    assert "Ours" in [label.get_text() for label in found["figure"].axes[0].get_yticklabels()]
    assert b"/MediaBox [ 0 0 234 " in (readers_folder / "ratios.pdf").read_bytes()


@pytest.fixture
def nothing_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    """`attnbench run` reads its options, plans its blocks, and finds that a kept run has them already.

    `doctor` has workers of no work, and `profile` and `spectrum` a few calls on an image, and maps.
    """

    def already_measured(
        screen: Console, blocks: Sequence[Block], setup: Setup, path: Path, command: object, *, fresh: bool
    ) -> int:
        assert all(block.members for block in blocks)
        path.mkdir(parents=True, exist_ok=True)
        shutil.copy(KEPT / RECORDS, path)
        return session.DONE

    monkeypatch.setattr(session, "carry_out", already_measured)
    monkeypatch.setattr(cluster, "run_on_cluster", lambda *_, **__: None)
    monkeypatch.setattr(standing, "collected", lambda run: (0, []))
    monkeypatch.setattr(devices, "require", lambda device: None)
    monkeypatch.setattr(runner, "facts_of_worker", Workers())
    monkeypatch.setattr(system, "physical_cores", lambda: 1)
    monkeypatch.setattr(profile, "PROFILED_S", 0)
    monkeypatch.setattr(profile, "LEAST_CALLS", profile.TURNS)
    monkeypatch.setattr(profile, "WARMUP", replace(QUICK, least_warmup_s=0, most_warmup_s=0))
    profiled, survey = profile.profile, spectrum.survey
    monkeypatch.setattr(
        profile, "profile", lambda registry, case, **how: profiled(registry, changed(case, batch=1), **how)
    )
    monkeypatch.setattr(
        spectrum, "survey", lambda *what, images, **how: survey(*what, images=min(images, 2), **how)
    )


@pytest.mark.slow
@pytest.mark.usefixtures("nothing_is_measured", "figures_unencoded")
@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_runs(
    attnbench: Run, readers_folder: Path, monkeypatch: pytest.MonkeyPatch, command: str
):
    monkeypatch.chdir(readers_folder)
    done = attnbench(*shlex.split(command)[1:])
    assert done.status == 0, done.err


def test_the_readmes_show_a_command_for_every_task():
    assert {shlex.split(command)[1] for command in COMMANDS} >= {
        *(
            "list",
            "flops",
            "run",
            "compare",
            "report",
            "claims",
            "check",
            "profile",
            "spectrum",
            "doctor",
            "collect",
        )
    }


def name_of(value: object) -> str:
    """A document's path in the repository, for a test's name."""
    return value.relative_to(ROOT).as_posix() if isinstance(value, Path) else str(value)


@pytest.mark.parametrize(("document", "target"), LINKS, ids=name_of)
def test_every_link_leads_somewhere(document: Path, target: str):
    path, _, anchor = target.partition("#")
    there = (document.parent / path).resolve() if path else document
    assert there.is_relative_to(ROOT)
    assert there.exists()
    assert not anchor or anchor in anchors(there)


def test_each_folder_is_reached_from_the_front_page():
    reached = {(README.parent / target.partition("#")[0]).resolve() for at, target in LINKS if at == README}
    assert reached >= {RESULTS, HARNESS, MECHANISMS}


@pytest.mark.parametrize(("document", "command"), PRINTED, ids=name_of)
def test_the_first_table_is_what_its_command_prints(
    attnbench: Run, monkeypatch: pytest.MonkeyPatch, document: Path, command: str
):
    monkeypatch.chdir(ROOT)
    first, *_ = attnbench(*shlex.split(command)[1:]).out.split("\n\n| ")
    assert first.strip() in TEXTS[document]


def test_tables_of_two_runs_are_shown():
    assert [document for document, _ in PRINTED] == [README, RESULTS]


@pytest.mark.slow
@pytest.mark.usefixtures("figures_unencoded")
def test_intervals_in_the_prose_are_those_of_kept_runs(attnbench: Run, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("COLUMNS", "300")
    runs = [f"attnbench compare {path.parent}" for path in Path("results").glob(f"*/{RECORDS}")]
    shown = [command for command in COMMANDS if re.match(r"attnbench (compare|claims) results/", command)]
    commands = dict.fromkeys(command.removesuffix(" --plot") for command in [*runs, *shown])
    arguments = [shlex.split(command)[1:] for command in commands]
    printed = "\n".join(attnbench(*words).out for words in arguments)
    lines = (TEXTS[README] + TEXTS[RESULTS]).splitlines()
    found = INTERVAL.findall(readable("\n".join(line for line in lines if not line.startswith("|"))))
    assert found
    assert [interval for interval in found if interval not in printed] == []


def test_claims_are_counted_as_the_command_counts_them(attnbench: Run):
    assert attnbench("claims", KEPT).out.splitlines()[-1] in readable(TEXTS[RESULTS])


def test_columns_mean_what_they_mean_everywhere():
    shown = table(HARNESS, "column")
    defined = [[column.title, column.unit, column.meaning] for column in COLUMNS]
    assert shown[: len(defined)] == defined
    assert [name for name, *_ in shown[len(defined) :]] == ["verdict", "paper"]


def test_each_column_of_table_csv_has_its_name_unit_and_meaning():
    defined = []
    for column in ALL_COLUMNS:
        names = [column.name, *(name.removeprefix(column.name) for name in column.names[1:])]
        defined.append([" ".join(f"`{name}`" for name in names), column.base_unit, column.meaning])
    assert table(HARNESS, "name") == defined


def test_every_field_of_a_kept_record_is_explained():
    lines = [line for path in ROOT.glob(f"results/*/{RECORDS}") for line in path.read_text().splitlines()]
    kept = {field for line in lines for field in json.loads(line)}
    told = {field for fields, _ in table(HARNESS, "fields") for field in re.findall(r"`(\w+)`", fields)}
    sparse = {"backends", "energies", "unchecked", "reference", "put_right", "batch_note"}
    sparse |= {"images", "mixing", "node", "allocation"}
    assert told - sparse == kept - sparse


def test_the_map_has_every_room_of_the_package():
    rooms = {path.parent.name for path in HARNESS.parent.glob("*/__init__.py")}
    assert {room for cell, *_ in table(HARNESS, "room") for room in re.findall(r"\((\w+)\)", cell)} == rooms


def test_every_kept_run_is_listed_with_its_machine():
    listed = {LINK.findall(run)[0]: where.partition(",")[0] for run, where, *_ in table(RESULTS, "run")}
    kept = {path.name: "none" for path in RESULTS.parent.iterdir() if path.is_dir()}
    for path in RESULTS.parent.glob(f"*/{RECORDS}"):
        last = json.loads(path.read_text().splitlines()[-1])
        kept[path.parent.name] = last["machine"]["gpu" if last["device"] == "cuda" else "cpu"]
    assert listed == {name: title.removesuffix(" Processor") for name, title in kept.items()}


def test_layers_are_those_of_the_registry():
    expected = []
    for name, found in discover().items():
        file = found.build.__module__.rpartition(".")[2]
        settings = ", ".join(f"{key}={value}" for key, value in found.settings.items())
        assert found.paper
        source = f"[{found.paper.title}]({found.paper.url}), {found.paper.venue} {found.paper.year}"
        expected.append([f"[`{name}`]({file}.py)", found.title, settings, source])
    of_the_table, newer = table(MECHANISMS, "word"), table(MECHANISMS, "newer")
    assert sorted(
        [word, title, settings.strip("`"), source]
        for word, title, _, settings, source in [*of_the_table, *newer]
    ) == (sorted(expected))
    assert [title for _, title, *_ in of_the_table] == [row.title for row in published().values()]


def test_ratios_to_plain_forms_are_what_their_command_prints(capsys: pytest.CaptureFixture[str]):
    assert "`python -m tests.plain results/against-plain-cpu`" in readable(TEXTS[MECHANISMS])
    print_ratios(ROOT / "results" / "against-plain-cpu")
    *lines, means = capsys.readouterr().out.splitlines()
    ratio = r"(\S+ \[\S+ \S+) (\S+)"
    line = re.compile(rf"(\S+) +explicit {ratio} +fused +{ratio} +plain (\S+), at the limit (\S+)")
    expected = []
    for found in map(line.fullmatch, lines):
        assert found
        name, explicit, of_limit, fused, of_limit_fused, plain, most = found.groups()
        expected.append([name, explicit, fused, max(of_limit, of_limit_fused), plain, most])
    assert [cells[:-1] for cells in table(MECHANISMS, "mechanism")] == expected
    best, most = re.findall(r"\d+\.\d+", means)
    assert f"The geometric mean of the best is {best}." in TEXTS[MECHANISMS]
    assert f"{most} in the mean" in readable(TEXTS[MECHANISMS])


@pytest.mark.parametrize(
    "run",
    ["fourteen-plain-cpu", "fourteen-plain-busy-cpu", "against-plain-xeon-cpu", "litv2-fillings-plain-cpu"],
)
def test_ratios_to_plain_forms_on_the_other_cpu_are_what_the_command_prints_of_a_run(
    run: str, capsys: pytest.CaptureFixture[str]
):
    paragraph = readable(
        TEXTS[MECHANISMS].partition("On the Xeon with AVX-512, batch 8")[2].partition("## ")[0]
    )
    said = next(part for part in re.split(r"(?<=\w)\. |Of those since", paragraph) if run in part)
    print_ratios(ROOT / "results" / run)
    printed = set(INTERVAL.findall(capsys.readouterr().out))
    assert INTERVAL.findall(said)
    assert set(INTERVAL.findall(said)) <= printed
