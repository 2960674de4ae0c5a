"""`attnbench doctor`: this machine, what will disturb a measurement on it, and what it can do at best."""

from attnbench.cli.options import Devices, Numbers, Threads, read_name, split
from attnbench.variant import DTYPES, PLAIN


def doctor(device: Devices = None, dtype: Numbers = PLAIN.dtype, threads: Threads = None) -> None:
    """Show the machine as a run records it, what will disturb a measurement, and its measured ceilings."""
    from attnbench import machine, runner
    from attnbench.cli.console import console
    from attnbench.mechanism import Geometry
    from attnbench.plan import Setup
    from attnbench.protocol import CEILINGS_ALONE
    from attnbench.report.advice import advice, standing_advice
    from attnbench.report.machine import ceiling_lines, machine_table
    from attnbench.system import physical_cores

    numbers = read_name("--dtype", dtype, DTYPES)
    devices = split(device) or machine.devices()
    setup = Setup((), threads or physical_cores(), CEILINGS_ALONE)
    out = console()
    for name in devices:
        machine.require_device(name)
    out.print(machine_table(machine.inspect_machine()))
    for name in devices:
        with out.status(f"Measuring the ceilings of {name}…"):
            records = runner.measure_ceilings(Geometry(1, 1, 1, 1), name, numbers, setup)
        for line in ceiling_lines(records):
            out.print(line, markup=False)
        found = [
            *standing_advice(records[0].machine, name, setup.threads),
            *advice(records[0].witnesses, setup.threads),
        ]
        for line in found or [f"Nothing was seen that would disturb a measurement on {name}."]:
            out.print(f"· {line}", markup=False)
