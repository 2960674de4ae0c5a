"""The parts of a batch in which a CPU runs attention."""

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from mechanisms._images import few_images_at_a_time


@pytest.fixture
def two_threads() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(threads)


class Weigh:
    """Attention that notes how many images it sees at a time."""

    def __init__(self) -> None:
        self.images: list[int] = []

    def __call__(self, x: Tensor, weight: Tensor) -> Tensor:
        self.images.append(len(x))
        return x * weight


@pytest.mark.usefixtures("two_threads")
def test_a_cpu_gets_four_images_for_every_thread_and_then_what_is_left():
    weigh, x, weight = Weigh(), torch.randn(17, 4), torch.randn(17, 1)
    assert few_images_at_a_time(weigh, x, weight).equal(x * weight)
    assert weigh.images == [8, 8, 1]


@pytest.mark.usefixtures("two_threads")
def test_another_device_gets_all_images_at_once():
    weigh = Weigh()
    few_images_at_a_time(weigh, torch.empty(17, 4, device="meta"), torch.empty(17, 1, device="meta"))
    assert weigh.images == [17]
