"""Descriptor sets: `/dev/fdset/N` as a file name stands for a descriptor that -add-fd put into set N."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from varan.cli.option import UsageError
from varan.cli.process import InheritedFd
from varan.machine.spec import ChardevSpec, MachineSpec

_PATH = re.compile(r"/dev/fdset/(?P<set>\d+)", re.ASCII)


def resolve_path(path: str, fds: Sequence[InheritedFd]) -> str:
    """The name under which the kernel opens the file behind `path`; other paths as they are.

    Raises UsageError when the set has no member.
    """
    match = _PATH.fullmatch(path)
    if match is None:
        return path
    number = int(match["set"])
    for member in fds:
        if member.set == number:
            return f"/dev/fd/{member.fd}"
    raise UsageError(f"could not open '{path}': no -add-fd put a descriptor into set {number}")


def resolve(spec: MachineSpec, fds: Sequence[InheritedFd]) -> MachineSpec:
    """`spec` with every file name resolved. Raises UsageError."""
    boot = spec.boot
    return replace(
        spec,
        boot=replace(
            boot,
            kernel=boot.kernel and resolve_path(boot.kernel, fds),
            initrd=boot.initrd and resolve_path(boot.initrd, fds),
            firmware=boot.firmware and resolve_path(boot.firmware, fds),
        ),
        blockdevs=tuple(
            replace(blockdev, options=_resolve_files(blockdev.options, fds)) for blockdev in spec.blockdevs
        ),
        drives=tuple(
            drive if drive.source is None else replace(drive, source=_resolve_files(drive.source, fds))
            for drive in spec.drives
        ),
        chardevs=tuple(_resolve_chardev(chardev, fds) for chardev in spec.chardevs),
    )


def _resolve_files(options: Mapping[str, Any], fds: Sequence[InheritedFd]) -> Mapping[str, Any]:
    """Block options with file names resolved, nested ones, too."""
    resolved: dict[str, Any] = {}
    for key, value in options.items():
        if isinstance(value, Mapping):
            resolved[key] = _resolve_files(value, fds)
        elif isinstance(value, str) and key.rpartition(".")[2] == "filename":
            resolved[key] = resolve_path(value, fds)
        else:
            resolved[key] = value
    return resolved


def _resolve_chardev(chardev: ChardevSpec, fds: Sequence[InheritedFd]) -> ChardevSpec:
    path = chardev.options.get("path")
    if path is None:
        return chardev
    return replace(chardev, options={**chardev.options, "path": resolve_path(path, fds)})
