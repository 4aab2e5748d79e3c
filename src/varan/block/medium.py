"""Media that come and go: what a device with a removable medium offers, and how a drive's medium is changed.

A drive is called `called` in messages: by its own name or by its device's id, as whoever asks has it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from varan.block import registry
from varan.block.base import BlockError, ErrorKind, Node, OpenOptions
from varan.block.keys import missing_key
from varan.block.options import flatten, invalid, take_common
from varan.errors import (
    DeviceEncrypted,
    DeviceLocked,
    DeviceNotRemovable,
    GenericError,
    InvalidBlockFormat,
    MediumPresent,
    OpenFileFailed,
    TrayClosed,
)

if TYPE_CHECKING:
    from varan.block.backend import BlockBackend
    from varan.block.graph import Graph


class Removable(Protocol):
    """What a device does whose medium can be exchanged. Every call is made with the machine lock held."""

    @property
    def has_tray(self) -> bool:
        """Whether a medium only moves while a tray is open."""

    @property
    def tray_open(self) -> bool:
        """Whether the tray is open; False for a device without one."""

    @property
    def locked(self) -> bool:
        """Whether the guest keeps users from taking the medium out."""

    def eject_requested(self, force: bool) -> None:
        """A user wants the medium out: tell the guest. `force`: its lock counts no more."""

    def set_loaded(self, loaded: bool) -> None:
        """True: the tray has gone in, or a medium into a device without a tray; False: out. The back end has the medium
        that it has then."""


@dataclass(frozen=True, slots=True)
class Retained:
    """How a drive's next medium is opened, unless somebody says otherwise."""

    read_only: bool = False
    cache_direct: bool = False
    cache_no_flush: bool = False
    discard: bool = False
    detect_zeroes: str = "off"

    @classmethod
    def of(cls, node: Node) -> Retained:
        """As `node` was opened."""
        had = node.options
        return cls(had.read_only, had.cache_direct, had.cache_no_flush, had.discard, had.detect_zeroes)

    @classmethod
    def parse(cls, options: Mapping[str, Any]) -> Retained:
        """From options of a node. Raises BlockError for others than a drive keeps."""
        rest = flatten(options)
        had = take_common(rest, OpenOptions())
        if rest:
            raise invalid(f"a drive without a medium has no option '{next(iter(rest))}'")
        return cls(had.read_only, had.cache_direct, had.cache_no_flush, had.discard, had.detect_zeroes)

    def options(self) -> dict[str, Any]:
        """As options of a node."""
        return {
            "read-only": self.read_only,
            "cache.direct": self.cache_direct,
            "cache.no-flush": self.cache_no_flush,
            "discard": "unmap" if self.discard else "ignore",
            "detect-zeroes": self.detect_zeroes,
        }


def is_removable(backend: BlockBackend) -> bool:
    """Whether its medium may come and go: one that no device uses has nothing against it."""
    return backend.user is None or backend.removable is not None


def check_removable(backend: BlockBackend, called: str) -> None:
    """Raise DeviceNotRemovable for a device whose medium stays."""
    if not is_removable(backend):
        raise DeviceNotRemovable(called)


def open_tray(backend: BlockBackend, called: str, *, force: bool = False) -> None:
    """Let the tray out, where there is one and it is in.

    A guest that has locked it is told that it is wanted out; without `force` DeviceLocked is raised then. Raises
    DeviceNotRemovable.
    """
    check_removable(backend, called)
    device = backend.removable
    if device is None or not device.has_tray or device.tray_open:
        return
    with backend.lock:
        locked = device.locked
        if locked:
            device.eject_requested(force)
    if locked and not force:
        raise DeviceLocked(called)
    _load(backend, device, False)


def close_tray(backend: BlockBackend, called: str) -> None:
    """Let the tray in, where there is one and it is out. Raises DeviceNotRemovable."""
    check_removable(backend, called)
    device = backend.removable
    if device is not None and device.has_tray and device.tray_open:
        _load(backend, device, True)


def _stays_for_nobody() -> None:
    return


