from __future__ import annotations

import pytest
from tests.support.fake_machine import FakeMachine
from tests.support.net_peer import FramePeer
from tests.support.pci import PciRig

from varan.commands import net as handlers
from varan.devices.virtio import net
from varan.devices.virtio.net_types import VirtioNetPci
from varan.errors import GenericError
from varan.machine.spec import DeviceSpec


async def refused(machine: FakeMachine, driver: str, **settings: str) -> str:
    with pytest.raises(GenericError) as caught:
        await machine.peripherals.add(DeviceSpec(driver, id="dev", settings=settings))
    return str(caught.value)


async def test_a_receive_filter_belongs_to_a_card_that_has_one(machine: FakeMachine) -> None:
    backend = await machine.network.add("hubport", "n0", [("hubid", "0")])
    machine.network.add_adapter(FramePeer(backend, "plain"))
    assert await handlers.query_rx_filter(machine) == []
    for name, text in (
        ("none", "invalid net client name: none"),
        ("n0", r"net client\(n0\) isn't a NIC"),
        ("plain", r"net client\(plain\) doesn't support rx-filter querying"),
    ):
        with pytest.raises(GenericError, match=text):
            await handlers.query_rx_filter(machine, name)


async def test_a_card_offers_what_is_not_switched_off(machine: FakeMachine) -> None:
    rig = PciRig(memory=machine.memory)
    machine.tree.unattached.add_child("pci.0", rig.bus)

    async def offered(**settings: str) -> int:
        card = await machine.peripherals.add(DeviceSpec("virtio-net-pci", settings=settings))
        assert isinstance(card, VirtioNetPci)
        return card.core.offered

    everything = await offered()
    assert everything & net.FEATURES == net.FEATURES
    assert await offered(mrg_rxbuf="off", status="off") == everything & ~(net.MRG_RXBUF | net.STATUS)
    assert await offered(ctrl_vlan="off") == everything & ~net.CTRL_VLAN
    assert await offered(ctrl_vq="off") == everything & ~(net.CTRL_VQ | net.BY_COMMAND)


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"speed": "-2"}, "'speed' must be between 0 and INT_MAX"),
        ({"duplex": "x"}, "'duplex' must be 'half' or 'full'"),
        ({"rx_queue_size": "100"}, "Invalid rx_queue_size (= 100), must be a power of 2 between 256 and 1024."),
        ({"tx_queue_size": "2048"}, "Invalid tx_queue_size (= 2048), must be a power of 2 between 256 and 1024."),
        ({"csum": "on"}, "csum=on is not supported: the card has plain frames and one pair of queues"),
        ({"mq": "on"}, "mq=on is not supported: the card has plain frames and one pair of queues"),
    ],
)
async def test_a_card_that_cannot_be_is_refused(machine: FakeMachine, settings: dict[str, str], problem: str) -> None:
    machine.tree.unattached.add_child("pci.0", PciRig(memory=machine.memory).bus)
    assert await refused(machine, "virtio-net-pci", **settings) == problem
    assert list(machine.network.adapters) == []


async def test_a_card_tells_of_its_wire_and_has_queues_as_long_as_wanted(machine: FakeMachine) -> None:
    machine.tree.unattached.add_child("pci.0", PciRig(memory=machine.memory).bus)
    settings = {"speed": "1000", "duplex": "full", "rx_queue_size": "512", "csum": "off"}
    card = await machine.peripherals.add(DeviceSpec("virtio-net-pci", settings=settings))
    assert isinstance(card, VirtioNetPci)
    assert card.core.offered & net.SPEED_DUPLEX
    assert card.core.config()[12:] == b"\xe8\3\0\0\1"
    assert [queue.most for queue in card.core.queues] == [512, 256, 64]


async def test_a_card_names_the_setting_that_does_not_find_its_back_end(machine: FakeMachine) -> None:
    rig = PciRig(memory=machine.memory)
    machine.tree.unattached.add_child("pci.0", rig.bus)
    await machine.network.add("hubport", "n0", [("hubid", "0")])
    driver = "virtio-net-pci"
    setting = "Property 'virtio-net-device.netdev'"
    assert await refused(machine, driver, netdev="no") == f"{setting} can't find value 'no'"
    await machine.peripherals.add(DeviceSpec(driver, id="first", settings={"netdev": "n0"}))
    assert await refused(machine, driver, netdev="n0") == f"{setting} can't take value 'n0', it's in use"
    assert list(machine.network.adapters) == ["first"]
    assert await refused(machine, "virtio-blk-pci") == "drive property not set"
