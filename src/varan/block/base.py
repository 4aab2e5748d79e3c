"""The block node contract: what every format, transport and filter is, and what may be asked of it.

A node is a run of bytes that can be read, written, zeroed, discarded and described. Nodes form a graph: a format node
(qcow2) has a protocol node (file) as its child `file` and perhaps a format node as its child `backing`; a filter
stands in front of one child. Offsets and lengths are in bytes. Buffers are lists of memoryviews that data goes to and
comes from directly: a read fills guest memory without a copy in between.

A request that needs not wait must not cost a trip through an executor: transports try without waiting first, and only
what would wait goes to a worker thread. So most coroutines here finish without ever suspending, and callers in a
hurry may drive them by hand (`varan.block.drive.run_now`).
"""

from __future__ import annotations

import abc
from _thread import allocate_lock

from varan.errors import VaranError
from varan.light import TYPE_CHECKING, Enum, IntFlag, Protocol, field, record

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Mapping, Sequence
    from typing import Any, ClassVar, TypeAlias

    from varan.block.recording import Recorder

_marking = allocate_lock()
"""Held while a node's marks of writes change: requests end on several threads."""

Buffers: TypeAlias = "Sequence[memoryview]"
"""Byte views (format "B", contiguous), in order."""


class ErrorKind(Enum):
    """What kind of thing went wrong, for callers that act on it."""

    NOT_FOUND = "not-found"
    PERMISSION = "permission"
    LOCKED = "locked"
    """Another process has the image."""
    READ_ONLY = "read-only"
    NO_SPACE = "no-space"
    IO = "io"
    CORRUPT = "corrupt"
    """The image contradicts itself or its format."""
    UNSUPPORTED = "unsupported"
    INVALID = "invalid"
    """The request or an option makes no sense."""
    ENCRYPTED = "encrypted"
    """A key is missing or wrong."""
    IN_USE = "in-use"


class BlockError(VaranError):
    """A failed block operation. `where` names the file or node, `offset` the byte (None where it means nothing)."""

    def __init__(self, kind: ErrorKind, message: str, *, where: str = "", offset: int | None = None) -> None:
        self.kind = kind
        self.reason = message
        """What went wrong, without where."""
        self.where = where
        self.offset = offset
        super().__init__(f"{where}: {message}" if where else message)


class Permission(IntFlag):
    """What a parent does with a child, and what it tolerates others to do with it."""

    NONE = 0
    CONSISTENT_READ = 1
    """Reads, and relies on what it reads."""
    WRITE = 2
    WRITE_UNCHANGED = 4
    """Writes what is there already (copy-on-read, streaming)."""
    RESIZE = 8
    ALL = 15


class Write(IntFlag):
    """How a write is meant."""

    NONE = 0
    FUA = 1
    """On stable storage when the call returns."""
    MAY_UNMAP = 2
    """Zeroes may be made by giving space back."""
    NO_FALLBACK = 4
    """`write_zeroes`: fail with UNSUPPORTED rather than write buffers of zeros."""
    UNCHANGED = 8
    """Guests see no change (Permission.WRITE_UNCHANGED suffices)."""
    COMPRESSED = 16
    """Store compressed where the format can: whole clusters (the image's last may be short). Others write plainly."""


class Data(IntFlag):
    """What `block_status` says of an extent."""

    NONE = 0
    DATA = 1
    """Backed by data here."""
    ZERO = 2
    """Reads as zeros."""
    ALLOCATED = 4
    """Decided here, not by the backing child."""
    COMPRESSED = 8
    RAW_OFFSET = 16
    """`Extent.offset` is valid."""


@record(frozen=True, slots=True)
class Extent:
    """`length` bytes of one kind. With RAW_OFFSET they lie unchanged at `offset` of node `file`."""

    length: int
    flags: Data
    offset: int = 0
    file: Node | None = None


@record(frozen=True, slots=True)
class Limits:
    """What a node's requests look like best (bytes). Larger, smaller and unaligned ones work too."""

    request_alignment: int = 1
    """Alignment below which the node itself splits or reads before it writes."""
    optimal_transfer: int = 1 << 20
    zero_alignment: int = 1
    """Alignment at which zeroing and discarding are cheap (a cluster)."""
    max_transfer: int = 1 << 30


