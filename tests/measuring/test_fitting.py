"""How many images a call may have: as many as fit into memory, and as are no endless work."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from attnbench import Geometry
from attnbench.cases.case import Mode
from attnbench.cases.registry import Registry, discover
from attnbench.cases.sweep import sweep
from attnbench.cases.variant import PLAIN, Variant
from attnbench.machine.cpu import Cpu
from attnbench.measuring.fitting import MOST_MATMULS, MOST_ON_HOST, SHARE, largest, power_of_two, room_bytes
from attnbench.measuring.journal_writer import JournalWriter
from attnbench.measuring.worker import work
from attnbench.records import journal
from attnbench.records.journal import Failed, Fitted, Job
from tests.shards import PROTOCOL, case

GEOMETRY = Geometry(8, 2, 2, 2)
PER_IMAGE = 4 * 4 * 8 * 4  # x and the storage of q, k and v: what MSA has of each image, logits left out
MSA_MACS = 4 * 4 * 8**2 + 2 * 4**2 * 8


@pytest.fixture(scope="module")
def registry() -> Registry:
    return discover()


def fitted(
    registry: Registry,
    shard: Path,
    *texts: str,
    limit: int | None = None,
    variants: Sequence[Variant] = (PLAIN,),
    mode: Mode = Mode.inference,
    known: Sequence[Fitted] = (),
) -> list[Fitted | Failed]:
    """What a worker says of these layers, one after the other, where some are known already."""
    choices = [registry.choose(text) for text in texts]
    (block,) = sweep(choices, [GEOMETRY], ["cpu"], batches=[None], variants=variants, modes=[mode])
    journal.save(shard, [Job("fit", block.members, (), 1, PROTOCOL, "", limit), *known])
    with shard.open("a") as file:
        work(shard, JournalWriter(file))
    return [fact for fact in journal.read(shard) if isinstance(fact, Fitted | Failed)]


def images(found: Sequence[Fitted | Failed]) -> list[int | str]:
    return [fact.images if isinstance(fact, Fitted) else fact.outcome for fact in found]


def test_images_are_halved_until_they_fit():
    assert largest(64, 100, lambda images: 10 * images) == (8, 160)
    assert largest(8, 100, lambda images: 10 * images) == (8, None)
    assert largest(64, 80, lambda images: 10 * images) == (8, 160)


def test_where_one_image_does_not_fit_there_is_none_and_where_nobody_can_tell_all_are_tried():
    assert largest(64, 5, lambda images: 10 * images) == (0, 10)
    assert largest(64, 5, lambda _: None) == (64, None)


def test_numbers_of_images_are_powers_of_two():
    assert [power_of_two(number) for number in (0, 1, 7, 8, 1000)] == [1, 1, 4, 8, 512]


def test_a_call_may_need_a_share_of_all_memory_or_the_limit_if_that_is_less(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(Cpu, "total_bytes", lambda _: 1000)
    assert [room_bytes(case("msa"), limit) for limit in (None, 100, 900)] == [1000 * SHARE, 100, 1000 * SHARE]


def test_memory_in_use_changes_nothing(registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(Cpu, "free_bytes", lambda _: 1)
    assert images(fitted(registry, tmp_path / "shard", "msa")) == [MOST_ON_HOST]


def test_a_limit_of_memory_is_kept_and_said(registry: Registry, tmp_path: Path):
    (found,) = fitted(registry, tmp_path / "shard", "msa", limit=1000 * PER_IMAGE)
    assert isinstance(found, Fitted)
    assert found.images == 512
    assert found.limit == "1024 of MSA need 0.0 GiB, and 0.0 GiB may be used"


@pytest.mark.parametrize(("mode", "passes"), [(Mode.inference, 1), (Mode.training, 3)])
def test_work_is_bounded_by_what_the_device_can_do_at_best(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: Mode, passes: int
):
    side = 20
    monkeypatch.setattr(Cpu, "matmul_side", lambda *_: side)
    (found,) = fitted(registry, tmp_path / "shard", "msa", mode=mode)
    assert isinstance(found, Fitted)
    most = MOST_MATMULS * side**3 / (passes * MSA_MACS)
    assert most / 2 < found.images <= most
    assert found.limit.endswith("of MSA are more work than 64 matmuls of 20×20")


def test_a_layer_of_more_work_than_that_has_one_image(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(Cpu, "matmul_side", lambda *_: 1)
    assert images(fitted(registry, tmp_path / "shard", "msa")) == [1]


def test_each_layer_gets_no_more_than_those_before_it_and_no_reason_of_its_own(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(Cpu, "matmul_side", lambda *_: 20)
    msa, light = fitted(registry, tmp_path / "shard", "msa", "global-filter")
    assert isinstance(msa, Fitted)
    assert isinstance(light, Fitted)
    assert (light.images, light.limit) == (msa.images, msa.limit)


def test_what_an_earlier_worker_found_limits_those_after_it(registry: Registry, tmp_path: Path):
    known = Fitted(0, 4, "8 of MSA are too many")
    found = fitted(registry, tmp_path / "shard", "msa", "global-filter", known=[known])
    assert found == [known, Fitted(1, 4, known.limit)]


def test_what_does_not_fit_at_all_or_cannot_run_limits_nobody(registry: Registry, tmp_path: Path):
    ways = [Variant(dtype="tf32"), PLAIN]
    assert images(fitted(registry, tmp_path / "shard", "msa", variants=ways)) == ["unsupported", MOST_ON_HOST]
    large, small = fitted(registry, tmp_path / "other", "van", "msa", limit=3000)
    assert isinstance(small, Fitted)
    assert images([large]) == [0]
    assert small.images > 1
