"""What disks are made of and what they have done."""

from __future__ import annotations

from typing import TypeVar

import msgspec
from msgspec import UNSET, UnsetType

from varan.api.values import BlockdevDetectZeroesOptions, BlockDeviceInfo, BlockDeviceIoStatus, BlockInfo
from varan.commands import block_query as handlers
from varan.commands.hmp.registry import INFO, command
from varan.commands.hmp.session import HmpSession

T = TypeVar("T")
_LIMITS = ("bps", "bps_rd", "bps_wr", "iops", "iops_rd", "iops_wr")
_COUNTERS = (
    *("rd_bytes", "wr_bytes", "rd_operations", "wr_operations", "flush_operations"),
    *("wr_total_time_ns", "rd_total_time_ns", "flush_total_time_ns", "rd_merged", "wr_merged", "idle_time_ns"),
)


def _or(value: T | UnsetType, default: T) -> T:
    return default if isinstance(value, UnsetType) else value


@command(
    "block",
    "-n:nodes -v:verbose device:string?",
    help="drives and their media, or one of them (-n: block nodes instead, -v: with all images)",
    group=INFO,
)
async def info_block(session: HmpSession, device: str | None = None, nodes: bool = False, verbose: bool = False) -> str:
    """A name that no drive has may be a node's."""
    drives = [] if nodes else await handlers.query_block(session.machine)
    shown = [_drive(drive, verbose) if device in (None, drive.device) else "" for drive in drives]
    if not any(shown) and (nodes or device is not None):
        found = await handlers.query_named_block_nodes(session.machine)
        shown = [_node(node, verbose) if device in (None, node.node_name) else "" for node in found]
    # An empty line stands before each but the first there is, whether that is shown or not.
    return "".join("\n" + text if number and text else text for number, text in enumerate(shown))


def _drive(info: BlockInfo, verbose: bool) -> str:
    inserted = _or(info.inserted, None)
    node_name = _or(inserted.node_name, "") if inserted else ""
    if info.device:
        name = f"{info.device} ({node_name})" if node_name else info.device
    else:
        name = node_name or _or(info.qdev, "<anonymous>")
    lines = [f"{name}: {_medium(inserted) if inserted else '[not inserted]'}"]
    if info.qdev is not UNSET:
        lines.append(_line("Attached to", info.qdev))
    status = _or(info.io_status, BlockDeviceIoStatus.OK)
    if status is not BlockDeviceIoStatus.OK:
        lines.append(_line("I/O status", status.value))
    if info.removable:
        locked = "locked" if info.locked else "not locked"
        lines.append(_line("Removable device", f"{locked}, tray {'open' if info.tray_open is True else 'closed'}"))
    return "\n".join(lines + (_details(inserted, verbose) if inserted else [])) + "\n"


def _node(info: BlockDeviceInfo, verbose: bool) -> str:
    return "\n".join([f"{_or(info.node_name, '')}: {_medium(info)}", *_details(info, verbose)]) + "\n"


def _medium(info: BlockDeviceInfo) -> str:
    mode = ", read-only" if info.ro else ""
    return f"{info.file} ({info.drv}{mode}{', encrypted' if info.encrypted else ''})"


def _line(label: str, text: str) -> str:
    return f"    {label + ':':<18}{text}"


def _details(info: BlockDeviceInfo, verbose: bool) -> list[str]:
    cache = info.cache
    mode = "writeback" if cache.writeback else "writethrough"
    lines = [
        _line(
            "Cache mode", mode + (", direct" if cache.direct else "") + (", ignore flushes" if cache.no_flush else "")
        )
    ]
    if info.backing_file is not UNSET:
        lines.append(_line("Backing file", f"{info.backing_file} (chain depth: {info.backing_file_depth})"))
    if info.detect_zeroes is not BlockdevDetectZeroesOptions.OFF:
        lines.append(_line("Detect zeroes", info.detect_zeroes.value))
    if any(getattr(info, name) for name in _LIMITS):
        lines.append(_line("I/O throttling", _limits(info)))
    if verbose:
        lines += ["", "Images:", *_images(info)]
    return lines


def _limits(info: BlockDeviceInfo) -> str:
    words = []
    for unit in ("bps", "iops"):
        names = (unit, f"{unit}_rd", f"{unit}_wr")
        words += [f"{name}={getattr(info, name)}" for name in names]
        words += [f"{name}_max={_or(getattr(info, f'{name}_max'), 0)}" for name in names]
    return " ".join([*words, f"iops_size={_or(info.iops_size, 0)}", f"group={_or(info.group, '')}"])


def _images(info: BlockDeviceInfo) -> list[str]:
    from varan.block.operations.qcow2_info import ENCRYPTION_ORDER
    from varan.block.operations.text import image_text

    lines = []
    image = msgspec.to_builtins(info.image)
    while image:
        data = image.get("format-specific", {}).get("data", {})
        if "encrypt" in data:
            data["encrypt"] = {key: data["encrypt"][key] for key in ENCRYPTION_ORDER if key in data["encrypt"]}
        lines += image_text(image)
        image = image.get("backing-image")
    return lines


@command("blockstats", help="what drives have read and written", group=INFO)
async def info_blockstats(session: HmpSession) -> str:
    """A line for each."""
    lines = []
    for drive in await handlers.query_blockstats(session.machine):
        words = [f"{counter}={_or(getattr(drive.stats, counter), 0)}" for counter in _COUNTERS]
        lines.append(f"{_or(drive.device, '')}: {' '.join(words)}\n")
    return "".join(lines)
