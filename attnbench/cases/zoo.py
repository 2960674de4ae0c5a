"""Models of timm's registry, `timm/resnet50`, as mechanisms of images: whole, without slots."""

import hashlib
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from attnbench.cases.labels import closest, did_you_mean
from attnbench.errors import AttnbenchError, UnsupportedGeometry
from attnbench.mechanism import CLASSES, IMAGES, Geometry, Mechanism

if TYPE_CHECKING:
    from torch import nn

TIMM = "timm"


def timm_model(name: str) -> Mechanism:
    """A model of timm by its name there, with random weights; that it has none is said when it is built."""
    return Mechanism(f"{TIMM}/{name}", name, build=partial(_build, name), layout=IMAGES)


def source() -> str:
    """What stands for the code of all of them: the version of timm that is installed."""
    try:
        found = version(TIMM)
    except PackageNotFoundError:
        found = "none"
    return hashlib.sha256(f"{TIMM} {found}".encode()).hexdigest()[:12]


def _build(name: str, image: Geometry) -> "nn.Module":
    timm = _timm()
    if not timm.is_model(name):
        raise UnsupportedGeometry(
            f"The installed timm has no model {name!r}.{did_you_mean(closest(name, timm.list_models()))}"
        )
    size = (image.height, image.width)
    made: nn.Module
    try:
        made = timm.create_model(name, pretrained=False, num_classes=CLASSES, img_size=size)
    except TypeError:  # one that takes images of any size
        made = timm.create_model(name, pretrained=False, num_classes=CLASSES)
    return made


def _timm() -> Any:
    """timm, where it is installed and can be imported."""
    try:
        import timm
    except ImportError as error:
        raise AttnbenchError(
            f"timm/NAME needs timm, which cannot be imported here ({error}): pip install 'attnbench[models]'."
        ) from error
    return timm
