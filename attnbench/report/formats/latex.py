"""LaTeX: a booktabs table in Table IV's shape for each setting, to be read into a paper with `\\input`."""

import re
from collections.abc import Iterable, Sequence

from attnbench.analysis.analysis import Analysis
from attnbench.analysis.rows import Row
from attnbench.report.caption import caption, sentence
from attnbench.report.column import IMPOSSIBLE, LOWER_BOUND, OPEN, Standing
from attnbench.report.columns import SPEED
from attnbench.report.formats.tex import escape, foreign, number, reach
from attnbench.report.paper_table import Field, PaperTable, paper_tables
from attnbench.report.table_style import STYLE, TableStyle
from attnbench.report.text_column import TextColumn
from attnbench.words import NOTHING, plural

STYLES = {Standing.best: "\\mathbf{{{}}}", Standing.second: "\\underline{{{}}}", None: "{}"}
MARKS = {IMPOSSIBLE: "{!}\\,", OPEN: "{\\sim}", LOWER_BOUND: "{\\geq}\\,", "": ""}
LEGEND = "Bold = best, underlined = second best of a column; {}."
NEEDS = "% Needs \\usepackage{booktabs}.\n"
UNKNOWN = "%% pdflatex cannot set %s; xelatex and lualatex can, with a font that has it.\n"
DOCUMENT = """\
\\documentclass{article}
\\usepackage[a4paper, %smargin=2cm]{geometry}
\\usepackage{booktabs}
\\pagestyle{empty}
\\begin{document}
%s\\end{document}
"""
TABLE = """\
%s\\begin{%s}
  \\centering
  \\footnotesize
  \\setlength{\\tabcolsep}{%s}
  \\renewcommand{\\arraystretch}{1.3}
  \\setlength{\\belowcaptionskip}{6pt}
  \\caption{%s}
  \\label{%s}
  \\begin{tabular}{%s}
    \\toprule
%s    \\midrule
%s    \\bottomrule
  \\end{tabular}
\\end{%s}
"""


def latex(runs: Sequence[Analysis], style: TableStyle = STYLE) -> str:
    """Tables to `\\input`; best values are bold, second best underlined."""
    tables = _tables(paper_tables(runs, style), runs)
    return f"{NEEDS}{_warning(tables)}{tables}"


def document(runs: Sequence[Analysis], style: TableStyle = STYLE) -> str:
    """A document that holds the tables and nothing else."""
    found = paper_tables(runs, style)
    wide = any(len(paper_table.groups) > 1 for paper_table in found)
    tables = _tables(found, runs)
    return _warning(tables) + DOCUMENT % ("landscape, " * wide, tables)


def _tables(found: Sequence[PaperTable], runs: Sequence[Analysis]) -> str:
    several = len(found) > 1
    return "\n".join(_table(each, _label(runs, each if several else None)) for each in found)


def _warning(tables: str) -> str:
    """What a reader must know of characters that pdflatex has not."""
    unknown = foreign(tables)
    return UNKNOWN % " ".join(unknown) if unknown else ""


def _table(paper_table: PaperTable, label: str) -> str:
    fields, style = paper_table.all_fields, paper_table.style
    titles = ["Mechanism", *(_heading(field, _title(field)) for field in fields)]
    units = ["", *(_heading(field, _unit(paper_table, field)) for field in fields)]
    cells = [
        [escape(line.name) for line in paper_table.lines],
        *(_cells(paper_table, field) for field in fields),
    ]
    told, aside = _caption(paper_table)
    return TABLE % (
        aside,
        style.placement,
        "5pt" if len(paper_table.groups) == 1 else "3pt",
        escape(told),
        label,
        "l" + "".join(map(_alignment, fields)),
        _group_headings(paper_table) + _lines([titles, units]),
        _lines(zip(*cells, strict=True)),
        style.placement,
    )


def _caption(paper_table: PaperTable) -> tuple[str, str]:
    """What stands over the table, and of a bare one, as comments, what else there is to know."""
    sentences = [*caption(paper_table), LEGEND.format(paper_table.style.spread.reach)]
    if not paper_table.style.bare:
        return " ".join(sentences), ""
    told = sentence(paper_table.setting) if paper_table.setting else sentences[0]
    aside = (escape(line) for line in sentences if line != told)
    return told, "".join(f"% {line}\n" for line in aside)


def _width(field: Field) -> int:
    """How many columns of the tabular a field takes: values, and intervals that are aligned by themselves."""
    return 1 if field.is_paper or field.column.decimals is not None else 2


def _alignment(field: Field) -> str:
    if isinstance(field.column, TextColumn):
        return "l"
    return "r" if _width(field) == 1 else "r@{}l"


def _lines(lines: Iterable[Sequence[str]]) -> str:
    return "".join(f"    {' & '.join(cells)} \\\\\n" for cells in lines)


def _group_headings(paper_table: PaperTable) -> str:
    """A heading over the columns of each group, and a rule below it; nothing where there is one group."""
    if len(paper_table.groups) == 1:
        return ""
    last = 1 + sum(map(_width, paper_table.fields(None)))
    cells, rules = [""] * last, []
    for index, group in enumerate(paper_table.groups):
        first, width = last + 1, sum(map(_width, paper_table.fields(index)))
        last += width
        cells.append(f"\\multicolumn{{{width}}}{{c}}{{{escape(group.heading)}}}")
        rules.append(f"\\cmidrule(lr){{{first}-{last}}}")
    return f"{_lines([cells])}    {' '.join(rules)}\n"


def _heading(field: Field, text: str) -> str:
    return text if _width(field) == 1 else f"\\multicolumn{{2}}{{c}}{{{text}}}"


def _title(field: Field) -> str:
    if isinstance(field.column, TextColumn):
        return escape(sentence(field.column.title).removesuffix("."))
    return "\\textit{paper}" if field.is_paper else field.column.title


def _unit(paper_table: PaperTable, field: Field) -> str:
    if field.is_paper:
        return ""
    unit = field.column.unit
    if field.column.name == SPEED.name and field.index is not None:
        unit += f" {paper_table.groups[field.index].baselines}"
    return f"({escape(unit)})" if unit else ""


def _cells(paper_table: PaperTable, field: Field) -> list[str]:
    rows = [field.row(line) for line in paper_table.lines]
    return [_cell(field, *cell) for cell in zip(rows, paper_table.standings(field), strict=True)]


def _cell(field: Field, row: Row | None, index: Standing | None) -> str:
    if field.is_paper:
        return escape(field.column.published_text(row)) if row else ""
    found = field.column.shown(row) if row else None
    if row is None or found is None:
        return _heading(field, f"\\textit{{{escape(field.column.missing(row) if row else NOTHING)}}}")
    if isinstance(field.column, TextColumn):
        return escape(found.value)
    value = f"${MARKS[field.column.mark(row)]}{STYLES[index].format(number(found.value))}$"
    return value if _width(field) == 1 else f"{value} & {reach(found)}"


def _label(runs: Sequence[Analysis], paper_table: PaperTable | None) -> str:
    """What `\\ref` calls the table: its runs, and its setting where there are several tables."""
    words = [run.name for run in runs]
    if paper_table:
        record, variant = paper_table.record, paper_table.record.case.variant
        words += [
            record.case.workload.geometry.size,
            record.case.workload.geometry.layer_words,
        ]
        words += [f"batch {record.case.workload.batch}", record.case.workload.mode, variant.name]
        threads = paper_table.rows[0].threads
        words += [plural(threads, "thread")] if threads else []
    return f"tab:{re.sub(r'[^a-z0-9]+', '-', ' '.join(words).lower()).strip('-')}"
