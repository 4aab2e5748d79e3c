"""`memory-backend-ram`, `-file`, `-memfd`: host memory that guests get as theirs."""

from __future__ import annotations

import asyncio
import mmap
import os
import re
from collections.abc import Mapping
from typing import Any, ClassVar

from varan.core import hostmemory
from varan.core.memory import PAGE_SIZE, GuestRam
from varan.core.properties import Property
from varan.devices.backends.userobject import UserObject
from varan.devices.environment import Environment
from varan.errors import GenericError, InvalidParameterType, InvalidParameterValue

_NODES = re.compile(r"(\d{1,4})(?:-(\d{1,4}))?")
MISSING = "Parameter '{}' is missing"


def _parse_nodes(given: Any) -> tuple[int, ...]:
    """Numbers of nodes: `0`, `0-3`, or a list of numbers."""
    found: list[int] = []
    for one in given if isinstance(given, list | tuple) else [given]:
        match = _NODES.fullmatch(str(one)) if isinstance(one, str | int) and not isinstance(one, bool) else None
        if match is None:
            raise InvalidParameterType("host-nodes", "integer")
        found += range(int(match[1]), int(match[2] or match[1]) + 1)
    if any(node >= hostmemory.NODE_BITS for node in found):
        raise InvalidParameterValue("host-nodes", f"numbers below {hostmemory.NODE_BITS}")
    return tuple(sorted(set(found)))


class MemoryBackend(UserObject):
    """The memory exists, as `ram`, from `complete` to `dispose`."""

    type_name = "memory-backend"
    properties: ClassVar[tuple[Property, ...]] = (
        Property("size", "size", "bytes (ex: 500M)", default=0),
        Property("share", "bool", "other processes may map it too", default=False),
        Property("merge", "bool", "the host may merge equal pages (KSM)", default=False),
        Property("dump", "bool", "it goes into core dumps", default=True),
        Property("prealloc", "bool", "the host gives all of it at once", default=False),
        Property("reserve", "bool", "only what the host can promise", default=True),
        Property("host-nodes", "int", "NUMA nodes of the host that it comes from", default=(), parse=_parse_nodes),
        Property("policy", "HostMemPolicy", "how", default="default", choices=tuple(hostmemory.POLICIES)),
    )
    early = True
    ram: GuestRam

    def __init__(self, settings: Mapping[str, Any]) -> None:
        if "size" not in settings:
            raise GenericError(MISSING.format("size"))
        super().__init__(settings)
        if not self.settings["size"]:
            raise GenericError(f"property 'size' of {self.type_name} doesn't take value '0'")
        policy, nodes = self.settings["policy"], self.settings["host-nodes"]
        if nodes and policy == "default":
            raise GenericError(
                "host-nodes must be empty for policy default, or you should explicitly specify a policy "
                "other than default"
            )
        if not nodes and policy != "default":
            raise GenericError(f"host-nodes must be set for policy {policy}")

    def map(self, size: int) -> tuple[mmap.mmap, int | None]:
        """The memory, and the advice by which parts of it become zeros again. Raises OSError or ValueError."""
        raise NotImplementedError

    async def complete(self, environment: Environment) -> None:
        size = -(-self.settings["size"] // PAGE_SIZE) * PAGE_SIZE
        try:
            mapping, discard = self.map(size)
            await self._prepare(mapping)
        except ValueError as error:
            raise GenericError(str(error)) from None
        except OSError as error:
            raise GenericError(self.problem(error)) from None
        except OverflowError:
            raise GenericError(f"the host has no {size >> 20} MiB for the guest: more than any host has") from None
        self.ram = GuestRam(size, self.name, mapping, discard)

    def problem(self, error: OSError) -> str:
        """What to tell the user."""
        return f"the host has no {self.settings['size'] >> 20} MiB for the guest: {error.strerror}"

    async def _prepare(self, mapping: mmap.mmap) -> None:
        given = self.settings
        if given["merge"]:
            mapping.madvise(mmap.MADV_MERGEABLE)
        if not given["dump"]:
            mapping.madvise(mmap.MADV_DONTDUMP)
        if given["host-nodes"]:
            try:
                hostmemory.bind(mapping, given["policy"], given["host-nodes"])
            except OSError as error:
                raise ValueError(f"cannot bind memory to host NUMA nodes: {error.strerror}") from None
        if given["prealloc"]:
            await asyncio.to_thread(hostmemory.preallocate, mapping)

    async def dispose(self) -> None:
        self.ram.close()


class MemoryBackendRam(MemoryBackend):
    """Anonymous memory."""

    type_name = "memory-backend-ram"
    abstract = False
    description = "anonymous memory"

    def map(self, size: int) -> tuple[mmap.mmap, int | None]:
        share = self.settings["share"]
        mapping = hostmemory.anonymous(size, share=share, reserve=self.settings["reserve"])
        return mapping, mmap.MADV_REMOVE if share else mmap.MADV_DONTNEED


class MemoryBackendFile(MemoryBackend):
    """A file's pages. Without `share` what the guest writes does not reach the file."""

    type_name = "memory-backend-file"
    abstract = False
    description = "memory of a file"
    properties = (
        Property("mem-path", "string", "the file, or a folder for one without a name", default=""),
        Property("discard-data", "bool", "what is in the file is of no use afterwards", default=False),
    )

    def __init__(self, settings: Mapping[str, Any]) -> None:
        super().__init__(settings)
        if not self.settings["mem-path"]:
            raise GenericError(MISSING.format("mem-path"))

    def map(self, size: int) -> tuple[mmap.mmap, int | None]:
        share = self.settings["share"]
        fd = hostmemory.open_file(self.settings["mem-path"], size)
        try:
            mapping = hostmemory.of_descriptor(fd, size, share=share, reserve=self.settings["reserve"])
        finally:
            os.close(fd)
        return mapping, mmap.MADV_REMOVE if share else None

    def problem(self, error: OSError) -> str:
        return f"can't open backing store {self.settings['mem-path']} for guest RAM: {error.strerror}"

    async def dispose(self) -> None:
        if self.settings["discard-data"] and self.settings["share"]:
            self.ram.discard(0, self.ram.size)
        await super().dispose()


class MemoryBackendMemfd(MemoryBackend):
    """A file in memory, whose descriptor other processes could be given."""

    type_name = "memory-backend-memfd"
    abstract = False
    description = "memory of a file that is in memory"
    properties = (
        Property("share", "bool", "other processes may map it too", default=True),
        Property("seal", "bool", "its size cannot change", default=True),
        Property("hugetlb", "bool", "it has huge pages", default=False),
        Property(
            "hugetlbsize", "size", "size of these, a power of two (ex: 2M), 0 for the host's usual one", default=0
        ),
    )

    def __init__(self, settings: Mapping[str, Any]) -> None:
        super().__init__(settings)
        page = self.settings["hugetlbsize"]
        if page & (page - 1):
            raise InvalidParameterValue("hugetlbsize", "a power of two")

    def map(self, size: int) -> tuple[mmap.mmap, int | None]:
        given = self.settings
        page = given["hugetlbsize"] if given["hugetlb"] else None
        fd = hostmemory.open_memory_file(self.name or "memory", size, seal=given["seal"], huge_page=page)
        try:
            mapping = hostmemory.of_descriptor(fd, size, share=given["share"], reserve=given["reserve"])
        finally:
            os.close(fd)
        return mapping, mmap.MADV_REMOVE if given["share"] else None
