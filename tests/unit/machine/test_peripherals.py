"""Devices come and go; what fails leaves nothing behind."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping
from typing import Any, ClassVar

import pytest
from msgspec import UNSET
from tests.support.bus import Bus

from varan.api.events import DeviceDeleted, DeviceUnplugGuestError, Event
from varan.board.pc import Pc, PcConfig
from varan.core.properties import Property
from varan.core.qom import Container
from varan.core.state import Device, State
from varan.devices import registry
from varan.devices.bus import AtOnce
from varan.devices.environment import Environment
from varan.devices.pluggable import PluggableDevice
from varan.errors import GenericError, VaranError
from varan.machine.peripherals import Peripherals
from varan.machine.spec import DeviceSpec
from varan.machine.tree import Tree


class LatchState(State, kw_only=True):
    code: int = 0


class Latch(Device[LatchState]):
    state_type = LatchState


class Probe(PluggableDevice):
    """A device on the ISA bus that writes its life down."""

    type_name = "probe"
    abstract = False
    bus_type = "ISA"
    properties = (Property("fail", "str", default=""), Property("code", "uint8", default=7))
    life: list[str]
    made: ClassVar[list[Probe]] = []

    def __init__(self, id: str | None = None, settings: Mapping[str, Any] | None = None) -> None:
        super().__init__(id, settings)
        self.life = []
        self.latch = Latch()
        Probe.made.append(self)

    def _step(self, step: str) -> None:
        self.life.append(step)
        if self.settings["fail"] == step:
            raise GenericError(f"{step} fails")

    async def acquire(self, environment: Environment) -> None:
        self._step("acquire")

    def realize(self, environment: Environment, bus: Any) -> None:
        self._step("realize")

    def unrealize(self) -> None:
        self.life.append("unrealize")

    async def release(self) -> None:
        self.life.append("release")

    def parts(self) -> dict[str, Device[Any]]:
        return {"latch": self.latch}


class Guest:
    """A hot-plug controller whose guest takes its time; `lets_go` False: it is asked and has not answered yet."""

    def __init__(self, lets_go: bool = False) -> None:
        self.lets_go = lets_go
        self.seen: list[tuple[str, Any]] = []

    def plugged(self, device: PluggableDevice) -> None:
        self.seen.append(("plugged", device))

    def request_unplug(self, device: PluggableDevice) -> bool:
        self.seen.append(("request", device))
        return self.lets_go


class Rig:
    def __init__(self, *globals: tuple[str, str, str]) -> None:
        self.events: list[Event] = []
        self.environment = Bus().environment(
            post=lambda work: asyncio.get_running_loop().call_soon(work), emit=self.events.append
        )
        self.tree = Tree(Container())
        self.environment.unattached = self.tree.unattached
        self.board = Pc(PcConfig(memory=1 << 20), self.environment)
        self.peripherals = Peripherals(self.tree, self.environment, globals)
        self.peripherals.plugged = self.board.plugged

    async def hotplug(self, driver: str, id: str | None = None, **settings: Any) -> Any:
        return await self.peripherals.add(DeviceSpec(driver, id, None, settings), hotplug=True)

    async def add(self, driver: str, id: str | None = None, bus: str | None = None, **settings: Any) -> Any:
        return await self.peripherals.add(DeviceSpec(driver, id, bus, settings))


@pytest.fixture(autouse=True)
def probe(monkeypatch: pytest.MonkeyPatch) -> None:
    real = registry.find
    monkeypatch.setattr(registry, "find", lambda name: Probe if name == "probe" else real(name))
    Probe.made = []


async def test_device_with_an_id_is_found_below_peripheral_and_one_without_is_numbered() -> None:
    rig = Rig()
    assert (await rig.add("probe", "p")).path == "/machine/peripheral/p"
    assert (await rig.add("probe")).path == "/machine/peripheral-anon/device[0]"
    assert (await rig.add("probe")).path == "/machine/peripheral-anon/device[1]"
    assert (await rig.add("isa-debugcon")).get("parent_bus").endswith("/isa.0")


async def test_plugged_devices_are_saved_loaded_and_reset_with_the_board() -> None:
    rig, other = Rig(), Rig()
    device, twin = await rig.add("probe", "p"), await other.add("probe", "p")
    device.latch.state.code = 5
    other.board.load(rig.board.save())
    assert twin.latch.state.code == 5
    assert "peripheral/p:latch" in rig.board.devices
    rig.board.reset()
    assert device.latch.state.code == 0


@pytest.mark.parametrize(("fails", "life"), [("acquire", ["acquire"]), ("realize", ["acquire", "realize", "release"])])
async def test_failing_device_leaves_nothing_behind(fails: str, life: list[str]) -> None:
    rig = Rig()
    before = rig.board.save().keys()
    with pytest.raises(VaranError, match=f"{fails} fails"):
        await rig.add("probe", "p", fail=fails)
    assert Probe.made[0].life == life
    assert not rig.tree.peripheral.children
    assert rig.board.save().keys() == before
    assert Probe.made[0] not in rig.board.isa.devices
    assert await rig.add("probe", "p")


@pytest.mark.parametrize(
    ("device", "why"),
    [
        ({"driver": "nosuch"}, "'nosuch' is not a valid device model name"),
        ({"driver": "isa-device"}, "Parameter 'driver' expects a non-abstract device type"),
        ({"driver": "probe", "bus": "nope"}, "Bus 'nope' not found"),
        ({"driver": "probe", "id": "1b"}, "Parameter 'id' expects an identifier"),
        ({"driver": "probe", "nosuch": 1}, "Property 'probe.nosuch' not found"),
        ({"driver": "isa-serial", "chardev": "no"}, "Property 'isa-serial.chardev' can't find value 'no'"),
        ({"driver": "isa-serial", "index": 0}, "isa-serial: serial1: port 0x3f8 is taken already"),
    ],
)
async def test_what_cannot_be_made_is_refused(device: dict[str, Any], why: str) -> None:
    with pytest.raises(VaranError) as refused:
        await Rig().add(**device)
    assert str(refused.value) == why


async def test_id_can_be_taken_once() -> None:
    rig = Rig()
    await rig.add("probe", "p")
    with pytest.raises(GenericError, match="Duplicate device ID 'p'"):
        await rig.add("probe", "p")


async def test_globals_are_defaults_of_a_type_and_of_those_that_derive_from_it() -> None:
    rig = Rig(("probe", "code", "9"), ("probe", "fail", "never"), ("isa-serial", "code", "1"))
    assert (await rig.add("probe")).settings == {"code": 9, "fail": "never"}
    assert (await rig.add("probe", code=3)).settings["code"] == 3


async def test_global_of_a_base_type_reaches_what_derives_from_it() -> None:
    rig = Rig(("isa-device", "iobase", "0x402"))
    assert (await rig.add("isa-debugcon")).settings["iobase"] == 0x402


async def test_global_that_is_no_setting_is_an_error_of_the_device() -> None:
    rig = Rig(("isa-debugcon", "colour", "red"))
    with pytest.raises(GenericError) as refused:
        await rig.add("isa-debugcon")
    why = "can't apply global isa-debugcon.colour=red: Property 'isa-debugcon.colour' not found"
    assert str(refused.value) == why
    assert await rig.add("probe")


async def test_devices_give_their_host_ends_back_at_the_end() -> None:
    rig = Rig()
    first, second = await rig.add("probe"), await rig.add("probe")
    await rig.peripherals.close()
    assert first.life == second.life == ["acquire", "realize", "release"]


async def test_nothing_is_plugged_into_a_running_machine_where_the_bus_does_not_allow_it() -> None:
    rig = Rig()
    with pytest.raises(GenericError, match=r"Bus 'isa\.0' does not support hotplugging"):
        await rig.hotplug("probe")
    rig.board.isa.hotplug = Guest()
    with pytest.raises(GenericError, match="Device 'isa-serial' does not support hotplugging"):
        await rig.hotplug("isa-serial")


async def test_guest_is_told_of_what_was_plugged_in() -> None:
    rig = Rig()
    rig.board.isa.hotplug = guest = Guest()
    device = await rig.hotplug("probe", "p")
    assert guest.seen == [("plugged", device)]
    assert device.get("hotplugged")


async def test_device_goes_at_once_where_the_guest_has_no_say() -> None:
    rig = Rig()
    rig.board.isa.hotplug = AtOnce()
    device = await rig.hotplug("probe", "p")
    await rig.peripherals.remove(device, "p")
    assert device.life == ["acquire", "realize", "unrealize", "release"]
    assert rig.events == [DeviceDeleted(path="/machine/peripheral/p", device="p")]
    assert not rig.tree.peripheral.children
    assert "peripheral/p:latch" not in rig.board.devices
    await rig.hotplug("probe", "p")


async def test_device_goes_when_the_guest_lets_go() -> None:
    rig = Rig()
    rig.board.isa.hotplug = Guest()
    device = await rig.hotplug("probe")
    await rig.peripherals.remove(device, "x")
    assert device.realized
    with pytest.raises(GenericError, match="Device x is already in the process of unplug"):
        await rig.peripherals.remove(device, "x")
    rig.environment.ejected(device)
    rig.environment.ejected(device)
    while not rig.events:
        await asyncio.sleep(0)
    assert rig.events == [DeviceDeleted(path="/machine/peripheral-anon/device[0]", device=UNSET)]
    assert device.life[-2:] == ["unrealize", "release"]


async def test_refusal_of_the_guest_is_an_event_and_it_may_be_asked_again() -> None:
    rig = Rig()
    rig.board.isa.hotplug = guest = Guest()
    device = await rig.hotplug("probe", "p")
    rig.environment.eject_refused(device)
    await rig.peripherals.remove(device, "p")
    rig.environment.eject_refused(device)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert rig.events == [DeviceUnplugGuestError(path="/machine/peripheral/p", device="p")]
    await rig.peripherals.remove(device, "p")
    assert [what for what, _ in guest.seen] == ["plugged", "request", "request"]


async def test_realize_and_unrealize_run_under_the_machine_lock(monkeypatch: pytest.MonkeyPatch) -> None:
    rig = Rig()
    rig.board.isa.hotplug = AtOnce()
    held: list[bool] = []

    def note(*_: Any) -> None:
        thread = threading.Thread(target=lambda: held.append(not rig.environment.lock.acquire(blocking=False)))
        thread.start()
        thread.join()

    monkeypatch.setattr(Probe, "realize", note)
    monkeypatch.setattr(Probe, "unrealize", note)
    await rig.peripherals.remove(await rig.hotplug("probe"), "p")
    assert held == [True, True]
