"""The kinds of device that there are; a new one is a file and a line."""

from attnbench.errors import AttnbenchError
from attnbench.machine.cpu import Cpu
from attnbench.machine.cuda import Cuda
from attnbench.machine.device import Device
from attnbench.machine.mps import Mps
from attnbench.machine.xpu import Xpu

DEVICES: dict[str, Device] = {device.name: device for device in (Cpu(), Cuda(), Mps(), Xpu())}


def device_of(name: str) -> Device:
    """The kind of this name; one that nobody knows is an `AttnbenchError`."""
    if name not in DEVICES:
        raise AttnbenchError(f"The device {name!r} is not known; use {' or '.join(DEVICES)}.")
    return DEVICES[name]


def present() -> tuple[str, ...]:
    """The devices that torch can use here; imports torch."""
    return tuple(name for name, device in DEVICES.items() if not device.absent())


def any_lost() -> bool:
    """Whether one answers no more in this process: whatever is tried next fails, and not by its own fault."""
    return any(device.is_lost() for device in DEVICES.values())


def exact_device(name: str) -> str:
    """Where float64 is computed for a device: on it, or on the host where it has none."""
    return name if device_of(name).refuses(dtype="float64", cuda_graph=False) is None else Cpu.name


def require(name: str) -> None:
    """Raise `AttnbenchError` unless this device can be used here, saying what torch sees; imports torch."""
    if reason := device_of(name).absent():
        raise AttnbenchError(reason)
