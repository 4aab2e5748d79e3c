"""What a client does to the two disks of a running machine, by chance, until the power goes.

Each scenario goes on for ever; the end is the machine's (GoneError). It keeps note of which images a disk may be on,
and of which images are promised to have a moment of a disk.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support import record_guest as guest
from tests.support.cut_machine import CutMachine, RefusedError
from tests.support.image_tools import Tools

MOST = 20
"""Snapshots in an image."""
ENDS = ("BLOCK_JOB_COMPLETED", "BLOCK_JOB_CANCELLED")


@dataclass
class Disk:
    """A disk, and what an outsider can know of it."""

    number: int
    images: list[Path]
    """The one it is on; while that is about to change, both, the later one last."""
    moments: list[tuple[Path, str | None]] = field(default_factory=list)
    """Images, or snapshots inside of them, that are promised to have a moment of the disk."""
    dropped: list[tuple[Path, str]] = field(default_factory=list)
    """Snapshots that must be gone."""
    lengths: set[int] = field(default_factory=lambda: {guest.SIZE})
    backup: Path | None = None
    """The last incremental one."""
    recorded: bool = False
    """Whether there is a bitmap for them."""
    faulty: bool = False
    """Whether the job at work on it may fail."""

    @property
    def name(self) -> str:
        return f"disk{self.number}"


class Client:
    """The client, its luck, and the disks."""

    def __init__(self, machine: CutMachine, tools: Tools, chance: random.Random) -> None:
        self.machine = machine
        self.tools = tools
        self.chance = chance
        self.disks = [Disk(number, [machine.directory / f"top{number}.qcow2"]) for number in range(2)]
        self.together: list[tuple[Path, Path]] = []
        """Images of both disks that have the same moment."""
        self.done: dict[str, int] = {}
        """How often things came to their end."""
        self._count = 0

    def new(self, disk: Disk, suffix: str = "qcow2") -> Path:
        """A name that no image has."""
        self._count += 1
        return self.machine.directory / f"new{disk.number}-{self._count}.{suffix}"

    def note(self, what: str) -> None:
        self.done[what] = self.done.get(what, 0) + 1

    def speed(self) -> int:
        return self.chance.choice([0, 0, 8 << 20, 32 << 20])

    def try_to(self, command: str, **arguments: Any) -> bool:
        """A command that may come too late; whether it did not."""
        try:
            self.machine.execute(command, **arguments)
        except RefusedError:
            self.note("too late")
            return False
        return True

    def meddle(self, disk: Disk) -> bool:
        """Pause a job, go on, change its speed, cancel it, or let it be; whether it is cancelled."""
        machine, chance = self.machine, self.chance
        while (what := chance.random()) < 0.6:
            if what < 0.2:
                self.try_to("block-job-pause", device=disk.name)
                machine.listen(chance.random() * 0.03)
                self.try_to("block-job-resume", device=disk.name)
            elif what < 0.4:
                self.try_to("block-job-set-speed", device=disk.name, speed=chance.choice([0, 4 << 20, 16 << 20]))
            elif what < 0.48:
                return self.try_to("block-job-cancel", device=disk.name, force=True)
            machine.listen(chance.random() * 0.03)
        return False

    def end(self, disk: Disk) -> bool:
        """Wait for the end of a job that needs no completion; whether it came to its own."""
        self.meddle(disk)
        self.try_to("block-job-set-speed", device=disk.name, speed=0)
        return self.ended(self.machine.until(*ENDS, device=disk.name), disk) == "completed"

    def ended(self, event: dict[str, Any], disk: Disk) -> str:
        """How a job did."""
        failed = "error" in event["data"]
        assert not failed or disk.faulty, event
        disk.faulty = False
        how = "failed" if failed else event["event"].removeprefix("BLOCK_JOB_").lower()
        self.note(how)
        return str(how)

    def complete(self, disk: Disk, target: Path, *, whole: bool) -> None:
        """Wait until a job is ready, then let the disk change over to `target`, or not."""
        machine = self.machine
        if self.meddle(disk):
            self.ended(machine.until(*ENDS, device=disk.name), disk)
            return
        self.try_to("block-job-set-speed", device=disk.name, speed=0)
        if (event := machine.until("BLOCK_JOB_READY", *ENDS, device=disk.name))["event"] in ENDS:
            self.ended(event, disk)
            return
        if self.chance.random() < 0.5:
            machine.listen(self.chance.random() * 0.05)
        over = self.chance.random() < 0.7
        if over:
            disk.images.append(target)
        self.try_to("block-job-complete" if over else "block-job-cancel", device=disk.name)
        well = self.ended(machine.until(*ENDS, device=disk.name), disk) == "completed"
        if over:
            disk.images.pop(0 if well else 1)
        elif well and whole:
            disk.moments.append((target, None))

    def snapshot(self, disk: Disk) -> None:
        """The disk goes on in a new image."""
        old, overlay = disk.images[-1], self.new(disk)
        disk.images.append(overlay)
        self.machine.execute("blockdev-snapshot-sync", device=disk.name, snapshot_file=str(overlay), format="qcow2")
        del disk.images[:-1]
        self.forget(old)
        disk.moments.append((old, None))
        self.note("snapshot")

    def forget(self, path: Path) -> None:
        """What an image has is promised no more: it is going to change."""
        for disk in self.disks:
            disk.moments = [one for one in disk.moments if one[0] != path]

    def chain(self, disk: Disk) -> list[Path]:
        """The images of a disk from the topmost on, as the machine says."""
        images = next(one["inserted"]["image"] for one in self.query() if one["device"] == disk.name)
        found = []
        while images:
            found.append(Path(images["filename"]))
            images = images.get("backing-image")
        return found

    def query(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.machine.execute("query-block")
        return found


def streams(client: Client, disk: Disk) -> None:
    """The whole chain, or down to a base, goes into the topmost image; then a new one comes."""
    below = client.chain(disk)[1:]
    base = client.chance.choice([None, *below])
    client.machine.execute("block-stream", device=disk.name, base=str(base) if base else None, speed=client.speed())
    client.end(disk)
    for _ in range(client.chance.randrange(1, 3)):
        client.snapshot(disk)


def commits(client: Client, disk: Disk) -> None:
    """Some images go into one below them."""
    chain = client.chain(disk)
    if len(chain) < 3:
        client.snapshot(disk)
        return
    top = client.chance.randrange(1, len(chain) - 1)
    base = client.chance.randrange(top + 1, len(chain))
    for image in chain[top:]:
        client.forget(image)
    client.machine.execute(
        "block-commit", device=disk.name, top=str(chain[top]), base=str(chain[base]), speed=client.speed()
    )
    client.end(disk)
    client.snapshot(disk)


def active_commits(client: Client, disk: Disk) -> None:
    """The topmost image goes into one below it."""
    chain = client.chain(disk)
    base = client.chance.choice(chain[1:])
    for image in chain:
        client.forget(image)
    client.machine.execute("block-commit", device=disk.name, base=str(base), speed=client.speed())
    client.complete(disk, base, whole=False)
    client.snapshot(disk)


def mirrors(client: Client, disk: Disk) -> None:
    """The disk is copied to a file or a node, and perhaps changes over to it."""
    chance, target = client.chance, client.new(disk)
    mode = chance.choice(["background", "write-blocking"])
    sync = chance.choice(["full", "full", "top", "none"])
    options: dict[str, Any] = {"device": disk.name, "copy_mode": mode, "speed": client.speed()}
    if chance.random() < 0.5:
        client.machine.execute("drive-mirror", **options, target=str(target), sync=sync, format="qcow2")
    else:
        sync = "full"
        client.machine.execute(
            "blockdev-mirror", **options, target=add_node(client, disk, target), sync=sync, job_id=disk.name
        )
    client.complete(disk, target, whole=sync == "full")


def backups(client: Client, disk: Disk) -> None:
    """The disk as it is goes to a file or node; or only what has changed since the last time does."""
    kind = client.chance.choice(["full", "top", "node", "incremental", "incremental"])
    target = client.new(disk)
    if kind == "incremental":
        whole = increment(client, disk, target)
    elif kind == "node":
        whole = backup_to_node(client, disk, target)
    else:
        client.machine.execute(
            "drive-backup", device=disk.name, target=str(target), sync=kind, format="qcow2", speed=client.speed()
        )
        whole = client.end(disk) and kind == "full"
    if whole:
        disk.moments.append((target, None))


def backup_to_node(client: Client, disk: Disk, target: Path) -> bool:
    """All of it; whether it came to its end."""
    node = add_node(client, disk, target)
    client.machine.execute(
        "blockdev-backup", device=disk.name, target=node, sync="full", speed=client.speed(), job_id=disk.name
    )
    return client.end(disk)


def increment(client: Client, disk: Disk, target: Path) -> bool:
    """The first one is whole, and begins with the bitmap; whether it came to its end."""
    bitmap = f"since{disk.number}"
    job = {"device": disk.name, "target": str(target), "format": "qcow2"}
    if disk.backup is None:
        if disk.recorded:
            client.machine.execute("block-dirty-bitmap-remove", node=disk.name, name=bitmap)
        added = {"node": disk.name, "name": bitmap, "persistent": True}
        actions = [
            {"type": "block-dirty-bitmap-add", "data": added},
            {"type": "drive-backup", "data": job | {"sync": "full"}},
        ]
        client.machine.execute("transaction", actions=actions)
        disk.recorded = True
    else:
        client.tools.img("create", "-q", "-f", "qcow2", "-b", str(disk.backup), "-F", "qcow2", str(target))
        job |= {"sync": "incremental", "bitmap": bitmap, "mode": "existing"}
        client.machine.execute("drive-backup", **job, speed=client.speed())
    if not client.end(disk):
        return False
    disk.backup = target
    client.note("increment")
    return True


def add_node(client: Client, disk: Disk, path: Path) -> str:
    """The name of a node with a new, empty image, some request to which may fail."""
    client.tools.img("create", "-q", "-f", "qcow2", str(path), str(guest.SIZE))
    name = f"node-{path.stem}"
    source: dict[str, Any] = {"driver": "file", "filename": str(path)}
    if client.chance.random() < 0.3:
        disk.faulty = True
        event = client.chance.choice(["write_aio", "l2_update", "l1_update", "flush_to_disk", "cluster_alloc"])
        source = {"driver": "blkdebug", "image": source, "inject-error": [{"event": event, "once": True}]}
    client.machine.execute("blockdev-add", driver="qcow2", node_name=name, file=source)
    return name


def snapshots(client: Client, disk: Disk) -> None:
    """One disk goes on in a new image, or both do at one moment."""
    if client.chance.random() < 0.4:
        client.snapshot(disk)
        return
    old = [one.images[-1] for one in client.disks]
    actions = []
    for one in client.disks:
        overlay = client.new(one)
        one.images.append(overlay)
        data = {"device": one.name, "snapshot-file": str(overlay), "format": "qcow2"}
        actions.append({"type": "blockdev-snapshot-sync", "data": data})
    if fails := client.chance.random() < 0.3:
        actions.append({"type": "abort", "data": {}})
    try:
        client.machine.execute("transaction", actions=actions)
    except RefusedError:
        assert fails
        for one in client.disks:
            one.images.pop()
        return
    assert not fails
    for one in client.disks:
        del one.images[:-1]
        one.moments.append((old[one.number], None))
    client.together.append((old[0], old[1]))
    client.note("together")


def internal_snapshots(client: Client, disk: Disk) -> None:
    """A snapshot comes inside of the image, or goes."""
    image = disk.images[-1]
    kept = [name for path, name in disk.moments if path == image and name is not None]
    if kept and (len(kept) >= MOST or client.chance.random() < 0.4):
        name = client.chance.choice(kept)
        disk.moments.remove((image, name))
        client.machine.execute("blockdev-snapshot-delete-internal-sync", device=disk.name, name=name)
        disk.dropped.append((image, name))
        client.note("deleted")
        return
    name = client.new(disk).stem
    client.machine.execute("blockdev-snapshot-internal-sync", device=disk.name, name=name)
    disk.moments.append((image, name))
    client.note("kept")


def bitmaps(client: Client, disk: Disk) -> None:
    """Persistent bitmaps come, are merged, and go; a new image takes their image's place."""
    chance, machine = client.chance, client.machine
    node = next(one["inserted"] for one in client.query() if one["device"] == disk.name)
    names = [one["name"] for one in node.get("dirty-bitmaps", [])]
    what = chance.random()
    if len(names) < 2 or (what < 0.3 and len(names) < 6):
        options = {"persistent": chance.random() < 0.8, "granularity": chance.choice([512, 4096, 65536])}
        machine.execute("block-dirty-bitmap-add", node=disk.name, name=client.new(disk).stem, **options)
        client.note("added")
    elif what < 0.5:
        machine.execute("block-dirty-bitmap-remove", node=disk.name, name=chance.choice(names))
        client.note("removed")
    elif what < 0.7:
        machine.execute("block-dirty-bitmap-merge", node=disk.name, target=names[0], bitmaps=[names[1]])
        client.note("merged")
    elif what < 0.85:
        machine.execute("block-dirty-bitmap-clear", node=disk.name, name=chance.choice(names))
    else:
        client.snapshot(disk)


def resizes(client: Client, disk: Disk) -> None:
    """The disk gets longer, or shorter again."""
    length = guest.SIZE + client.chance.randrange(0, 64) * 65536
    disk.lengths.add(length)
    client.machine.execute("block_resize", device=disk.name, size=length)
    disk.lengths = {length}
    client.note("resized")


SCENARIOS: dict[str, Callable[[Client, Disk], None]] = {
    "stream": streams,
    "commit": commits,
    "commit of the top": active_commits,
    "mirror": mirrors,
    "backup": backups,
    "snapshot": snapshots,
    "internal snapshot": internal_snapshots,
    "bitmap": bitmaps,
    "resize": resizes,
}
