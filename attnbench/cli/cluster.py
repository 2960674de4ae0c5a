"""`attnbench run --on`: submit what is left, show how far it is, collect the rows. No torch."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, sleep

import typer
from rich.live import Live

from attnbench.analysis.analysis import Analysis
from attnbench.analysis.rows import rows
from attnbench.cases.request import Request
from attnbench.cli.asked import Asked, Job, requests
from attnbench.cli.output import Output
from attnbench.cli.show import print_matrices
from attnbench.cluster.kind import of_one_kind
from attnbench.cluster.site import Site, read_site
from attnbench.cluster.slurm import NoAnswer
from attnbench.cluster.standing import PATIENCE_S, Phase, Standing, cancel, in_words, settle, standings
from attnbench.cluster.submission import submit
from attnbench.errors import AttnbenchError
from attnbench.records import folder
from attnbench.records.parts import Part, forget, part_of, parts
from attnbench.records.record_file import read
from attnbench.report.export import write_table
from attnbench.words import duration, plural

ENDED_EARLY = 4  # the exit status that the overview promises


@dataclass(frozen=True, slots=True)
class Order:
    """What is asked of a cluster: blocks, where they are measured, and how many at once."""

    requests: Sequence[Request]
    site: Site
    path: Path
    command: Sequence[str]
    at_most: int | None = None


def run_on_cluster(
    here: Output,
    asked: Asked,
    devices: list[str],
    job: Job,
    path: Path,
    command: list[str],
    *,
    fresh: bool,
) -> None:
    """Have jobs measure it, and wait for them if that is asked; no torch is imported."""
    site = read_site(job.on)
    if job.cancel:
        end_jobs(here, path)
        return
    if job.same_machine:
        site = of_one_kind(site)
        if constraint := site.options.get("constraint"):
            here.tell(f"The jobs ask for nodes of one kind: {constraint}.")
    blocks = requests(asked, devices or [site.device], job.at_most)
    here.note(asked.maps.remarks([block.workload.geometry for block in blocks]))
    wanted = Order(blocks, site, path, command, job.at_most)
    mine = order(here, wanted, fresh=fresh)
    come_back = f"the same command, or `attnbench collect {path}`, comes back; --cancel ends them."
    if job.detach:
        here.tell(f"Not waited for: {come_back}")
        return
    try:
        found = watch(here, path, mine, site.poll_s)
    except KeyboardInterrupt:
        here.tell(f"Interrupted, and the jobs go on: {come_back}")
        raise typer.Exit(130) from None
    if not finish(here, path, mine, found):
        here.tell("What is left is submitted again by the same command.")
        raise typer.Exit(ENDED_EARLY)


def order(output: Output, wanted: Order, *, fresh: bool) -> list[Part]:
    """Submit a job for each block that is left, once, and say so; return the blocks of the command."""
    path = wanted.path
    with folder.held(path, patience_s=PATIENCE_S):
        if fresh:
            _start_over(output, path)
        folder.save_plan(path, wanted.command)
        folder.salt(path)
        asked = {part_of(path, request): request for request in wanted.requests}
        for part, request in asked.items():
            part.ask(request)
        mine = list(asked)
        before = settle(path, _answered(path, mine))
        left = [each.part for each in before if each.phase in (Phase.new, Phase.lost, Phase.refused)]
        for part in left:
            part.begin_again()
        threads = max((request.threads or 0 for request in wanted.requests), default=0) or None
        made = submit(path, left, wanted.site, threads=threads, at_most=wanted.at_most)
    there = len(mine) - len(left)
    if made:
        jobs = ", ".join(one.job for one in made)
        first = f", and counted in partition {wanted.site.counts} before" if wanted.site.counts else ""
        output.tell(f"Submitted {plural(len(left), 'block')} of {len(mine)} as job {jobs} of Slurm's{first}.")
    if there:
        output.tell(f"Already in {path} or on their way: {plural(there, 'block')}.")
    return mine


def _start_over(output: Output, path: Path) -> None:
    """Put aside what there is of a run, and end its jobs."""
    cancel(path)
    forget(path)
    if aside := folder.start_over(path):
        output.tell(f"Starting over; the earlier rows are in {aside}.")


def watch(output: Output, path: Path, mine: Sequence[Part], poll_s: float) -> list[Standing]:
    """Wait until no job is left, and show how far they are meanwhile."""
    began = monotonic()
    found: list[Standing] = []
    told = ""
    noted: set[Standing] = set()
    with Live(console=output.out, transient=True, auto_refresh=False) as live:
        while True:
            now = standings_or_none(path, mine)
            if now is None:
                told = ""
                live.update("Slurm does not answer; waiting …", refresh=output.out.is_interactive)
            else:
                found = now
                noted |= note_ends(path, [each for each in found if each not in noted])
                if (line := progress(found)) != told:
                    told = line
                    _say(output, live, line, monotonic() - began)
            if found and not any(each.phase in (Phase.waiting, Phase.running) for each in found):
                return found
            sleep(poll_s)


def note_ends(path: Path, found: Sequence[Standing]) -> set[Standing]:
    """Note how jobs ended that did not finish their blocks, for Slurm forgets it in minutes; those blocks."""
    lost = {each for each in found if each.phase is Phase.lost}
    if lost:
        with folder.held(path, patience_s=PATIENCE_S):
            settle(path, lost)
    return lost


def standings_or_none(path: Path, mine: Sequence[Part]) -> list[Standing] | None:
    """How far blocks are; None while Slurm does not say."""
    try:
        return standings(path, mine)
    except NoAnswer:
        return None


def finish(output: Output, path: Path, mine: Sequence[Part], found: Sequence[Standing]) -> bool:
    """Collect what is finished and show the rows; whether that is all. What was refused is a mistake."""
    with folder.held(path, patience_s=PATIENCE_S):
        found = settle(path, found)
        file = read(path)
        analysis = Analysis(path.name, file, rows(file.records))
        csv = write_table(analysis.rows, path)
        whole = all(part.is_collected for part in mine)
        if whole:
            folder.forget_plan(path)
    if analysis.rows:
        print_matrices(output, analysis)
        output.tell(f"{plural(len(analysis.rows), 'row')} in {path}/records.jsonl and {csv}.")
    for line in what_became_of_the_rest(found):
        output.tell(line)
    refused = next((each.part.refusal for each in found if each.phase is Phase.refused), "")
    if refused:
        raise AttnbenchError(refused)
    return whole


def what_became_of_the_rest(found: Sequence[Standing]) -> list[str]:
    """A line for each block whose job ended early, and why."""
    return [
        f"{each.part.request.name}: its job ended early: {in_words(each.part.ends[-1])}."
        for each in found
        if each.phase is Phase.lost and each.part.ends
    ]


def end_jobs(output: Output, path: Path) -> None:
    """End all jobs of a run, and say what is kept."""
    if not parts(path):
        raise AttnbenchError(f"No jobs were submitted for {path}; there is nothing to cancel.")
    cancel(path)
    output.tell(f"The jobs of {path} are cancelled. What they measured is kept; the same command goes on.")


def progress(found: Sequence[Standing]) -> str:
    """`12 blocks: 5 waiting (Resources), 2 running, 5 done`."""
    counts = Counter(each.phase for each in found)
    why = Counter(
        each.state.reason
        for each in found
        if each.phase is Phase.waiting and each.state and each.state.reason
    )
    reason = f" ({why.most_common(1)[0][0]})" if why else ""
    of = {Phase.waiting: reason}
    words = [f"{counts[phase]} {phase}{of.get(phase, '')}" for phase in Phase if counts[phase]]
    return f"{plural(len(found), 'block')}: {', '.join(words)}"


def _answered(path: Path, mine: Sequence[Part]) -> list[Standing]:
    """How far blocks are; where Slurm does not say, nothing may be submitted."""
    try:
        return standings(path, mine)
    except NoAnswer as error:
        raise AttnbenchError(f"Slurm does not answer: {error}. Try again when it does.") from error


def _say(output: Output, live: Live, line: str, gone_s: float) -> None:
    if output.out.is_interactive:
        live.update(f"{line}, {duration(gone_s)} gone", refresh=True)
    else:
        output.tell(f"{line}.")
