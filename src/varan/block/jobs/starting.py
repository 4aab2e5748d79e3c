"""Starting jobs by what people say: names of devices, nodes and files, looked up and checked first."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from varan.api.values import BitmapSyncMode, BlockdevOnError, MirrorSyncMode
from varan.block import rewire
from varan.block.base import Node, Permission
from varan.block.dirty import DirtyBitmap
from varan.block.formats.qcow2.node import Qcow2Node
from varan.block.graph import Graph
from varan.block.jobs.backup import BackupJob
from varan.block.jobs.base import BlockJob
from varan.block.jobs.chain import chain, contains, find_by_filename
from varan.block.jobs.commit import CommitJob, commit_at_once
from varan.block.jobs.mirror import ActiveCommitJob, MirrorJob
from varan.block.jobs.stream import StreamJob
from varan.block.jobs.targets import bitmap_use, create_target, find_bitmap, open_target
from varan.block.jobs.watch import below_jobs
from varan.block.request import backing_of, unfiltered
from varan.errors import (
    BaseNotFound,
    DeviceHasNoMedium,
    DeviceInUse,
    DeviceIsReadOnly,
    DeviceNotFound,
    GenericError,
    InvalidParameterValue,
    NodeNotFound,
    NotSupported,
)
from varan.jobs.manager import JobManager

if TYPE_CHECKING:
    from varan.block.backend import BlockBackend
    from varan.block.transactions.change import Change

J = TypeVar("J", bound=BlockJob)

GRANULARITY = 65536
_SMALLEST_GRANULARITY, _LARGEST_GRANULARITY = 512, 64 << 20


@dataclass(frozen=True, slots=True)
class JobOptions:
    """What every job can be told. `id` None: called like its device."""

    id: str | None = None
    speed: int = 0
    on_source_error: BlockdevOnError = BlockdevOnError.REPORT
    on_target_error: BlockdevOnError = BlockdevOnError.REPORT
    auto_finalize: bool = True
    auto_dismiss: bool = True
    filter_name: str | None = None


class JobStarter:
    """Starts jobs on the nodes of one machine. Every method raises VaranError, and nothing has begun then."""

    def __init__(self, graph: Graph, backends: Mapping[str, BlockBackend], manager: JobManager) -> None:
        self.graph = graph
        self._backends = backends
        self.manager = manager
        self._change: Change | None = None
        """The transaction that the jobs are to be in. All that is concerned stands still already."""

    def within(self, change: Change) -> JobStarter:
        """The same for jobs that begin as parts of a transaction."""
        starter = JobStarter(self.graph, self._backends, self.manager)
        starter._change = change
        return starter

    def launch(self, jobs: Sequence[BlockJob], *, grouped: bool = False) -> None:
        """Let jobs that have begun do their work."""
        self.manager.start(*jobs, grouped=grouped)

    def there(self, device: str | None, node: str | None) -> list[Node]:
        """The medium of that device or the node of that name, if there is one."""
        backend = self._backends.get(device or "")
        found = backend.node if backend is not None else self.graph.nodes.get(node or "")
        return [found] if found is not None else []

    def either(self, device: str | None, node: str | None) -> Node:
        """The medium of that device, or the node of that name."""
        backend = self._backends.get(device or "")
        if backend is not None and backend.node is None:
            raise DeviceHasNoMedium(backend.name)
        found = self.there(device, node)
        if not found:
            raise NodeNotFound(device or "", node or "")
        return found[0]

    def called(self, node: Node) -> str:
        """What a node is to people: the device whose medium it is, or itself."""
        for name, backend in self._backends.items():
            if backend.node is not None and (backend.node is node or unfiltered(backend.node) is node):
                return name
        return node.node_name

    def is_taken(self, name: str) -> bool:
        """Whether a device with a medium, or a node, is called so."""
        return name in self.graph.nodes or (name in self._backends and self._backends[name].node is not None)

    def node(self, name: str) -> Node:
        """The medium of the device, or the node, of that name."""
        backend = self._backends.get(name)
        if backend is not None:
            if backend.node is None:
                raise DeviceHasNoMedium(name)
            return backend.node
        return self.named(name, NodeNotFound(name))

    def named(self, name: str, otherwise: Exception) -> Node:
        """The node of that name; raises `otherwise` when there is none."""
        if name not in self.graph.nodes:
            raise otherwise
        return self.graph.nodes[name]

    def make(self, kind: Callable[..., J], device: str, options: JobOptions) -> J:
        """A job that has not been placed."""
        id = options.id
        if id is None:
            if device not in self._backends:
                raise GenericError("An explicit job ID is required for this node")
            id = device
        self.manager.check_id(id)
        if any(job.id == id for job in self._with_us):
            raise GenericError(f"Job ID '{id}' already in use")
        return kind(
            self.graph,
            id,
            speed=options.speed,
            on_source_error=options.on_source_error,
            on_target_error=options.on_target_error,
            auto_finalize=options.auto_finalize,
            auto_dismiss=options.auto_dismiss,
        )

    @property
    def _with_us(self) -> list[BlockJob]:
        """Jobs of the same transaction, which have begun already."""
        return self._change.jobs if self._change is not None else []

    def busy(self, node: Node) -> BlockJob | None:
        """The job that works on a node, if any."""
        for job in self.manager.jobs.values():
            if isinstance(job, BlockJob) and unfiltered(node) in job.nodes:
                return job
        return None

    def check_free(self, device: str, *nodes: Node) -> None:
        """Raise DeviceInUse when another job works on one of the nodes."""
        for job in (*self.manager.jobs.values(), *self._with_us):
            if isinstance(job, BlockJob) and job.nodes.intersection(map(unfiltered, nodes)):
                reason = f"Node '{device}' is busy: block device is in use by block job: {job.kind.value}"
                raise DeviceInUse(device, reason)

    async def begin(self, device: str, job: BlockJob) -> None:
        """Let a placed job begin."""
        if self._change is not None:
            await self._join(device, job, self._change)
            return
        self.check_free(device, *job.nodes)
        try:
            async with rewire.quiet(self.graph, *job.nodes):
                self.check_free(device, *job.nodes)
                await job.begin()
                self.manager.start(job)
        except BaseException:
            await job.abort()
            await job.clean()
            raise

    async def _join(self, device: str, job: BlockJob, change: Change) -> None:
        """Let a job begin; it does its work when the transaction has succeeded."""
        self.check_free(device, *job.nodes)
        change.if_undone(job.withdraw)
        change.if_undone(job.abort)
        await job.begin()
        change.jobs.append(job)

    # Stream and commit.

    async def stream(
        self,
        device: str,
        options: JobOptions,
        *,
        base: str | None = None,
        base_node: str | None = None,
        bottom: str | None = None,
        backing_file: str | None = None,
    ) -> None:
        """Stream into a device's topmost image, or into a node."""
        top = unfiltered(self.node(device))
        self.check_free(device, top)
        if base is not None and base_node is not None:
            raise GenericError("'base' and 'base-node' cannot be specified at the same time")
        if bottom is not None and (base is not None or base_node is not None):
            raise GenericError("'bottom' and 'base' or 'base-node' cannot be specified at the same time")
        images = chain(top)
        lowest = self._bottom(device, images, base, base_node, bottom)
        if lowest is None and backing_file is not None:
            raise GenericError("backing file specified, but streaming the entire chain")
        job = self.make(StreamJob, device, options)
        job.place(top, lowest, backing_file, options.filter_name)
        await self.begin(device, job)

    def _bottom(
        self, device: str, images: list[Node], base: str | None, base_node: str | None, bottom: str | None
    ) -> Node | None:
        """The lowest image that is streamed; None: the lowest there is."""
        if bottom is not None:
            node = self.named(bottom, GenericError(f"Cannot find node '{bottom}'"))
            if not contains(images, node):
                raise GenericError(f"Node '{bottom}' is not in a chain starting from '{device}'")
            return unfiltered(node)
        if base_node is not None:
            node = self.named(base_node, GenericError(f"Cannot find node '{base_node}'"))
            if not contains(images[1:], node):
                raise GenericError(f"Node '{base_node}' is not a backing image of '{device}'")
            return images[images.index(unfiltered(node)) - 1]
        if base is not None:
            found = find_by_filename(images, base)
            if found is None or found is images[0]:
                raise BaseNotFound(base)
            return images[images.index(found) - 1]
        return None

    async def commit(
        self,
        device: str,
        options: JobOptions,
        *,
        base: str | None = None,
        base_node: str | None = None,
        top: str | None = None,
        top_node: str | None = None,
        backing_file: str | None = None,
    ) -> None:
        """Commit a part of a device's chain."""
        if device not in self._backends and device not in self.graph.nodes:
            raise DeviceNotFound(device)
        root = self.node(device)
        images = chain(root)
        if options.filter_name is not None and self.is_taken(options.filter_name):
            raise GenericError(f"Duplicate nodes with node-name='{options.filter_name}'")
        if top is not None and top_node is not None:
            raise GenericError("'top-node' and 'top' are mutually exclusive")
        if base is not None and base_node is not None:
            raise GenericError("'base-node' and 'base' are mutually exclusive")
        upper = self._top(images, top, top_node)
        below = chain(upper)
        lower = self._base(below, base, base_node)
        if lower is upper:
            raise GenericError("cannot commit an image into itself")
        if upper is images[0]:
            if backing_file is not None:
                raise GenericError("'backing-file' specified, but 'top' is the active layer")
            active = self.make(ActiveCommitJob, device, options)
            active.place(upper, lower, MirrorSyncMode.TOP, granularity=GRANULARITY, filter_name=options.filter_name)
            await self.begin(device, active)
            return
        job = self.make(CommitJob, device, options)
        job.place(upper, lower, backing_file)
        await self.begin(device, job)

    def with_backing(self) -> list[str]:
        """The devices whose topmost image has one below."""
        return [
            name for name, backend in self._backends.items() if backend.node is not None and backing_of(backend.node)
        ]

    async def commit_at_once(self, device: str) -> None:
        """Empty a device's topmost image into the one below. Requests wait meanwhile."""
        top = unfiltered(self.node(device))
        below = backing_of(top)
        if below is None:
            raise NotSupported()
        if top.read_only:
            raise DeviceIsReadOnly(device, "Block node is read-only")
        self.check_free(device, *chain(top))
        await commit_at_once(self.graph, top, unfiltered(below))

    def _top(self, images: list[Node], top: str | None, top_node: str | None) -> Node:
        if top_node is not None:
            node = self.named(top_node, GenericError(f"Cannot find node '{top_node}'"))
            if not contains(images, node):
                raise GenericError(f"'{top_node}' is not in this backing file chain")
            return unfiltered(node)
        if top is not None:
            found = find_by_filename(images, top)
            if found is None:
                raise GenericError(f"Top image file {top} not found")
            return found
        return images[0]

    def _base(self, images: list[Node], base: str | None, base_node: str | None) -> Node:
        if base_node is not None:
            node = self.named(base_node, GenericError(f"Cannot find node '{base_node}'"))
            if not contains(images, node):
                raise GenericError(f"'{base_node}' is not in this backing file chain")
            return unfiltered(node)
        if base is not None:
            found = find_by_filename(images, base)
            if found is None:
                raise BaseNotFound(base)
            return found
        return images[-1]

    # Mirror and backup.

    async def mirror(
        self,
        device: str,
        target: Node,
        sync: MirrorSyncMode,
        options: JobOptions,
        *,
        granularity: int = 0,
        write_blocking: bool = False,
        unmap: bool = True,
        replaces: str | None = None,
    ) -> None:
        """Mirror a device to a node."""
        source = self.node(device)
        if sync in (MirrorSyncMode.INCREMENTAL, MirrorSyncMode.BITMAP):
            raise GenericError(f"Sync mode '{sync.value}' not supported")
        if target is source:
            raise GenericError("Can't mirror node into itself")
        replaced = None if replaces is None else self._replaced(source, target, replaces)
        job = self.make(MirrorJob, device, options)
        job.place(
            source,
            target,
            _without_backing(sync, source),
            granularity=max(_checked_granularity(granularity), target.limits.zero_alignment),
            write_blocking=write_blocking,
            unmap=unmap,
            replaces=replaced,
            filter_name=options.filter_name,
        )
        await self.begin(device, job)

    def _replaced(self, source: Node, target: Node, name: str) -> Node:
        """The node that a mirror is to replace. It shows what the source shows: whoever uses it sees no change."""
        node = self.named(name, GenericError(f"Failed to find node with node-name='{name}'"))
        shown: Node | None = source
        while shown is not None and shown is not node:
            shown = shown.filtered
        if shown is None:
            raise GenericError(
                f"Cannot replace '{name}' by a node mirrored from '{source.node_name}', "
                "because it cannot be guaranteed that doing so would not lead to an abrupt change of visible data"
            )
        return node

    @asynccontextmanager
    async def target(
        self,
        device: str,
        filename: str,
        format: str | None,
        sync: MirrorSyncMode,
        *,
        existing: bool,
        name: str | None = None,
        id: str | None = None,
    ) -> AsyncIterator[Node]:
        """A node over a file that a job is to write: made first, unless it is there. The body starts the job.

        Where only a part is copied the rest shows from below: what lies below the device, or the device itself.
        """
        source = self.node(device)
        self.check_free(device, source)
        self.manager.check_id(id or device)
        below = {MirrorSyncMode.TOP: backing_of(source), MirrorSyncMode.NONE: source}.get(sync)
        if sync in (MirrorSyncMode.INCREMENTAL, MirrorSyncMode.BITMAP) or (existing and sync is MirrorSyncMode.TOP):
            below = None
        if not existing:
            format = unfiltered(source).driver if format is None else format
            if self._change is not None:
                self._change.remove_if_undone(filename)
            await create_target(filename, format, source.length, below)
        node = await open_target(self.graph, filename, format, name, below)
        holds = self.graph.attach(node, "a job that begins", Permission.NONE, Permission.ALL)
        self.graph.disown(node)
        try:
            yield node
        finally:
            await self.graph.detach(holds)

    async def backup(
        self,
        device: str,
        target: Node,
        sync: MirrorSyncMode,
        options: JobOptions,
        *,
        bitmap: str | None = None,
        bitmap_mode: BitmapSyncMode | None = None,
        compress: bool = False,
    ) -> None:
        """Back a device up to a node."""
        found = await find_bitmap(below_jobs(self.node(device)), bitmap) if bitmap is not None else None
        sync, mode = bitmap_use(sync, found, bitmap_mode)
        job = self.backup_job(device, target, sync, options, bitmap=found, bitmap_mode=mode, compress=compress)
        await self.begin(device, job)

    def backup_job(
        self,
        device: str,
        target: Node,
        sync: MirrorSyncMode,
        options: JobOptions,
        *,
        bitmap: DirtyBitmap | None = None,
        bitmap_mode: BitmapSyncMode = BitmapSyncMode.NEVER,
        compress: bool = False,
    ) -> BackupJob:
        """A placed job that backs a device up to a node."""
        source = self.node(device)
        if target is source:
            raise GenericError("Source and target cannot be the same")
        if compress and not isinstance(unfiltered(target), Qcow2Node):
            raise GenericError(f"Compression is not supported by '{unfiltered(target).driver}' images")
        job = self.make(BackupJob, device, options)
        unit = max(GRANULARITY, target.limits.zero_alignment, bitmap.granularity if bitmap is not None else 0)
        job.place(
            source,
            target,
            _without_backing(sync, source),
            granularity=unit,
            bitmap=bitmap,
            bitmap_mode=bitmap_mode,
            compress=compress,
            filter_name=options.filter_name,
        )
        return job


def _without_backing(sync: MirrorSyncMode, source: Node) -> MirrorSyncMode:
    """An image that has nothing below it is copied in full."""
    return MirrorSyncMode.FULL if sync is MirrorSyncMode.TOP and backing_of(source) is None else sync


def _checked_granularity(granularity: int) -> int:
    if granularity == 0:
        return GRANULARITY
    if not _SMALLEST_GRANULARITY <= granularity <= _LARGEST_GRANULARITY:
        raise InvalidParameterValue("granularity", "a value in range [512B, 64MB]")
    if granularity & (granularity - 1):
        raise InvalidParameterValue("granularity", "a power of 2")
    return granularity
