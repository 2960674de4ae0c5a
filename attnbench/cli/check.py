"""`attnbench check`: the contract, put to mechanisms, models, or files of them."""

from typing import Annotated

import typer
from rich.markup import escape

from attnbench.cli.completion import mechanisms
from attnbench.cli.given import require_sensible
from attnbench.cli.help import argument
from attnbench.cli.options import Dim, Heads, Plugins, list_of_sizes, split

EXAMPLES = {
    "every mechanism in a file of your own": "attnbench check my_attention.py",
    "a built-in, with other settings, at sizes that do not divide": (
        "attnbench check hilo:alpha=0.5,window=4 --res 7,13x9"
    ),
    "two of them": "attnbench check hilo van",
    "a model with a mechanism in its slots": "attnbench check litv2-s/hilo --res 64",
    "one of a plugin, at the width of your model": (
        "attnbench check linear --plugin my_attention.py --dim 96 --heads 3"
    ),
}


def check(
    subjects: Annotated[
        list[str],
        argument(
            "NAME|FILE...",
            about="Mechanisms, sets such as @linear, Python files of them, or package.module:Class.",
            autocompletion=mechanisms,
            callback=None,  # a file may have any name
        ),
    ],
    sizes: Annotated[list[str] | None, list_of_sizes("eight, from 1x1 to 14x56")] = None,
    dim: Dim = 48,
    heads: Heads = 6,
    plugins: Plugins = None,
) -> None:
    """Check that mechanisms, or models, keep the contract, at plain and at odd sizes; say what fails, why.

    The questions, at every size: does it map tokens to tokens, keep images of a batch apart, pass gradients,
    repeat itself, answer alike in inference mode, follow the seed, move with its module, move to bfloat16,
    agree under every kernel, and cost what its closed form says? A size that it refuses breaks nothing. Exit
    status 1 says that something is broken.
    """
    from attnbench.cases.places import is_place, opened
    from attnbench.cases.sweep import read_size
    from attnbench.cli.output import output
    from attnbench.measuring.catalogue import words_of
    from attnbench.measuring.contract import IMAGE_SIZES, SIZES, examine
    from attnbench.mechanism import Geometry
    from attnbench.report.notes import contract_notes
    from attnbench.report.terminal.table import contract_table

    asked = [read_size(size) for size in split(sizes)]
    for subject in subjects:
        if not is_place(subject):
            require_sensible("NAME", subject)
    there = opened(subjects, plugins)
    registry = there.registry
    words = list(dict.fromkeys(word for text in there.words for word in words_of(registry, text)))
    here = output()
    broken = False
    for text in words:
        choice = registry.choose(text)
        if choice.mechanism.is_model:
            geometries = [Geometry.image(*size) for size in asked or IMAGE_SIZES]
        else:
            geometries = [Geometry(dim, heads, *size) for size in asked or SIZES]
        results = list(examine(choice, geometries))
        broken |= any(result.passed is False for result in results)
        of = "" if choice.mechanism.is_model else f", dim {dim}, {heads} heads"
        here.out.print(f"[bold]{escape(text)}[/]{of}")
        here.out.print(contract_table(results))
        here.note(contract_notes(results))
    here.out.print("The contract is broken." if broken else "The contract is kept.")
    raise typer.Exit(1 if broken else 0)