@record(frozen=True, slots=True)
class ChildRole:
    """A child that a driver's nodes may have, for the graph, which opens it."""

    name: str
    """"file", "backing"..."""
    probed: bool = False
    """A file name given for it may be of any format, which is guessed; False: the bare protocol node is wanted."""
    required: bool = True


@record(frozen=True, slots=True)
class ImpliedChild:
    """A child that the image itself names (a backing file in a qcow2 header)."""

    role: str
    filename: str
    """As the image has it: a relative name counts from the directory that the image is in."""
    format: str | None = None
    """None: guessed when the role is probed, the protocol's bare node otherwise."""


def no_secrets(name: str) -> bytes:
    """The look-up of secrets where there are none."""
    raise BlockError(ErrorKind.ENCRYPTED, f"no secret with id '{name}'")


@record(slots=True)
class OpenOptions:
    """Options every node has. `driver_options` holds those of its driver, checked by it."""

    node_name: str | None = None
    read_only: bool = False
    auto_read_only: bool = False
    """Open read-only when writing is not allowed, instead of failing."""
    cache_direct: bool = False
    cache_no_flush: bool = False
    cache_writeback: bool = True
    """False: every write is FUA (writethrough)."""
    discard: bool = False
    """True: discards are passed on ("unmap"); False: ignored."""
    detect_zeroes: str = "off"
    """"off", "on" or "unmap"."""
    force_share: bool = False
    """Open (read-only) though another process may write."""
    probed: bool = False
    """The driver was guessed from the image's content, nobody asked for it."""
    inline: bool = False
    """Block the calling thread instead of handing what would wait to a worker thread (tools)."""
    no_backing: bool = False
    """Do not open the backing file that the image names ("backing": null)."""
    describe_only: bool = False
    """Nobody is going to read: an image may stay locked for want of a key."""
    key_later: bool = False
    """Nobody reads yet: an image may be locked until `unlock` gives it its key."""
    secret: Callable[[str], bytes] = no_secrets
    """Look up a secret object by id. Raises BlockError (ENCRYPTED)."""
    throttle_group: Callable[[str], Any] | None = None
    """Look up a throttle group (`varan.block.throttle_group.ThrottleGroup`) by id; set by the graph."""
    driver_options: dict[str, Any] = field(default_factory=dict)
    """By dotted name, values typed as `Driver.open_options` says."""


