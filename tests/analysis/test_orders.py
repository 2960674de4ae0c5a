"""How far two orders of throughputs are the same, and ours the paper's."""

from typing import Any

from attnbench.analysis.orders import agreements
from attnbench.analysis.rows import rows
from attnbench.records.record import Record
from attnbench.report.notes import agreement
from tests.fakes import record


def test_two_mechanisms_of_the_papers_table_have_an_order_and_one_has_none():
    hilo, msa, mine = (record(label, [time] * 6) for label, time in (("hilo", 0.2), ("msa", 0.4), ("x", 0.1)))
    (both,) = agreements(rows([hilo, msa, mine]))
    assert (both.mechanisms, both.kendall_tau) == (2, 1.0)
    assert agreements(rows([hilo, mine])) == []


def test_each_device_and_variant_has_an_order_of_its_own():
    def two(hilo_s: float, **changes: Any) -> list[Record]:
        return [record(label, [time] * 6, **changes) for label, time in (("hilo", hilo_s), ("msa", 0.4))]

    found = agreements(rows([*two(0.2), *two(0.8, kernel="fused"), *two(0.8, device="cuda")]))
    assert [(each.device, each.variant.kernel, each.kendall_tau) for each in found] == [
        ("cpu", "explicit", 1.0), ("cpu", "fused", -1.0), ("cuda", "explicit", -1.0),
    ]  # fmt: skip


def test_each_number_of_threads_has_an_order_of_its_own_and_says_which():
    times = {1: {"hilo": 0.2, "msa": 0.4}, 2: {"hilo": 0.4, "msa": 0.2}}
    records = [record(label, [s] * 6, threads=n) for n, two in times.items() for label, s in two.items()]
    found = agreements(rows(records))
    assert [(each.threads, each.kendall_tau) for each in found] == [(1, 1.0), (2, -1.0)]
    assert [line.partition(":")[0] for line in agreement(found)] == ["CPU (1 thread)", "CPU (2 threads)"]
