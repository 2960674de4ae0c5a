"""`attnbench doctor`: this machine, what will disturb a measurement on it, and what it can do at best."""

from dataclasses import replace
from typing import Annotated

from attnbench.cases.variant import FORMATS, PLAIN
from attnbench.cli.options import (
    Devices,
    Format,
    TableOrJson,
    Threads,
    number_format,
    read_form,
    read_name,
    split,
)

EXAMPLES = {
    "before you measure: what is wrong with this machine": "attnbench doctor",
    "what the CPU can do at best with one thread": "attnbench doctor --device cpu --threads 1",
    "the ceilings of half precision": "attnbench doctor --dtype bfloat16",
    "the machine, for a paper's appendix": "attnbench doctor --format json",
}


def doctor(
    device: Devices = None,
    dtype: Annotated[str, number_format("Of the matmul and the copy", FORMATS)] = PLAIN.dtype,
    threads: Threads = None,
    form: TableOrJson = Format.table,
) -> None:
    """Show the machine as a run records it, what will disturb a measurement, and its measured ceilings.

    The ceilings are the rates of a large matmul and a large copy, timed for up to ten seconds a device; with
    them a run says how near a layer comes to what the machine can do. Each disturbance comes with a remedy;
    attnbench itself changes no setting.
    """
    from attnbench.analysis.advice import advice, emulation, standing_advice
    from attnbench.analysis.ceilings import Seen
    from attnbench.analysis.rerun import chosen_variables
    from attnbench.cases.protocol import CEILINGS_ALONE
    from attnbench.cli.output import output
    from attnbench.machine import devices, fingerprint
    from attnbench.machine.system import physical_cores
    from attnbench.mechanism import Geometry
    from attnbench.report.objects import machine_json
    from attnbench.report.terminal.machine import ceiling_lines, machine_table
    from attnbench.run import runner
    from attnbench.run.plan import Setup

    here = output(read_form(form))
    numbers = read_name("--dtype", dtype, FORMATS)
    names = split(device) or devices.present()
    setup, count = Setup((), CEILINGS_ALONE), threads or physical_cores()
    for name in names:
        devices.require(name)
    this = fingerprint.inspect_machine()
    if here.form is Format.table:
        here.out.print(machine_table(this))
    seen: dict[str, Seen] = {}
    for name in names:
        with here.waiting(f"Measuring the ceilings of {name}…"):
            records = runner.measure_ceilings(Geometry(1, 1, 1, 1), name, numbers, count, setup)
        machine = replace(records[0].conditions.machine, environment=chosen_variables(records[0]))
        standing = standing_advice(machine, name, count)
        slow = emulation(records[0].conditions.flags, FORMATS, name)
        seen[name] = Seen(records, [*standing, *slow, *advice(records[0].witnesses, count)])
        if here.form is Format.table:
            for line in ceiling_lines(records):
                here.out.print(line, markup=False)
            here.note(seen[name].advice or [f"Nothing was seen that would disturb a measurement on {name}."])
    if here.form is Format.json:
        here.data(machine_json(this, seen))
