"""What was counted of requests, in the protocol's words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import UNSET, UnsetType

from varan.api.values import (
    BlockDeviceStats,
    BlockDeviceTimedStats,
    BlockLatencyHistogramInfo,
    BlockStats,
    BlockStatsSpecific,
    FileBlockStatsSpecific,
    HostDeviceBlockStatsSpecific,
)
from varan.block.description import below, place_of, visible
from varan.block.intervals import Interval
from varan.block.statistics import BlockStatistics, Kind
from varan.block.transports.file import FileNode

if TYPE_CHECKING:
    from varan.block.backend import BlockBackend
    from varan.block.base import Node

_HOLDING = ("data-file", "file", "image")
"""Roles of a child that holds a node's bytes, the first that there is."""
_SPECIFIC: dict[str, type[FileBlockStatsSpecific | HostDeviceBlockStatsSpecific]] = {
    "file": FileBlockStatsSpecific,
    "host_device": HostDeviceBlockStatsSpecific,
}


def count_backend(backend: BlockBackend) -> BlockStats:
    """What a drive's device has done, and what the nodes below know."""
    if backend.node is None:
        stats = BlockStats(stats=_stats(backend.statistics, 0))
    else:
        stats = count_node(visible(backend.node), whole=True)
        stats.stats = _stats(backend.statistics, stats.stats.wr_highest_offset)
    stats.device = backend.public_name
    if backend.device is not None:
        stats.qdev = place_of(backend)
    return stats


def count_node(node: Node, *, whole: bool = False) -> BlockStats:
    """A node and those that hold its bytes; `whole`: as a drive has it, with the images below."""
    if whole:
        node = visible(node)
    stats = BlockStats(node_name=node.node_name, stats=_stats(None, node.highest_write))
    if isinstance(node, FileNode):
        stats.driver_specific = _specific(node)
    for role in _HOLDING:
        if role in node.children:
            stats.parent = count_node(node.children[role].node, whole=whole)
            break
    if whole:
        backing = below(node)
        if backing is not None:
            stats.backing = count_node(backing, whole=True)
    return stats


def _specific(node: FileNode) -> BlockStatsSpecific | UnsetType:
    kind = _SPECIFIC.get(node.driver)
    if kind is None:
        return UNSET
    counted = node.discards
    return kind(discard_nb_ok=counted.done, discard_nb_failed=counted.failed, discard_bytes_ok=counted.bytes)


def _stats(statistics: BlockStatistics | None, highest: int) -> BlockDeviceStats:
    counted = statistics is not None
    statistics = statistics or BlockStatistics()
    read, write, flush, unmap = statistics.tallies
    idle = statistics.idle
    return BlockDeviceStats(
        rd_bytes=read.bytes,
        wr_bytes=write.bytes,
        unmap_bytes=unmap.bytes,
        rd_operations=read.operations,
        wr_operations=write.operations,
        flush_operations=flush.operations,
        unmap_operations=unmap.operations,
        rd_total_time_ns=read.nanoseconds,
        wr_total_time_ns=write.nanoseconds,
        flush_total_time_ns=flush.nanoseconds,
        unmap_total_time_ns=unmap.nanoseconds,
        wr_highest_offset=highest,
        rd_merged=read.merged,
        wr_merged=write.merged,
        unmap_merged=unmap.merged,
        idle_time_ns=UNSET if idle is None else idle,
        failed_rd_operations=read.failed,
        failed_wr_operations=write.failed,
        failed_flush_operations=flush.failed,
        failed_unmap_operations=unmap.failed,
        invalid_rd_operations=read.invalid,
        invalid_wr_operations=write.invalid,
        invalid_flush_operations=flush.invalid,
        invalid_unmap_operations=unmap.invalid,
        account_invalid=counted and statistics.account_invalid,
        account_failed=counted and statistics.account_failed,
        timed_stats=[_timed(interval, statistics.clock()) for interval in statistics.intervals],
        rd_latency_histogram=_histogram(statistics, Kind.READ),
        wr_latency_histogram=_histogram(statistics, Kind.WRITE),
        flush_latency_histogram=_histogram(statistics, Kind.FLUSH),
    )


def _timed(interval: Interval, now: int) -> BlockDeviceTimedStats:
    read, write, flush = (interval.recent(kind, now) for kind in (Kind.READ, Kind.WRITE, Kind.FLUSH))
    return BlockDeviceTimedStats(
        interval_length=interval.seconds,
        min_rd_latency_ns=read.least,
        max_rd_latency_ns=read.most,
        avg_rd_latency_ns=read.average,
        min_wr_latency_ns=write.least,
        max_wr_latency_ns=write.most,
        avg_wr_latency_ns=write.average,
        min_flush_latency_ns=flush.least,
        max_flush_latency_ns=flush.most,
        avg_flush_latency_ns=flush.average,
        avg_rd_queue_depth=interval.depth(Kind.READ, now),
        avg_wr_queue_depth=interval.depth(Kind.WRITE, now),
    )


def _histogram(statistics: BlockStatistics, kind: Kind) -> BlockLatencyHistogramInfo | UnsetType:
    drawn = statistics.histograms.get(kind)
    return UNSET if drawn is None else BlockLatencyHistogramInfo(boundaries=drawn.boundaries, bins=list(drawn.bins))
