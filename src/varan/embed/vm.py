"""A machine as a Python object.

async with varan.Machine(kernel="vmlinuz", initrd="initrd.img", append="console=ttyS0", memory="256M") as vm:
    await vm.start()
    await vm.serial.expect("login:")
"""

from __future__ import annotations

import os
import uuid as uuid_module
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any

from varan.api.values import RunState, ShutdownCause
from varan.core import keyval
from varan.core.sizes import parse_size
from varan.embed.console import Console
from varan.embed.local import LocalClient
from varan.embed.memory import GuestMemory
from varan.embed.monitors import attach_monitors
from varan.errors import VaranError
from varan.machine.machine import Machine as WholeMachine
from varan.machine.spec import (
    BootSpec,
    ChardevSpec,
    DeviceSpec,
    DriveSpec,
    MachineSpec,
    MonitorMode,
    MonitorSpec,
    NetdevSpec,
)
from varan.machine.vcpus import VcpuHandle

Path = str | os.PathLike[str]
QMP_CHARDEV = "qmp"


class Machine:
    """A virtual machine of this program's own.

    Use it in `async with`, which acquires everything the machine needs (and raises VaranError for what cannot be had)
    and releases it at the end. The guest runs from `start` on.
    """

    def __init__(
        self,
        *,
        kernel: Path | None = None,
        initrd: Path | None = None,
        append: str = "",
        memory: int | str = "128M",
        disks: Sequence[Path | Mapping[str, Any]] = (),
        cpus: int = 1,
        cpu_model: str | None = None,
        accel: str | None = None,
        acpi: bool = True,
        name: str | None = None,
        uuid: uuid_module.UUID | str | None = None,
        qmp: str | None = None,
        demo: bool | None = None,
        chardevs: Sequence[str] = (),
        netdevs: Sequence[str] = (),
        devices: Sequence[str] = (),
        spec: MachineSpec | None = None,
    ) -> None:
        """`memory`: bytes, or a size as the command line takes it ("256M", "1G").

        `disks`: virtio disks, each an image's name or its options (`docs/block.md`).

        `accel`: "unicorn" or "kvm", with options as on the command line; None takes the best sensible one. `acpi`:
        whether the guest finds ACPI. `qmp`: an address where other programs may connect ("unix:vm.sock"). With neither
        `kernel` nor `demo=False` the built-in demonstration guest boots. `chardevs`, `netdevs` and `devices` are what
        `-chardev`, `-netdev` and `-device` take on the command line ("null,id=c0", "user,id=n0",
        "virtio-net-pci,netdev=n0"). `spec` describes everything at once instead of all the others. Raises ValueError.
        """
        if spec is None:
            spec = MachineSpec(
                name=name,
                uuid=uuid_module.UUID(uuid) if isinstance(uuid, str) else uuid,
                memory=_bytes(memory),
                drives=tuple(_drive(number, disk) for number, disk in enumerate(disks)),
                cpus=cpus,
                cpu_model=cpu_model,
                acpi=acpi,
                accelerators=(_accelerator(accel),) if accel else (),
                boot=BootSpec(
                    kernel=os.fspath(kernel) if kernel is not None else None,
                    initrd=os.fspath(initrd) if initrd is not None else None,
                    append=append,
                    demo=kernel is None if demo is None else demo,
                ),
                netdevs=tuple(map(_netdev, netdevs)),
                devices=(*map(_disk_device, range(len(disks))), *map(_device, devices)),
                serials=("serial0",),
                chardevs=(*map(_chardev, chardevs), *([_qmp_chardev(qmp)] if qmp else [])),
                monitors=(MonitorSpec(QMP_CHARDEV, MonitorMode.CONTROL),) if qmp else (),
            )
        self.serial = Console("serial0")
        """The first serial port: what the guest prints, and where to type."""
        self._opened = False
        self._whole = WholeMachine(spec, {"serial0": self.serial})
        attach_monitors(self._whole)
        self.qmp = LocalClient(self._whole)
        """The machine's QMP commands as typed methods, and its events, without a socket."""

    def __repr__(self) -> str:
        name = f" {self.spec.name!r}" if self.spec.name else ""
        return f"<varan.Machine{name}: {self.status.value}>"

    @property
    def spec(self) -> MachineSpec:
        """The description it was made from."""
        return self._whole.spec

    @property
    def memory(self) -> GuestMemory:
        """Guest-physical memory. Raises VaranError before the machine is open."""
        if not self._opened:
            raise VaranError(
                "a machine has no memory before it is open: use it in `async with`, or call `await open()`"
            )
        return GuestMemory(self._whole.memory)

    @property
    def cpus(self) -> list[VcpuHandle]:
        """The vCPUs."""
        return self._whole.vcpus

    @property
    def status(self) -> RunState:
        """The run state."""
        return self._whole.run_state.state

    async def open(self) -> None:
        """Acquire what the machine needs; `async with` does this. Raises VaranError."""
        await self._whole.open()
        self._opened = True

    async def close(self) -> None:
        """Release everything at once, whatever the guest is doing."""
        self.qmp.close()
        await self._whole.close()

    async def start(self) -> None:
        """Let the guest run."""
        await self._whole.cont()

    async def pause(self) -> None:
        """Stop the guest where it is."""
        await self._whole.stop()

    async def resume(self) -> None:
        """Let a paused guest run on."""
        await self._whole.cont()

    async def reset(self) -> None:
        """Reset the machine as its reset button would."""
        await self._whole.system_reset()

    async def quit(self) -> ShutdownCause:
        """End the machine and wait until it has ended."""
        self._whole.quit(ShutdownCause.HOST_QMP_QUIT)
        return await self.wait_closed()

    async def wait_closed(self) -> ShutdownCause:
        """Wait until the machine ends by itself (the guest powers off, somebody says `quit`); says why."""
        cause = await self._whole.wait_closed()
        self.qmp.close()
        return cause

    async def __aenter__(self) -> Machine:
        await self.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()