class Node(abc.ABC):
    """One node of the graph. Made by `varan.block.graph.Graph.open`, which also closes it.

    All coroutines run on one loop at a time. `offset + length` is checked by the caller's `Edge` or back end against
    `length`; a driver may rely on it. Concurrent requests are allowed; overlapping writes end in either order.
    """

    driver: ClassVar[str]
    """The driver's name in options ("qcow2")."""
    listens: bool = False
    """Whether `event` does anything: those with nothing to say to it need not call."""
    implicit: bool = False
    """It is a filter that nobody asked for: who looks at a drive sees what is below."""
    changes_hidden: bool = False
    """It is a backing file, and an image above it decides all that is being written to it (a job sees to that)."""
    highest_write = 0
    """The end of what was written farthest back, in bytes."""
    write_threshold = 0
    """See `watch_writes`; 0 for none."""
    write_mark = 0
    """What a write has to end behind to be worth noting."""

    def __init__(self, options: OpenOptions) -> None:
        self.options = options
        self.node_name = options.node_name or ""
        self.read_only = options.read_only
        self.children: dict[str, Edge] = {}
        """By role: "file", "backing", "data-file"."""
        self.recorder: Recorder | None = None
        """Its dirty bitmaps; None: it never had any."""
        self.granted: tuple[Permission, Permission] = (Permission.NONE, Permission.ALL)
        """What all parents together want and share; kept by the graph."""

    @property
    @abc.abstractmethod
    def length(self) -> int:
        """Size in bytes that the node shows."""

    @property
    def limits(self) -> Limits:
        """How requests are best shaped."""
        return Limits()

    @property
    @abc.abstractmethod
    def filename(self) -> str:
        """A name that opens the node again: a path, a URL, or `json:{...}`."""

    @abc.abstractmethod
    async def read(self, offset: int, buffers: Buffers) -> None:
        """Fill `buffers` from `offset`. Raises BlockError."""

    def read_now(self, offset: int, buffers: Buffers) -> bool:
        """Fill `buffers` without waiting, on whatever thread this is, or say False (they may have changed then).

        Only nodes that keep nothing about the content of their files can; the default cannot.
        """
        return False

    def write_now(self, offset: int, buffers: Buffers) -> bool:
        """Write `buffers` where it goes no further than the host's memory, on whatever thread this is, or say False
        (nothing or something of it may be written then). The range lies within `length`.
        """
        return False

    @abc.abstractmethod
    async def write(self, offset: int, buffers: Buffers, flags: Write = Write.NONE) -> None:
        """Write `buffers` at `offset`. Raises BlockError."""

    async def write_zeroes(self, offset: int, length: int, flags: Write = Write.NONE) -> None:
        """Make the range read as zeros. The default refuses, and the caller falls back to writing zeros."""
        raise BlockError(ErrorKind.UNSUPPORTED, "no cheap zeroing", where=self.filename)

    async def discard(self, offset: int, length: int) -> None:
        """The range's content matters no more. A hint; the default does nothing."""

    async def flush(self) -> None:
        """Put everything that was written on stable storage. The default has nothing to flush."""

    async def block_status(self, offset: int, length: int) -> Extent:
        """Of what kind the bytes from `offset` on are: an extent of 1 to `length` bytes."""
        return Extent(length, Data.DATA | Data.ALLOCATED)

    async def truncate(self, length: int, preallocation: str = "off", *, exact: bool = True) -> None:
        """Change the size. New bytes read as zeros. `exact` False: larger will do (block devices)."""
        raise BlockError(ErrorKind.UNSUPPORTED, "Image format driver does not support resize", where=self.filename)

    @property
    def encrypted(self) -> bool:
        """Whether what is stored here is encrypted."""
        return False

    @property
    def locked(self) -> bool:
        """Whether it is encrypted and there is no key: nothing can be read."""
        return False

    async def unlock(self, password: bytes) -> None:
        """Give an encrypted node its key. Raises BlockError: ENCRYPTED when it does not fit, as far as that shows."""
        raise BlockError(ErrorKind.UNSUPPORTED, "the image is not encrypted", where=self.filename)

    def hurry(self) -> None:
        """Somebody waits for the requests here to end: none of them waits for its turn until `relax`."""

    def relax(self) -> None:
        """Undo one `hurry`."""

    async def close(self) -> None:
        """Write back metadata and release; children are closed by the graph afterwards."""

    async def finish_writing(self) -> None:
        """The node is about to become read-only: leave nothing unfinished. Raises BlockError."""
        await self.flush()

    async def reopened(self) -> None:
        """`read_only` has changed; the files below are as they must be. Nothing is under way. Raises BlockError."""

    def note_write(self, offset: int, length: int) -> None:
        """Drivers tell it of all writes, of zeros too; those in a hurry only of what ends behind `write_mark`."""
        end = offset + length
        if end > self.write_mark:
            self._note_end(end)

    def _note_end(self, end: int) -> None:
        with _marking:
            self.highest_write = max(self.highest_write, end)
            threshold = self.write_threshold
            passed = 0 < threshold < end
            if passed:
                self.write_threshold = 0
            self.write_mark = min(self.highest_write, self.write_threshold or self.highest_write)
        if passed:
            self._threshold_passed(threshold, end - threshold)

    def watch_writes(self, threshold: int, passed: Callable[[int, int], None] = lambda threshold, by: None) -> None:
        """Call `passed`, on any thread, with the threshold and the bytes behind it when a write ends there: once.

        0: no more.
        """
        with _marking:
            self.write_threshold = threshold
            self._threshold_passed = passed
            self.write_mark = min(self.highest_write, threshold or self.highest_write)

    def implied_children(self) -> Sequence[ImpliedChild]:
        """The children that the image names. The graph opens those that no option gave and adds them to `children`."""
        return ()

    async def children_ready(self) -> None:
        """Called once, when `children` is complete. Raises BlockError when one does not fit."""

    @property
    def filtered(self) -> Node | None:
        """The child that a filter stands before, which looks the same; None for what is no filter."""
        return None

    async def event(self, name: str) -> None:
        """A parent reached the point `name` ("l2_load", "read_aio"): fault injection acts on it. May raise or wait."""

    def stored(self) -> int | None:
        """Bytes that the node takes on the host's disk, holes left out. None: cannot tell."""
        return None

    def identity(self) -> Hashable | None:
        """Equal for nodes over the same host file (cycle detection). None: cannot tell."""
        return None

    def child_permissions(self, role: str, wanted: Permission, shared: Permission) -> tuple[Permission, Permission]:
        """What the node needs of the child in `role`, and shares, when its parents want and share this much.

        The default suits filters and, for the role "backing", everyone. Formats with metadata use
        `varan.block.permissions.format_permissions`.
        """
        return backing_permissions(wanted, shared) if role == "backing" else (wanted, shared)

    def permissions_changed(self, wanted: Permission, shared: Permission) -> None:
        """All parents together now want and share this much. Raises BlockError to refuse, changing nothing."""


