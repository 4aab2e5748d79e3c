"""`tap`: an Ethernet interface of the host (Documentation/networking/tuntap.rst of the Linux sources)."""

from __future__ import annotations

import asyncio
import fcntl
import os
import struct
from typing import TYPE_CHECKING

from varan.net.base import MAX_FRAME, Netdev
from varan.net.params import Params

if TYPE_CHECKING:
    from varan.net.network import Network
    from varan.net.registry import Options

DEVICE = "/dev/net/tun"
BATCH = 64
"""Frames read before others have their turn."""
_TUNSETIFF = 0x400454CA
_IFF_TAP, _IFF_NO_PI = 0x0002, 0x1000
_IFREQ = struct.Struct("16sH22x")
_NAME_LIMIT = 15
_ABSENT = ("fds", "vhost", "vhostfd", "vhostfds", "vhostforce", "queues", "poll-us", "br", "helper", "sndbuf")


class TapNetdev(Netdev):
    """An interface that it makes, or one behind a descriptor that was inherited."""

    kind = "tap"

    def __init__(self, id: str, name: str, descriptor: int | None, script: str | None, down_script: str | None) -> None:
        super().__init__(id)
        self._name = name
        self._given = descriptor
        self._script = script
        self._down_script = down_script
        self._fd: int | None = None
        self._up = False

    @property
    def description(self) -> str:
        where = f"fd={self._given}" if self._given is not None else f"ifname={self._name}"
        return f"type=tap,{where},script={self._script or 'no'},downscript={self._down_script or 'no'}"

    async def open(self) -> None:
        try:
            self._fd = os.dup(self._given) if self._given is not None else self._make()
        except OSError as error:
            where = f"descriptor {self._given}" if self._given is not None else f"{DEVICE} (interface '{self._name}')"
            raise self.error(
                f"{where}: {error.strerror}; it needs CAP_NET_ADMIN or an interface made for this user "
                "(ip tuntap add mode tap), and netdev kind user needs neither"
            ) from error
        os.set_blocking(self._fd, False)
        try:
            await self._run(self._script)
        except BaseException:
            await self.close()
            raise
        self._up = True
        asyncio.get_running_loop().add_reader(self._fd, self._read)

    def _make(self) -> int:
        fd = os.open(DEVICE, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            request = _IFREQ.pack(self._name.encode(), _IFF_TAP | _IFF_NO_PI)
            made = fcntl.ioctl(fd, _TUNSETIFF, request)
        except OSError:
            os.close(fd)
            raise
        self._name = _IFREQ.unpack(made)[0].rstrip(b"\0").decode()
        return fd

    async def _run(self, script: str | None) -> None:
        if script is None or self._given is not None:
            return
        try:
            process = await asyncio.create_subprocess_exec(script, self._name, stdin=asyncio.subprocess.DEVNULL)
            status = await process.wait()
        except OSError as error:
            raise self.error(f"script '{script}': {error.strerror}") from error
        if status:
            raise self.error(f"script '{script}' failed with status {status}")

    def _read(self) -> None:
        for _ in range(BATCH):
            if self._fd is None:
                return
            try:
                frame = os.read(self._fd, MAX_FRAME)
            except OSError:
                return
            self.deliver(frame)

    def transmit(self, frame: bytes) -> None:
        try:
            if self._fd is not None:
                os.write(self._fd, frame)
        except OSError:
            self.dropped += 1

    def hold_input(self) -> None:
        if self._fd is not None:
            asyncio.get_running_loop().remove_reader(self._fd)

    def resume_input(self) -> None:
        if self._fd is not None:
            asyncio.get_running_loop().add_reader(self._fd, self._read)

    async def close(self) -> None:
        fd, self._fd = self._fd, None
        if fd is None:
            return
        asyncio.get_running_loop().remove_reader(fd)
        try:
            if self._up:
                await self._run(self._down_script)
        finally:
            os.close(fd)


def create(id: str, options: Options, network: Network) -> TapNetdev:
    """A tap back end. Raises NetdevError for a bad option."""
    params = Params(id, options)
    for key in _ABSENT:
        params.refuse(key, "is not supported: frames go through one queue in this process")
    if params.take_bool("vnet_hdr"):
        raise params.error("option 'vnet_hdr' is not supported; leave it off")
    name = params.take("ifname") or ""
    descriptor = params.take_int("fd", 0, 1 << 20)
    script, down_script = params.take_path("script"), params.take_path("downscript")
    params.finish()
    if len(name.encode()) > _NAME_LIMIT:
        raise params.error(f"option 'ifname': an interface's name has at most {_NAME_LIMIT} bytes")
    if descriptor is not None and name:
        raise params.error("options 'ifname' and 'fd' exclude each other")
    scripts = (None if script == "no" else script, None if down_script == "no" else down_script)
    return TapNetdev(id, name, descriptor, *scripts)
