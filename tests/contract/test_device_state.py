"""What `varan.core.state.Device` promises, for every device of a PC.

A device is worn by random accesses of its own ports, then: saving and loading into a fresh one gives equal state and
equal later behaviour, saved state survives encoding, and reset gives what a new device has.
"""

from __future__ import annotations

import json
import random
from typing import Any

import msgspec
import pytest
from tests.support.bus import Bus

from varan.board.pc import Pc, PcConfig
from varan.board.rtc import RtcSetting
from varan.core.ports import PORTS
from varan.core.state import Device, State, StateError, decode, encode
from varan.devices.acpi.power import PM_BASE
from varan.devices.irq.ioapic import BASE

DEVICE_PORTS = {
    "lapic0": (),
    "lapic1": (),
    "ioapic": (),
    "i8259": (0x20, 0x21, 0xA0, 0xA1, 0x4D0, 0x4D1),
    "i8254": (0x40, 0x41, 0x42, 0x43, 0x61),
    "port-b": (0x61,),
    "mc146818": (0x70, 0x71),
    "ps2-keyboard": (0x60, 0x64),
    "ps2-mouse": (0x60, 0x64),
    "i8042": (0x60, 0x64),
    "port92": (0x92,),
    "post": (0x80,),
    "acpi-pm1": tuple(range(0x600, 0x60C)),
    "acpi-gpe0": tuple(range(0xAFE0, 0xAFE4)),
    "smi-command": (0xB2, 0xB3),
    "hpet": tuple(range(0xFED00000, 0xFED00160)),
    "dma": (*range(0x10), *range(0xC0, 0xE0), *range(0x81, 0x90)),
    "fdc": (0x3F2, 0x3F3, 0x3F4, 0x3F5, 0x3F7),
    "serial1": tuple(range(0x3F8, 0x400)),
    "serial2": tuple(range(0x2F8, 0x300)),
    "serial3": tuple(range(0x3E8, 0x3F0)),
    "serial4": tuple(range(0x2E8, 0x2F0)),
    "pci-host": tuple(range(0xCF8, 0xD00)),
    "i440fx": tuple(range(0xCF8, 0xD00)),
    "piix3": tuple(range(0xCF8, 0xD00)),
    "piix3-ide": tuple(range(0xCF8, 0xD00)),
    "ide.0": (*range(0x1F0, 0x1F8), 0x3F6),
    "ide.1": (*range(0x170, 0x178), 0x376),
    "bus-master.0": tuple(range(0xC000, 0xC008)),
    "bus-master.1": tuple(range(0xC008, 0xC010)),
    "piix4-pm": tuple(range(0xCF8, 0xD00)),
    "fw-cfg": tuple(range(0x510, 0x51C)),
    "acpi-pci-hotplug": tuple(range(0xAE00, 0xAE14)),
}
"""Ports, and from 64 KiB on memory addresses."""
LOCAL_REGISTERS = range(0, 0x400, 0x10)
BUS_MASTER = 0xC000
STATELESS: set[str] = set()
CONFIG_ADDRESS = 0xCF8
CONFIG_ENABLE = 0x80000000
CONFIG_FUNCTIONS = (0x0000, 0x0800, 0x0900, 0x0B00)
"""The PCI functions by their place in CONFIG_ADDRESS."""
ACCESSES = 400


