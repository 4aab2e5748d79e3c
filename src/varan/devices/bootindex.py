"""The order in which firmware shall try devices: `bootindex`, and the paths by which it knows them.

A path has a part for each device on the way from the CPU (IEEE 1275, Open Firmware: `/pci@i0cf8/scsi@3/disk@0,0`); a
device's `firmware_name` is its part.
"""

from __future__ import annotations

from collections.abc import Iterator

from varan.core.properties import Property
from varan.core.qom import Object
from varan.devices.pluggable import PluggableDevice
from varan.errors import GenericError

NONE = -1
SETTING = "bootindex"


def _write(device: PluggableDevice, index: int) -> None:
    check_free(device, index)
    device.settle(**{SETTING: index})


BOOTINDEX = Property(
    SETTING, "int32", "place in the order of what is booted, -1 for none", default=NONE, write=_write, setting=True
)


def check_free(device: PluggableDevice, index: int) -> None:
    """Raises GenericError when another device of the same machine has that place."""
    if index < 0:
        return
    root: Object = device
    while root.parent is not None:
        root = root.parent
    own = (device, *device.inner)
    for taken, other in _indexed(root):
        if taken == index and other not in own and device not in other.inner:
            raise GenericError(f"The bootindex {index} has already been used")


def boot_list(root: Object) -> list[str]:
    """The paths of the devices below `root` that have a place, in order."""
    return [firmware_path(device) for _, device in sorted(_indexed(root), key=lambda found: found[0])]


def _indexed(root: Object) -> Iterator[tuple[int, PluggableDevice]]:
    """The devices with a place; of one that has another in it, that one."""
    for device in root.walk():
        if isinstance(device, PluggableDevice) and SETTING in device.settings:
            index = device.settings[SETTING]
            if index >= 0 and not any(SETTING in inner.settings for inner in device.inner):
                yield index, device


def firmware_path(device: PluggableDevice) -> str:
    """The path of a device that is on a bus."""
    parts: list[str] = []
    at: Object | None = device
    while isinstance(at, PluggableDevice):
        parts.append(at.firmware_name)
        at = at.bus.parent if at.bus is not None else None
    return "/" + "/".join(part for part in reversed(parts) if part)
