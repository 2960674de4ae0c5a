"""A batch in small parts, so that what attention makes on the way stays in a CPU's caches."""

from collections.abc import Callable

import torch
from torch import Tensor

PER_THREAD = 4
"""Images for each thread.

Fewer fit smaller caches, but gain nothing where a core has 1 MiB of L2 and all have 36 MiB of L3; and since
threads wait for each other at the end of every operator, four times as many operators take up to twice the
time beside a neighbour that keeps one of two cores busy.
"""


def few_images_at_a_time(attention: Callable[..., Tensor], *tensors: Tensor) -> Tensor:
    """`attention(*tensors)` of tensors `[B, …]`, in which no image sees another.

    On a CPU it gets `PER_THREAD` images at a time for each thread: logits and gathered keys of a whole batch
    would go to main memory and come back. Other devices want all the work at once, and so does a compiler.
    """
    images = PER_THREAD * torch.get_num_threads() if _on_eager_cpu(tensors[0]) else len(tensors[0])
    if len(tensors[0]) <= images:
        return attention(*tensors)
    return torch.cat([attention(*few) for few in zip(*(x.split(images) for x in tensors), strict=True)])


def _on_eager_cpu(x: Tensor) -> bool:
    return x.device.type == "cpu" and not torch.compiler.is_compiling()