async def remove_medium(backend: BlockBackend, called: str, check: Callable[[], None] = _stays_for_nobody) -> None:
    """Take the medium out, if there is one. `check` raises when it has to stay.

    Raises DeviceNotRemovable, TrayClosed, and BlockError when it cannot be flushed (it is out then all the same).
    """
    check_removable(backend, called)
    device = backend.removable
    if device is not None and device.has_tray and not device.tray_open:
        raise TrayClosed(called)
    if backend.node is None:
        return
    try:
        await backend.take_out(check)
    finally:
        if backend.node is None and device is not None and not device.has_tray:
            _load(backend, device, False)


def insert_medium(backend: BlockBackend, node: Node) -> None:
    """Put a medium in. Raises DeviceNotRemovable, TrayClosed, MediumPresent, BlockError."""
    if not is_removable(backend):
        raise DeviceNotRemovable(backend.name, "Device is not removable")
    device = backend.removable
    if device is not None and device.has_tray and not device.tray_open:
        raise TrayClosed(backend.name, "Tray of the device is not open")
    if backend.node is not None:
        raise MediumPresent()
    backend.put_in(node)
    if device is not None and not device.has_tray:
        _load(backend, device, True)


def _load(backend: BlockBackend, device: Removable, loaded: bool) -> None:
    with backend.lock:
        before = device.tray_open
        device.set_loaded(loaded)
        after = device.tray_open
    if before != after:
        backend.tray_moved(after)


async def open_medium(
    graph: Graph,
    backend: BlockBackend,
    filename: str,
    format: str | None,
    read_only: bool | None,
    *,
    key_later: bool = False,
) -> Node:
    """Open an image as the drive's media are opened. `read_only` None: like the one before.

    The node is held until `Graph.disown`. Raises InvalidBlockFormat, OpenFileFailed, and DeviceEncrypted for one that
    lacks its key, unless that may come later.
    """
    options = backend.retained.options()
    if read_only is not None:
        options["read-only"] = read_only
    if format is not None:
        _check_format(format)
    try:
        opening = OpenOptions(key_later=key_later)
        node = await graph.open({"filename": filename, **options}, format=format, options=opening, user=None)
    except BlockError as error:
        if error.kind is ErrorKind.ENCRYPTED:
            raise DeviceEncrypted(backend.name, filename) from error
        raise OpenFileFailed(filename, str(error).removeprefix(f"{error.where}: ")) from error
    if not key_later and missing_key(node) is not None:
        await graph.close(node)
        raise DeviceEncrypted(backend.name, filename)
    return node


def _check_format(name: str) -> None:
    try:
        registry.driver(name)
    except BlockError:
        raise InvalidBlockFormat(name) from None


async def change_medium(
    graph: Graph,
    backend: BlockBackend,
    called: str,
    filename: str,
    *,
    format: str | None = None,
    read_only: bool | None = None,
    force: bool = False,
    key_later: bool = False,
    check: Callable[[], None] = _stays_for_nobody,
) -> None:
    """Exchange the medium for an image: out with the tray, out with the old, in with the new, in with the tray.

    `check` raises when the old one must stay. `key_later`: an image may lack its key; DeviceEncrypted is raised in the
    end. Raises what the steps raise; until the tray is out nothing has changed.
    """
    check_removable(backend, called)
    node = await open_medium(graph, backend, filename, format, read_only, key_later=key_later)
    try:
        check()
        open_tray(backend, called, force=force)
        await remove_medium(backend, called, check)
        insert_medium(backend, node)
    except BaseException:
        await graph.close(node)
        raise
    graph.disown(node)
    close_tray(backend, called)
    if missing_key(node) is not None:
        raise DeviceEncrypted(backend.name, filename)


def refuse_in_use(graph: Graph, node: Node) -> None:
    """Raise GenericError when a device has `node` as its medium already."""
    from varan.block.backend import BlockBackend

    if any(isinstance(edge.owner, BlockBackend) for edge in graph.parents(node)):
        raise GenericError(f"Node '{node.node_name}' is already in use")
