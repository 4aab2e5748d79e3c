"""Virtio consoles and ports with an unmodified kernel's own driver."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from tests.support.linux_guest import LISTEN, PATIENCE, linux, until

from varan.api import events
from varan.errors import GenericError

pytestmark = pytest.mark.linux

MODULES = ["virtio_pci", "virtio_console"]
READY = "GUEST-READY"
SERIAL = "virtio-serial-pci,id=vs0"
APPEARS = """
while ! [ -e /dev/vport0p1 ]; do sleep 0.1; done
"""
ECHO = f"""{APPEARS}
until grep . /sys/class/virtio-ports/vport0p1/name; do sleep 0.1; done
exec 3<>/dev/vport0p1
echo {READY}
while true; do {LISTEN}; echo "you said $line" >&3; done
"""
CONSOLE = f"""
echo {READY}
setsid sh -c 'exec < /dev/hvc0 > /dev/hvc0 2>&1; echo on the console; read line; echo got $line; sleep 100'
"""


def bulk(megabytes: int) -> str:
    return f"""{APPEARS}
exec 3<>/dev/vport0p1
echo {READY}
dd if=/dev/zero bs=64k count={megabytes * 16} 2>/dev/null | tr '\\0' x >&3
head -c {megabytes << 20} <&3 | md5sum
"""


class Peer:
    """A program at the host's end of a socket chardev."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def line(self) -> str:
        async with asyncio.timeout(PATIENCE):
            return (await self.reader.readline()).decode().rstrip()

    def send(self, text: str) -> None:
        self.writer.write(text.encode())


@asynccontextmanager
async def peer(path: Path) -> AsyncIterator[Peer]:
    """Connects to the socket that the machine listens on."""
    reader, writer = await asyncio.open_unix_connection(str(path))
    try:
        yield Peer(reader, writer)
    finally:
        writer.close()


def listening(path: Path) -> str:
    return f"socket,id=c0,path={path},server=on,wait=off"


@pytest.mark.parametrize("form", ["virtio-serial-pci,id=vs0", "virtio-serial-pci-non-transitional,id=vs0,packed=on"])
async def test_a_port_has_a_name_and_carries_lines_both_ways(tmp_path: Path, form: str) -> None:
    path = tmp_path / "s"
    devices = [form, "virtserialport,id=port,chardev=c0,name=org.varan.test"]
    async with (
        linux(tmp_path, ECHO, MODULES, chardevs=[listening(path)], devices=devices) as (vm, listener),
        peer(path) as host,
    ):
        await vm.serial.expect(f"org.varan.test\r\n{READY}", timeout=PATIENCE)
        assert await until(listener, events.VserportChange) == events.VserportChange(id="port", open=True)
        for word in ("one", "two"):
            host.send(f"{word}\n")
            assert await host.line() == f"you said {word}"


async def test_a_console_port_is_hvc0(tmp_path: Path) -> None:
    path = tmp_path / "s"
    devices = [SERIAL, "virtconsole,chardev=c0"]
    async with (
        linux(tmp_path, CONSOLE, MODULES, chardevs=[listening(path)], devices=devices) as (vm, _),
        peer(path) as host,
    ):
        await vm.serial.expect(READY, timeout=PATIENCE)
        assert await host.line() == "on the console"
        host.send("it\n")
        while (line := await host.line()) != "got it":
            assert line in ("it", "")


async def test_a_slow_host_and_a_slow_guest_lose_nothing(tmp_path: Path) -> None:
    path, size = tmp_path / "s", 2 << 20
    devices = [SERIAL, "virtserialport,chardev=c0"]
    async with (
        linux(tmp_path, bulk(2), MODULES, chardevs=[listening(path)], devices=devices) as (vm, _),
        peer(path) as host,
    ):
        await vm.serial.expect(READY, timeout=PATIENCE)
        await asyncio.sleep(0.5)
        async with asyncio.timeout(PATIENCE):
            assert await host.reader.readexactly(size) == b"x" * size
        data = bytes(index * 7 % 251 for index in range(size))
        host.writer.write(data)
        await vm.serial.expect(hashlib.md5(data).hexdigest(), timeout=PATIENCE)


HOTPLUG = f"""
echo {READY}
while ! [ -e /dev/vport0p2 ]; do sleep 0.1; done
until grep . /sys/class/virtio-ports/vport0p2/name; do sleep 0.1; done
echo hello > /dev/vport0p2
while [ -e /dev/vport0p2 ]; do sleep 0.1; done
echo it is gone
"""


async def test_ports_come_and_go(tmp_path: Path) -> None:
    path = tmp_path / "s"
    async with (
        linux(tmp_path, HOTPLUG, MODULES, chardevs=[listening(path)], devices=[SERIAL]) as (vm, listener),
        peer(path) as host,
    ):
        await vm.serial.expect(READY, timeout=PATIENCE)
        port = {"driver": "virtserialport", "chardev": "c0", "nr": 2, "name": "late"}
        await vm.qmp.execute("device_add", {**port, "id": "p2", "bus": "vs0.0"})
        await vm.serial.expect("late", timeout=PATIENCE)
        assert await host.line() == "hello"
        with pytest.raises(GenericError, match="A port already exists by name late"):
            await vm.qmp.execute("device_add", {**port, "id": "p3"})
        await vm.qmp.device_del(id="p2")
        assert (await until(listener, events.DeviceDeleted)).device == "p2"
        await vm.serial.expect("it is gone", timeout=PATIENCE)
