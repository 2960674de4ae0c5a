"""One kind of machine for all blocks of a run: asked of Slurm by nodes' features, seen by each job."""

import json
import os
import secrets
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from attnbench.cluster import slurm
from attnbench.cluster.site import Site
from attnbench.cluster.slurm import NoAnswer, Node
from attnbench.errors import AttnbenchError, reading, writing
from attnbench.machine.fingerprint import Machine, differences
from attnbench.records.codec import from_row, to_row
from attnbench.records.parts import BLOCKS

NAMED = ("constraint", "nodelist")  # options that choose nodes already


class AnotherKind(AttnbenchError):  # noqa: N818 - named for what a node is
    """A node is not of the kind that its run is measured on."""


def of_one_kind(site: Site) -> Site:
    """The site whose jobs get nodes of one kind, the one with most of them where it does not say which.

    An `AttnbenchError` where Slurm knows no features that tell one kind from the others.
    """
    site = replace(site, same_machine=True)
    if any(name in site.options for name in NAMED):
        return site
    try:
        nodes = slurm.nodes(site.options.get("partition", ""))
    except NoAnswer as error:
        raise AttnbenchError(f"Slurm does not say which nodes there are: {error}.") from error
    if len(set(nodes)) < 2:
        return site
    return replace(site, options={**site.options, "constraint": _constraint(nodes)})


def _constraint(nodes: Sequence[Node]) -> str:
    """Features by which Slurm gives nodes of one kind alone, of which there are as many as can be."""
    for kind, _ in Counter(nodes).most_common():
        if {node for node in nodes if kind.features <= node.features} == {kind}:
            return "&".join(sorted(kind.features))
    kinds = "; ".join(f"{count} of {kind.words}" for kind, count in Counter(nodes).most_common())
    raise AttnbenchError(
        f"The nodes are of several kinds, {kinds}, and no features of theirs tell them apart; name those of "
        "one kind with constraint= or nodelist= in --on."
    )


def require_same(run: Path, machine: Machine, device: str) -> None:
    """Raise `AnotherKind` on another kind of machine than the first one that measured blocks of a run."""
    first = _first(run / BLOCKS / f"machine-{device}.json", machine)
    if different := differences(machine, first, device):
        told = ", ".join(f"{name} {theirs} there and {ours} here" for name, ours, theirs in different)
        raise AnotherKind(
            f"This node is another kind of machine than the one that measured first: {told}. --same-machine "
            "wants one kind; name it with constraint= or nodelist= in --on."
        )


def _first(path: Path, machine: Machine) -> Machine:
    """The machine in a file, which is this one where there is no file yet: it appears whole, and once."""
    if not path.exists():
        new = path.with_suffix(f".{secrets.token_hex(4)}")
        with writing(path, goes_on=True):
            new.write_text(json.dumps(to_row(machine)), encoding="utf-8")
            try:
                os.link(new, path)
            except FileExistsError:
                pass
            finally:
                new.unlink()
    with reading(path):
        return from_row(Machine, json.loads(path.read_text(encoding="utf-8")))