def backing_permissions(wanted: Permission, shared: Permission) -> tuple[Permission, Permission]:
    """Of a backing file only reads are wanted; it may change only where the parent can live with changes."""
    tolerated = Permission.CONSISTENT_READ | Permission.WRITE_UNCHANGED
    if shared & Permission.WRITE:
        tolerated |= Permission.WRITE | Permission.RESIZE
    return wanted & Permission.CONSISTENT_READ, tolerated


class Holder(Protocol):
    """Who holds a node from outside of the graph and sends requests (a back end, a job)."""

    def hold(self) -> None:
        """Send no further requests until `release`; may be called several times, as `release` then is."""

    async def idle(self) -> None:
        """Return when no request is under way. Called while held."""

    def release(self) -> None:
        """Go on."""

    def moved(self, node: Node) -> None:
        """The edge leads to another node from now on. Called while held."""


@record(slots=True, eq=False)
class Edge:
    """A parent's hold on a child node. I/O goes through the child directly; the edge says what is allowed."""

    node: Node
    role: str
    permissions: Permission
    shared: Permission
    parent: str = ""
    """Who holds it, for messages ("node 'disk0'", "device 'ide0'")."""
    owner: Node | Holder | None = None
    """Who holds it: the node above, or who sends requests from outside. None: somebody who cannot be held back."""


@record(frozen=True, slots=True)
class CreateOption:
    """One option of `create`: name, kind ("size", "bool", "string", "number"), help, default as text."""

    name: str
    kind: str
    help: str
    default: str | None = None


class Driver(abc.ABC):
    """How nodes of one driver come to be. Registered by name in `varan.block.registry`."""

    name: ClassVar[str]
    is_protocol: ClassVar[bool] = False
    is_filter: ClassVar[bool] = False
    create_options: ClassVar[tuple[CreateOption, ...]] = ()
    open_options: ClassVar[Mapping[str, str]] = {}
    """Driver options by dotted name, with the kind of their values ("str", "int", "int|str", "size", "bool", "secret";
    a part `*` stands for an index). Nodes are not options but children: see `child_roles`."""
    child_roles: ClassVar[tuple[ChildRole, ...]] = (ChildRole("file"),)
    """Protocols have (), filters probe their "file", formats with backing files add "backing"."""

    @classmethod
    def parse_filename(cls, filename: str) -> dict[str, Any]:
        """The options (nested or dotted) that a file name of this protocol, prefix and all, stands for."""
        return {"filename": filename}

    @classmethod
    def opening_permissions(cls, role: str, read_only: bool) -> tuple[Permission, Permission]:
        """What `open` itself needs of a child, and shares, before any parent asks for something."""
        return Permission.NONE, Permission.ALL

    @classmethod
    def probe(cls, header: bytes, filename: str) -> int:
        """How sure (0 to 100) the driver is that an image that begins with `header` is its format."""
        return 0

    @classmethod
    @abc.abstractmethod
    async def open(cls, options: OpenOptions, children: dict[str, Edge]) -> Node:
        """A node over `children`. Takes what it knows out of `options.driver_options`. Raises BlockError."""

    @classmethod
    async def create(
        cls, filename: str, size: int, options: dict[str, str], secret: Callable[[str], bytes] = no_secrets
    ) -> None:
        """Make a new image at `filename`; `secret` looks up secrets that options name by id ("key-secret").

        Nothing is left behind when it fails. Raises BlockError.
        """
        raise BlockError(ErrorKind.UNSUPPORTED, f"images of format '{cls.name}' cannot be created", where=filename)
