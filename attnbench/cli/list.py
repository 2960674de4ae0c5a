"""`attnbench list`: the registry, or choices of it, with what each costs."""

from attnbench.cli.options import Dim, Form, Format, Heads, Mechanisms, Plugins, Size, split
from attnbench.cli.table_options import RegistryColumns
from attnbench.errors import AttnbenchError

EXAMPLES = {
    "the layers of the paper's table at its size": "attnbench list",
    "all that there are": "attnbench list @all",
    "every digit of what alpha does to HiLo, branch by branch": "attnbench list hilo:alpha=0..1/0.1",
    "two layers as they stand in a larger model": "attnbench list hilo msa --res 56 --dim 96 --heads 3",
    "your own layer beside the others": "attnbench list --plugin my_attention.py",
    "models whose slots are filled": "attnbench list 'litv2-*' litv2-s/sra vit-b16/hilo",
    "a few columns, by their names in CSV": "attnbench list @all --columns family,year,params,macs",
    "for a program": "attnbench list --format json | python -m json.tool",
}


def list_mechanisms(
    mechanisms: Mechanisms = None,
    size: Size = None,
    dim: Dim = 768,
    heads: Heads = 12,
    plugins: Plugins = None,
    columns: RegistryColumns = None,
    form: Form = Format.table,
) -> None:
    """Show mechanisms with their parameters and FLOPs, the published ones beside them.

    Without a name they are Table IV's and your own, with settings and papers. Mechanisms that are named, a
    sweep such as hilo:alpha=0..1/0.1 or a set such as @linear among them, are shown with exact counts and
    those of their branches. Published counts stand beside those of 14×14 tokens, 768 channels and 12 heads,
    the defaults.
    """
    from attnbench.cases.places import opened
    from attnbench.cases.sweep import read_size
    from attnbench.cli.geometry_options import USUAL_IMAGE, USUAL_SIZE
    from attnbench.cli.output import output
    from attnbench.measuring.catalogue import chosen, entries
    from attnbench.mechanism import Geometry
    from attnbench.report.export import registry_csv
    from attnbench.report.notes import registry_notes
    from attnbench.report.objects import registry_json
    from attnbench.report.terminal.costs import asked_table, choices_table
    from attnbench.report.terminal.table import registry_table

    if columns and form is Format.json:
        raise AttnbenchError(
            "--columns is for tables and csv, not for json, whose one schema has all columns."
        )
    asked = split(columns)
    there = opened(mechanisms, plugins)
    registry = there.registry
    geometry = Geometry(dim, heads, *read_size(size or USUAL_SIZE))
    image = Geometry.image(*read_size(size or USUAL_IMAGE))
    catalogue = entries(chosen(registry, there.words), geometry, image, registry.builtin)
    here = output(form)
    match form:
        case Format.table if asked:
            here.out.print(asked_table(catalogue, asked))
        case Format.table:
            here.out.print(choices_table(catalogue) if mechanisms else registry_table(catalogue))
        case Format.csv:
            here.data(registry_csv(catalogue, asked))
        case Format.json:
            here.data(registry_json(catalogue, geometry, image))
    here.note([*registry_notes(catalogue), *registry.problems])
