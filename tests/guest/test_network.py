"""Network cards of Linux guests: addresses, carriers, filters, and frames that arrive as they were sent."""

from __future__ import annotations

import asyncio
import ctypes
import hashlib
from pathlib import Path

import pytest
from tests.support.linux_guest import linux, until
from tests.support.need import need

from varan.api import events
from varan.net.slirp import LIBRARY

pytestmark = pytest.mark.linux

READY = "GUEST-READY"
MODULES = ["virtio_pci", "virtio_net"]
DATA = bytes(range(256)) * 4096 * 4
LEASE = """
cat > /tmp/lease <<'END'
#!/bin/sh
[ "$1" = bound ] && ip addr add $ip/24 dev eth0 && ip route add default via $router && echo LEASE $ip $router $dns
END
chmod +x /tmp/lease
ip link set eth0 up
udhcpc -i eth0 -n -q -s /tmp/lease 2>/dev/null
"""


def need_slirp() -> None:
    try:
        ctypes.CDLL(LIBRARY)
        there = True
    except OSError:
        there = False
    need(there, f"{LIBRARY} is not installed (Debian package libslirp0)")


async def test_the_guest_is_told_of_the_wire(tmp_path: Path) -> None:
    script = "ip link set eth0 up; cat /sys/class/net/eth0/speed /sys/class/net/eth0/duplex; echo READY; sleep 100"
    card = "virtio-net-pci,speed=2500,duplex=half,rx_queue_size=1024"
    async with linux(tmp_path, script, MODULES, devices=[card]) as (vm, _):
        await vm.serial.expect("READY", timeout=60)
        assert vm.serial.text.split()[:2] == ["2500", "half"]


@pytest.mark.parametrize(
    "options",
    ["", ",packed=on", ",disable-modern=on", ",event_idx=off,vectors=0", ",ctrl_vq=off,mrg_rxbuf=off,status=off"],
)
async def test_a_user_network_gives_a_lease_and_carries_data(tmp_path: Path, options: str) -> None:
    need_slirp()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        received = await reader.read()
        writer.write(hashlib.md5(received).hexdigest().encode() + b"\n" + DATA)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    script = f"""{LEASE}
ping -c 2 10.0.2.2 | grep -o '2 packets received'
seq 1 50000 | nc 10.0.2.2 {port} > /tmp/answer
echo SENT $(head -n 1 /tmp/answer)
echo GOT $(tail -n +2 /tmp/answer | md5sum)
echo {READY}
read line
"""
    device = f"virtio-net-pci,netdev=n0,mac=52:54:00:00:00:77{options}"
    async with server, linux(tmp_path, script, MODULES, netdevs=["user,id=n0"], devices=[device]) as (vm, _):
        await vm.serial.expect("LEASE 10.0.2.15 10.0.2.2 10.0.2.3", timeout=60)
        await vm.serial.expect("2 packets received", timeout=60)
        sent = hashlib.md5("".join(f"{n}\n" for n in range(1, 50001)).encode()).hexdigest()
        await vm.serial.expect(f"SENT {sent}", timeout=60)
        await vm.serial.expect(f"GOT {hashlib.md5(DATA).hexdigest()}", timeout=60)


WATCH = f"""
ip link set eth0 up
cat /sys/class/net/eth0/address
until grep -q 1 /sys/class/net/eth0/carrier; do sleep 0.05; done
echo {READY}
was=1
while :; do
    now=$(cat /sys/class/net/eth0/carrier)
    [ $now = $was ] || echo carrier is $now
    was=$now
    sleep 0.05
done
"""


async def test_the_guest_sees_its_address_and_the_carrier_come_and_go(tmp_path: Path) -> None:
    device = "virtio-net-pci,netdev=n0,id=card,mac=52:54:00:00:00:77"
    async with linux(tmp_path, WATCH, MODULES, netdevs=["hubport,id=n0,hubid=0"], devices=[device]) as (vm, _):
        await vm.serial.expect("52:54:00:00:00:77", timeout=60)
        await vm.serial.expect(READY, timeout=60)
        for name in ("card", "n0"):
            for up in (False, True):
                await vm.qmp.set_link(name, up)
                await vm.serial.expect(f"carrier is {int(up)}", timeout=60)


FILTER = f"""
ip link set eth0 up
echo {READY}
read line
ip link set eth0 promisc on
ifconfig eth0 allmulti
ip link set eth0 address 52:54:00:00:00:99
echo CHANGED
read line
"""


async def test_the_filter_and_its_event_follow_the_guest(tmp_path: Path) -> None:
    device = "virtio-net-pci,netdev=n0,id=card"
    async with linux(tmp_path, FILTER, MODULES, netdevs=["hubport,id=n0,hubid=0"], devices=[device]) as (vm, listener):
        await vm.serial.expect(READY, timeout=60)
        (before,) = await vm.qmp.query_rx_filter("card")
        assert (before.promiscuous, before.main_mac) == (False, "52:54:00:12:34:56")
        assert "01:00:5e:00:00:01" in before.multicast_table or "33:33:00:00:00:01" in before.multicast_table
        vm.serial.send_line("")
        await vm.serial.expect("CHANGED", timeout=60)
        changed = await until(listener, events.NicRxFilterChanged)
        assert (changed.name, changed.path) == ("card", "/machine/peripheral/card/virtio-backend")
        (after,) = await vm.qmp.query_rx_filter()
        assert (after.promiscuous, after.multicast.value) == (True, "all")
        assert (after.name, after.main_mac) == ("card", "52:54:00:00:00:99")


PEER = f"""
ip addr add 10.9.0.NUMBER/24 dev eth0
ip link set eth0 up
echo {READY}
read line
ping -c 3 10.9.0.OTHER | grep -o '. packets received'
read line
"""


async def test_two_machines_on_one_wire_reach_each_other(tmp_path: Path) -> None:
    def peer(number: int, wire: str) -> tuple[str, list[str], list[str]]:
        script = PEER.replace("NUMBER", str(number)).replace("OTHER", str(3 - number))
        return script, [f"stream,id=n0,{wire}"], [f"virtio-net-pci,netdev=n0,mac=52:54:00:00:00:0{number}"]

    where = f"addr.type=unix,addr.path={tmp_path / 'wire'}"
    (tmp_path / "b").mkdir()
    script, netdevs, devices = peer(1, f"server=on,{where}")
    async with linux(tmp_path, script, MODULES, netdevs=netdevs, devices=devices) as (first, _):
        script, netdevs, devices = peer(2, where)
        async with linux(tmp_path / "b", script, MODULES, netdevs=netdevs, devices=devices) as (second, _):
            for vm in (first, second):
                await vm.serial.expect(READY, timeout=60)
            first.serial.send_line("")
            await first.serial.expect("3 packets received", timeout=60)