class Rig:
    """A PC on a bare bus."""

    def __init__(self, now: int = 0) -> None:
        self.bus = Bus()
        self.bus.clock.advance(now)
        self.pc = Pc(
            PcConfig(memory=1 << 20, cpus=2, serial_ports=4, rtc=RtcSetting(1_330_000_000_000_000_000, virtual=True)),
            self.bus.environment(),
        )

    def wear(self, seed: int, name: str) -> list[int | None]:
        """Random accesses of the device with time passing between them; returns what was seen."""
        source = random.Random(seed)
        assert self.pc.pm is not None
        self.pc.pm.place(PM_BASE)
        self.pc.ide.function.write_config(0x20, 4, BUS_MASTER)
        self.pc.ide.function.write_config(0x04, 2, 1)
        seen: list[int | None] = []
        for _ in range(ACCESSES):
            self._access(source, name, seen)
            if source.random() < 0.3:
                self.bus.run(source.randrange(3_000_000))
            if source.random() < 0.1:
                self.pc.serials[source.randrange(4)].port.uart.receive(source.randbytes(5))
                self.pc.keyboard.press(b"\x1c")
                self.pc.mouse.move(source.randrange(9), source.randrange(9), 0, source.randrange(8))
            seen += [self.pc.pic.peek(), *(apic.peek() for apic in self.pc.interrupts.apics)]
        return seen

    def _access(self, source: random.Random, name: str, seen: list[int | None]) -> None:
        write = source.random() < 0.6
        if name.startswith("lapic"):
            apic, register = self.pc.interrupts.apics[int(name[5:])], source.choice(LOCAL_REGISTERS)
            if write:
                apic.write(register, 4, source.getrandbits(32) | source.choice((0, 0x100)))
            else:
                seen.append(apic.read(register, 4))
            if source.random() < 0.2 and apic.peek() is not None:
                seen.append(apic.acknowledge())
        elif name == "ioapic":
            address = BASE + source.choice((0, 0x10))
            if write:
                self.pc.memory.write(address, 4, source.choice((source.randrange(64), source.getrandbits(32))))
            else:
                seen.append(self.pc.memory.read(address, 4))
        else:
            self._access_port(source, source.choice(DEVICE_PORTS[name]), write, seen)

    def _access_port(self, source: random.Random, port: int, write: bool, seen: list[int | None]) -> None:
        if port == CONFIG_ADDRESS:
            address = CONFIG_ENABLE | source.choice(CONFIG_FUNCTIONS) | source.randrange(0, 256, 4)
            self.bus.ports.write(port, 4, address)
            return
        space = self.bus.ports if port < PORTS else self.pc.memory
        if write:
            space.write(port, 1, source.randrange(256))
        else:
            seen.append(space.read(port, 1))


def test_every_device_of_the_board_is_covered() -> None:
    assert set(Rig().pc.devices) == set(DEVICE_PORTS)


@pytest.mark.parametrize("name", DEVICE_PORTS)
def test_random_accesses_change_the_state_unless_it_is_declared_empty(name: str) -> None:
    rig = Rig()
    before = rig.pc.devices[name].save()
    after = []
    for seed in range(5):
        rig.wear(seed, name)
        after.append(rig.pc.devices[name].save())
    assert all(state == before for state in after) == (name in STATELESS)
    assert bool(msgspec.structs.fields(before)) != (name in STATELESS)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", DEVICE_PORTS)
def test_loaded_device_has_the_saved_state_and_the_same_later_behaviour(name: str, seed: int) -> None:
    first = Rig()
    first.wear(seed, name)
    saved = first.pc.save()
    second = Rig(first.bus.clock.now())
    second.pc.load(json.loads(json.dumps(saved)))
    assert second.pc.save() == saved
    assert first.wear(seed + 1000, name) == second.wear(seed + 1000, name)
    assert first.pc.save() == second.pc.save()


@pytest.mark.parametrize("name", DEVICE_PORTS)
def test_saved_state_shares_nothing_with_the_device(name: str) -> None:
    rig = Rig()
    rig.wear(2, name)
    saved = rig.pc.devices[name].save()
    copy = encode(saved)
    rig.wear(3, name)
    assert encode(saved) == copy


@pytest.mark.parametrize("name", DEVICE_PORTS)
def test_encoded_state_decodes_to_an_equal_one(name: str) -> None:
    rig = Rig()
    rig.wear(4, name)
    device = rig.pc.devices[name]
    state = device.save()
    assert decode(device.state_type, json.loads(json.dumps(encode(state)))) == state


@pytest.mark.parametrize("name", DEVICE_PORTS)
def test_reset_gives_what_a_new_device_has_except_what_a_battery_keeps(name: str) -> None:
    worn = Rig()
    worn.wear(5, name)
    worn.pc.reset()
    fresh = Rig(worn.bus.clock.now())
    fresh.pc.reset()
    assert volatile(worn.pc.devices[name]) == volatile(fresh.pc.devices[name])
    assert worn.pc.pic.peek() is None
    assert all(apic.peek() is None for apic in worn.pc.interrupts.apics)


@pytest.mark.parametrize("name", DEVICE_PORTS)
def test_state_of_an_unknown_version_is_refused(name: str) -> None:
    device = Rig().pc.devices[name]
    encoded = encode(device.save())
    encoded["version"] += 1
    with pytest.raises(StateError, match="saved by version"):
        decode(device.state_type, encoded)


def volatile(device: Device[Any]) -> dict[str, Any]:
    """The members that a reset must put back."""
    state: State = device.save()
    kept = getattr(type(state), "battery_backed", frozenset())
    members = msgspec.structs.asdict(state)
    return {name: value for name, value in members.items() if name not in kept}
