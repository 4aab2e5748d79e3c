"""Commands on the disks of a running machine, by chance and one after another, whatever is under way already.

Many are refused, as they must be; none may leave an image unsound.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.support import record_guest as guest
from tests.support.cut_machine import CutMachine, RefusedError
from tests.support.image_tools import Tools

Arguments = dict[str, Any]
SPEEDS = [0, 0, 1 << 20, 8 << 20]
FAULTS = ["write_aio", "l2_update", "l2_load", "l1_update", "cluster_alloc", "refblock_alloc", "flush_to_disk", "none"]


class RandomCommands:
    """The client."""

    def __init__(self, machine: CutMachine, tools: Tools, chance: random.Random) -> None:
        self.machine = machine
        self.tools = tools
        self.chance = chance
        self.log: list[str] = []
        """What was asked, and with what success."""
        self.targets: set[Path] = set()
        """Images that a disk may change over to."""
        self._count = 0
        self._nodes: list[str] = []
        self._bitmaps = ["b0", "b1", "b2"]

    def run(self, commands: int) -> None:
        """So many of them."""
        makers: list[Callable[[str], tuple[str, Arguments]]] = [
            *(self.stream, self.commit, self.mirror, self.mirror_to_node, self.backup, self.backup_to_node),
            *(self.verb, self.verb, self.verb, self.verb, self.snapshot, self.snapshot, self.internal, self.bitmap),
            *(self.bitmap, self.transaction, self.resize, self.throttle, self.media, self.node, self.whole),
        ]
        for _ in range(commands):
            disk = f"disk{self.chance.randrange(2)}"
            self.ask(*self.chance.choice(makers)(disk))
            if self.chance.random() < 0.5:
                self.machine.listen(self.chance.random() * 0.03)

    def ask(self, command: str, arguments: Arguments) -> Any:
        """A command that may be refused."""
        try:
            answer = self.machine.execute(command, **arguments)
        except RefusedError as error:
            self.log.append(f"{command} {arguments}: {error.args[2]['desc']}")
            return None
        self.log.append(f"{command} {arguments}: done")
        return answer

    def path(self) -> Path:
        """A name that no image has."""
        self._count += 1
        return self.machine.directory / f"new{self._count}.qcow2"

    def chain(self, disk: str) -> list[str]:
        """The images of a disk from the topmost on."""
        images = next(one["inserted"]["image"] for one in self.machine.execute("query-block") if one["device"] == disk)
        found = []
        while images:
            found.append(images["filename"].rpartition('filename": "')[2].partition('"')[0] or images["filename"])
            images = images.get("backing-image")
        return found

    def job(self, disk: str) -> Arguments:
        """What all jobs take."""
        chance = self.chance
        made: Arguments = {"job_id": f"job-{disk}", "speed": chance.choice(SPEEDS)}
        if chance.random() < 0.1:
            made |= {"auto_finalize": False}
        return made

    def stream(self, disk: str) -> tuple[str, Arguments]:
        base = self.chance.choice([None, *self.chain(disk)[1:]])
        policy = self.chance.choice(["report", "stop", "ignore"])
        return "block-stream", self.job(disk) | {"device": disk, "base": base, "on_error": policy}

    def commit(self, disk: str) -> tuple[str, Arguments]:
        chain = self.chain(disk)
        base = self.chance.choice(chain[1:] or chain)
        top = self.chance.choice([None, *chain[: chain.index(base)]])
        self.targets.add(Path(base))
        return "block-commit", self.job(disk) | {"device": disk, "base": base, "top": top}

    def mirror(self, disk: str) -> tuple[str, Arguments]:
        target = self.path()
        self.targets.add(target)
        chance = self.chance
        return "drive-mirror", self.job(disk) | {
            "device": disk,
            "target": str(target),
            "format": "qcow2",
            "sync": chance.choice(["full", "top", "none"]),
            "copy_mode": chance.choice(["background", "write-blocking"]),
            "unmap": chance.choice([True, False]),
        }

    def mirror_to_node(self, disk: str) -> tuple[str, Arguments]:
        mode = self.chance.choice(["background", "write-blocking"])
        policy = self.chance.choice(["report", "stop", "ignore"])
        return "blockdev-mirror", self.job(disk) | {
            "device": disk,
            "target": self.add_node(),
            "sync": "full",
            "copy_mode": mode,
            "on_target_error": policy,
        }

    def backup(self, disk: str) -> tuple[str, Arguments]:
        sync = self.chance.choice(["full", "top", "none", "bitmap"])
        made = self.job(disk) | {"device": disk, "target": str(self.path()), "format": "qcow2", "sync": sync}
        if sync == "bitmap":
            made |= {"bitmap": self.chance.choice(self._bitmaps)}
            made |= {"bitmap_mode": self.chance.choice(["on-success", "never", "always"])}
        return "drive-backup", made

    def backup_to_node(self, disk: str) -> tuple[str, Arguments]:
        policy = self.chance.choice(["report", "stop", "ignore"])
        made = {"device": disk, "target": self.add_node(), "sync": "full", "on_target_error": policy}
        return "blockdev-backup", self.job(disk) | made

    def verb(self, disk: str) -> tuple[str, Arguments]:
        """Something for the job that is there, perhaps."""
        chance, id = self.chance, f"job-{disk}"
        what = chance.choice(["pause", "resume", "resume", "set-speed", "cancel", "complete", "complete", "finalize"])
        if what == "finalize":
            return "job-finalize", {"id": id}
        made: Arguments = {"device": id}
        if what == "set-speed":
            made |= {"speed": chance.choice([0, 0, 4 << 20])}
        if what == "cancel":
            made |= {"force": chance.choice([True, False])}
        return f"block-job-{what}", made

    def snapshot(self, disk: str) -> tuple[str, Arguments]:
        return "blockdev-snapshot-sync", {"device": disk, "snapshot_file": str(self.path()), "format": "qcow2"}

    def internal(self, disk: str) -> tuple[str, Arguments]:
        what = self.chance.choice(["internal-sync", "internal-sync", "delete-internal-sync"])
        return f"blockdev-snapshot-{what}", {"device": disk, "name": f"s{self.chance.randrange(4)}"}

    def bitmap(self, disk: str) -> tuple[str, Arguments]:
        chance = self.chance
        what = chance.choice(["add", "add", "remove", "clear", "enable", "disable", "merge"])
        made: Arguments = {"node": disk}
        if what == "merge":
            first, second = chance.sample(self._bitmaps, 2)
            return "block-dirty-bitmap-merge", made | {"target": first, "bitmaps": [second]}
        if what == "add":
            made |= {"persistent": chance.random() < 0.7, "granularity": chance.choice([512, 4096, 65536])}
        return f"block-dirty-bitmap-{what}", made | {"name": chance.choice(self._bitmaps)}

    def transaction(self, disk: str) -> tuple[str, Arguments]:
        """Several things at one moment, or none of them."""
        chance, actions = self.chance, []
        for one in ("disk0", "disk1"):
            made = [self.snapshot(one), self.internal(one), self.bitmap(one), self.backup(one)]
            for name, arguments in chance.sample(made, chance.randrange(1, 3)):
                data = {key.replace("_", "-"): value for key, value in arguments.items()}
                actions.append({"type": name, "data": data})
        if chance.random() < 0.3:
            actions.append({"type": "abort", "data": {}})
        made_properties = {"completion-mode": "grouped"} if chance.random() < 0.3 else None
        return "transaction", {"actions": actions, "properties": made_properties}

    def resize(self, disk: str) -> tuple[str, Arguments]:
        return "block_resize", {"device": disk, "size": guest.SIZE + self.chance.randrange(0, 40) * 65536}

    def throttle(self, disk: str) -> tuple[str, Arguments]:
        limits = dict.fromkeys(("bps", "bps_rd", "bps_wr", "iops", "iops_rd", "iops_wr"), 0)
        limits["bps"] = self.chance.choice([0, 0, 2 << 20, 8 << 20])
        return "block_set_io_throttle", {"device": disk, **limits}

    def media(self, disk: str) -> tuple[str, Arguments]:
        """The optical drive's disc is an image of its own."""
        if self.chance.random() < 0.4:
            return "eject", {"device": "cd0", "force": True}
        image = self.machine.directory / f"disc{self.chance.randrange(2)}.qcow2"
        if not image.exists():
            self.tools.img("create", "-q", "-f", "qcow2", str(image), "1M")
        mode = self.chance.choice(["retain", "read-only", "read-write"])
        return "blockdev-change-medium", {
            "device": "cd0",
            "filename": str(image),
            "format": "qcow2",
            "read_only_mode": mode,
        }

    def node(self, disk: str) -> tuple[str, Arguments]:
        """One that is there goes, or is read."""
        if not self._nodes:
            return "query-named-block-nodes", {}
        name = self.chance.choice(self._nodes)
        if self.chance.random() < 0.5:
            return "blockdev-del", {"node_name": name}
        at = self.chance.randrange(0, guest.SIZE - 65536, 512)
        return "human-monitor-command", {"command_line": f'qemu-io {name} "read {at} 65536"'}

    def whole(self, disk: str) -> tuple[str, Arguments]:
        """The machine stands still, or goes on; or tells."""
        return self.chance.choice(["stop", "cont", "cont", "cont", "query-block", "query-blockstats"]), {}

    def add_node(self) -> str:
        """The name of a node with a new, empty image, some requests to which may fail."""
        path, chance = self.path(), self.chance
        self.tools.img("create", "-q", "-f", "qcow2", str(path), str(guest.SIZE))
        self.targets.add(path)
        source: Arguments = {"driver": "file", "filename": str(path)}
        if chance.random() < 0.3:
            fault = {"event": chance.choice(FAULTS), "once": True, "errno": chance.choice([5, 28])}
            source = {"driver": "blkdebug", "image": source, "inject-error": [fault]}
        name = f"node-{path.stem}"
        if self.ask("blockdev-add", {"driver": "qcow2", "node_name": name, "file": source}) is not None:
            self._nodes.append(name)
        return name
