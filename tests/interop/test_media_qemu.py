"""The same media through the trays of Varan and of QEMU: what the monitors answer, and which events follow."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.support.image_tools import qemu
from tests.support.two_monitors import QEMU, VARAN, answers

pytestmark = [pytest.mark.interop, pytest.mark.timeout(200)]

DRIVES = (
    "if=none,id=cd0",
    "if=none,id=hd0,file=hd.raw,format=raw",
    "if=none,id=lone",
    "if=none,id=fixed,file=b.iso,format=raw,media=cdrom",
)
MACHINE = (
    *("-M", "pc", "-S", "-m", "64"),
    *("-blockdev", "raw,node-name=n1,read-only=on,file.driver=file,file.filename=a.iso"),
    *("-device", "ide-cd,drive=cd0,id=cdrom,bus=ide.1"),
    *("-device", "ide-hd,drive=hd0,id=disk,bus=ide.0"),
    *("-device", "ide-cd,drive=n1,bus=ide.0,unit=1,id=named"),
    *("-device", "ide-cd,bus=ide.1,unit=1,id=empty"),
)
CDROM, CD0 = {"id": "cdrom"}, {"device": "cd0"}
NODE = {"driver": "raw", "node-name": "m", "read-only": True, "file": {"driver": "file", "filename": "a.iso"}}
RAW = {"format": "raw"}
COMMANDS: list[tuple[str, dict[str, Any]]] = [
    *(("eject", named) for named in (CD0, CDROM, {"device": "nix"}, {"id": "nix"}, CD0 | CDROM, {})),
    *(("eject", named) for named in ({"device": "hd0"}, {"device": "hd0", "force": True}, {"id": "disk"})),
    *(("eject", {"device": name}) for name in ("lone", "lone", "cdrom", "fixed")),
    ("blockdev-close-tray", CD0),
    ("blockdev-close-tray", CDROM),
    ("blockdev-open-tray", CDROM),
    ("blockdev-open-tray", CDROM | {"force": True}),
    *((name, {"device": drive}) for name in ("blockdev-open-tray", "blockdev-close-tray") for drive in ("hd0", "lone")),
    *((name, {}) for name in ("blockdev-open-tray", "blockdev-close-tray")),
    ("blockdev-close-tray", CDROM),
    *(("blockdev-remove-medium", {"id": id}) for id in ("cdrom", "nix", "disk", "empty")),
    ("blockdev-add", NODE),
    *(("blockdev-insert-medium", {"id": id, "node-name": "m"}) for id in ("cdrom", "disk", "nix")),
    ("blockdev-open-tray", CDROM),
    ("blockdev-insert-medium", CDROM | {"node-name": "nix"}),
    ("blockdev-insert-medium", CDROM | {"node-name": "m"}),
    ("blockdev-insert-medium", CDROM | {"node-name": "m"}),
    ("blockdev-del", {"node-name": "m"}),
    ("blockdev-add", NODE | {"node-name": "m2"}),
    ("blockdev-insert-medium", CDROM | {"node-name": "m2"}),
    ("blockdev-close-tray", CDROM),
    ("blockdev-insert-medium", CDROM | {"node-name": "n1"}),
    ("blockdev-remove-medium", CDROM),
    ("query-block", {}),
    ("eject", CD0),
    ("blockdev-del", {"node-name": "m"}),
    ("blockdev-change-medium", CDROM | RAW | {"filename": "b.iso"}),
    ("blockdev-change-medium", CD0 | RAW | {"filename": "nix.iso"}),
    ("blockdev-change-medium", CD0 | {"filename": "b.iso", "format": "nix"}),
    ("blockdev-change-medium", CD0 | RAW | {"filename": "b.iso", "read-only-mode": "read-only"}),
    ("query-block", {}),
    ("blockdev-change-medium", CD0 | RAW | {"filename": "a.iso", "read-only-mode": "retain"}),
    ("blockdev-change-medium", CD0 | RAW | {"filename": "a.iso", "read-only-mode": "read-write"}),
    ("query-block", {}),
    ("blockdev-change-medium", CD0 | {"filename": "a.iso", "read-only-mode": "bogus"}),
    *(
        ("blockdev-change-medium", RAW | named | {"filename": "b.iso"})
        for named in ({"device": "nix"}, {"id": "nix"}, {"id": "disk"}, {"device": "hd0"}, {}, CD0 | CDROM)
    ),
    ("blockdev-change-medium", RAW | {"device": "lone", "filename": "a.iso"}),
    ("eject", {"id": "named"}),
    ("blockdev-change-medium", RAW | {"id": "named", "filename": "a.iso"}),
    ("blockdev-change-medium", RAW | {"id": "empty", "filename": "a.iso"}),
    ("query-block", {}),
]


async def replies(program: str, directory: Path, accelerator: str) -> list[Any]:
    directory.mkdir()
    for name, size in (("a.iso", 40960), ("b.iso", 61440), ("hd.raw", 1 << 20)):
        (directory / name).write_bytes(bytes(size))
    found = await answers(program, directory, DRIVES, COMMANDS, (*MACHINE, "-accel", accelerator))
    return [(name, given, _comparable(answer), events) for name, given, answer, events in found]


def _comparable(answer: Any) -> Any:
    """Without what names nodes, and what only one of the two has a member for."""
    if not isinstance(answer, list):
        return answer
    for shown in answer:
        inserted = shown.get("inserted", {})
        inserted.pop("encryption_key_missing", None)
        if inserted.get("node-name", "").startswith("#"):
            del inserted["node-name"]
        inserted.get("image", {}).pop("actual-size", None)
    return sorted(answer, key=lambda shown: (shown["device"], shown.get("qdev", "")))


async def test_media_move_as_in_qemu(tmp_path: Path) -> None:
    qemu()
    theirs = await replies(QEMU, tmp_path / "qemu", "tcg")
    ours = await replies(VARAN, tmp_path / "varan", "unicorn")
    for expected, found in zip(theirs, ours, strict=True):
        assert found == expected