def _bytes(memory: int | str) -> int:
    size = parse_size(memory) if isinstance(memory, str) else memory
    if size is None:
        raise ValueError(f"memory={memory!r}: write a number of bytes or a size such as '256M'")
    return size


def _accelerator(text: str) -> tuple[str, dict[str, str]]:
    name, *options = text.split(",")
    return name, dict(option.partition("=")[::2] for option in options)


def _qmp_chardev(address: str) -> ChardevSpec:
    kind, _, rest = address.partition(":")
    if kind == "unix" and rest:
        options = {"path": rest}
    elif kind == "tcp" and ":" in rest:
        host, _, port = rest.rpartition(":")
        options = {"host": host, "port": port}
    else:
        raise ValueError(f"qmp='{address}': write unix:PATH or tcp:HOST:PORT")
    return ChardevSpec(QMP_CHARDEV, "socket", {**options, "server": "on", "wait": "off"})


def _chardev(text: str) -> ChardevSpec:
    options = keyval.Arguments(text, "backend")
    id, kind, mux = options.take_required("id"), options.take_required("backend"), bool(options.take_bool("mux"))
    return ChardevSpec(id, kind, options.rest(), mux)


def _netdev(text: str) -> NetdevSpec:
    pairs = [(pair.key, pair.value) for pair in keyval.parse(text, "type")]
    named = dict(pairs)
    rest = tuple((key, value) for key, value in pairs if key not in ("type", "id"))
    return NetdevSpec(named.get("id", ""), named.get("type", ""), rest)


def _device(text: str) -> DeviceSpec:
    settings = keyval.Arguments(text, "driver").rest()
    driver, id, bus = settings.pop("driver", ""), settings.pop("id", None), settings.pop("bus", None)
    return DeviceSpec(driver, id, bus, settings)


def _drive(number: int, disk: Path | Mapping[str, Any]) -> DriveSpec:
    return DriveSpec(f"virtio{number}", disk if isinstance(disk, Mapping) else {"filename": os.fspath(disk)})


def _disk_device(number: int) -> DeviceSpec:
    return DeviceSpec("virtio-blk-pci", f"disk{number}", settings={"drive": f"virtio{number}"})
