"""Commands on disks by chance, then `quit`: no image has a fault or a leak, and all that the guest wrote is there.

VARAN_RANDOM_COMMANDS says how many sequences (a few where it is not set), VARAN_RANDOM_SEED where they begin.
"""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest
from tests.support import record_guest as guest
from tests.support.cut_machine import FIRST, CutMachine, copy_disks, make_disks
from tests.support.image_tools import Tools, qemu
from tests.support.random_commands import RandomCommands

pytestmark = [pytest.mark.interop, pytest.mark.timeout(3600)]

FIRST_SEED = int(os.environ.get("VARAN_RANDOM_SEED", "1"))
SEQUENCES = int(os.environ.get("VARAN_RANDOM_COMMANDS", "2"))
OPTICAL = ["-drive", "if=none,id=cd0,media=cdrom", "-device", "ide-cd,drive=cd0"]


@pytest.fixture(scope="module")
def new_disks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("disks")
    make_disks(directory)
    return directory


def shown(tools: Tools, image: Path) -> bytes:
    """What an image has."""
    copy = image.parent / "copy"
    tools.img("convert", "-f", image.suffix[1:], "-O", "raw", str(image), str(copy))
    return copy.read_bytes()


def assert_there(tools: Tools, disk: int, images: list[Path], flushed: int) -> None:
    """One of these has a moment of the disk after all that was flushed."""
    faults = []
    for image in images:
        try:
            record = guest.moment(disk, shown(tools, image))
        except AssertionError as error:
            faults.append(f"{image}: {error}")
            continue
        if record >= flushed:
            return
        faults.append(f"{image}: record {record}, flushed {flushed}")
    raise AssertionError(faults)


@pytest.mark.parametrize("seed", range(FIRST_SEED, FIRST_SEED + SEQUENCES))
def test_commands_by_chance_leave_nothing_behind(tmp_path: Path, new_disks: Path, seed: int) -> None:
    tools, chance = qemu(), random.Random(seed)
    copy_disks(new_disks, tmp_path)
    drives = [f"file={tmp_path}/top{number}.qcow2,format=qcow2,discard=unmap" for number in range(2)]
    with CutMachine(tmp_path, drives, f"w {FIRST:x} {guest.QUARTER:x} 0", OPTICAL) as machine:
        client = RandomCommands(machine, tools, chance)
        machine.wait_for_record(FIRST + 5)
        client.run(chance.randrange(10, 120))
        images = [Path(client.chain(f"disk{number}")[0]) for number in range(2)]
        machine.quit()
        flushed = [machine.flushed(number) for number in range(2)]
    (tmp_path / "log").write_text("\n".join(client.log))
    for image in sorted(tmp_path.glob("*.qcow2")):
        if image.stat().st_size:
            done = tools.run_img(["check", "-f", "qcow2", str(image)])
            assert done.status == 0, (image, done, *client.log)
    for number, image in enumerate(images):
        others = [one for one in sorted(client.targets) if one != image and one.exists() and one.stat().st_size]
        assert_there(tools, number, [image, *others], flushed[number])
