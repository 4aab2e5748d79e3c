"""A whole machine killed while its guest writes to disks and a client has jobs, snapshots and bitmaps done on them.

Images are sound to QEMU's check, everything that the guest had flushed is there (to Varan, to QEMU, and to the guest of
a new machine), and so is what the client was told to be done.

VARAN_POWER_CUTS says how often in all (one time each where it is not set).
"""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest
from tests.support import record_guest as guest
from tests.support.cut_machine import FIRST, CutMachine, GoneError, copy_disks, make_disks, read_by_guest
from tests.support.cut_scenarios import SCENARIOS, Client, Disk
from tests.support.image_tools import Tools, qemu

from varan.block import blocking

pytestmark = [pytest.mark.interop, pytest.mark.timeout(3600)]

CUTS = -(-int(os.environ.get("VARAN_POWER_CUTS", "9")) // len(SCENARIOS))
LONGEST = 0.8
"""Seconds until the power goes, at most."""


@pytest.fixture(scope="module")
def new_disks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("disks")
    make_disks(directory)
    return directory


def format_of(image: Path) -> str:
    return image.suffix[1:]


def drive(image: Path) -> str:
    return f"file={image},format={format_of(image)}"


def cut(directory: Path, scenario: str, chance: random.Random) -> tuple[Client, list[int]]:
    """A machine's life; what its client knows, and how far the guest had flushed each disk."""
    drives = [drive(directory / f"top{number}.qcow2") for number in range(2)]
    line = f"w {FIRST:x} {guest.QUARTER:x} {chance.choice([0, 10_000, 100_000]):x}"
    with CutMachine(directory, drives, line) as machine:
        client = Client(machine, qemu(), chance)
        machine.wait_for_record(FIRST + 5)
        machine.kill_in(chance.random() * LONGEST)
        with pytest.raises(GoneError):
            while True:
                SCENARIOS[scenario](client, chance.choice(client.disks))
                machine.listen(chance.random() * 0.01)
        machine.kill()
        assert not machine.complaints()
        return client, [machine.flushed(number) for number in range(2)]


def check(tools: Tools, image: Path) -> int:
    """No corruptions; how many clusters are leaked."""
    found = tools.run_img(["info", "--output=json", "-f", "qcow2", str(image)])
    if '"dirty-flag": true' in found.out:
        tools.io(["-f", "qcow2", str(image)], ["length"])
    done = tools.run_img(["check", "-f", "qcow2", str(image)])
    assert done.status in (0, 3), (image, done)
    return sum(int(line.split()[0]) for line in done.out.splitlines() if "leaked clusters were found" in line)


def shown(tools: Tools, image: Path, snapshot: str | None = None) -> bytes:
    """What an image, or a snapshot in it, has for QEMU."""
    copy = image.parent / "copy"
    words = [] if snapshot is None else ["-l", f"snapshot.name={snapshot}"]
    tools.img("convert", "-f", format_of(image), *words, "-O", "raw", str(image), str(copy))
    return copy.read_bytes()


def found_again(tools: Tools, disk: Disk, flushed: int) -> Path:
    """The image that the disk is on."""
    faults = []
    for image in reversed(disk.images):
        done = tools.run_img(["info", "--backing-chain", "-f", format_of(image), str(image)])
        if done.status:
            faults.append(done.err)
            continue
        content = shown(tools, image)
        fault = guest.fault_after_cut(disk.number, content, flushed)
        if fault is None:
            assert len(content) in disk.lengths
            return image
        faults.append(f"{image}: {fault}")
    raise AssertionError(faults)


def assert_promises(tools: Tools, client: Client, flushed: list[int]) -> int:
    """What was flushed is there, and what was told; how many clusters are leaked."""
    images = [found_again(tools, disk, flushed[disk.number]) for disk in client.disks]
    promised = {image for disk in client.disks for image, _ in disk.moments} | set(images)
    leaks = 0
    for image in sorted(client.machine.directory.glob("*.qcow2")):
        if image in promised or not tools.run_img(["info", "-f", "qcow2", str(image)]).status:
            leaks += check(tools, image)
    read = read_by_guest(client.machine.directory, [drive(image) for image in images])
    for image, heard in zip(images, read, strict=True):
        content = shown(tools, image)
        with blocking.open(str(image), format=format_of(image), read_only=True) as opened:
            assert opened.read(0, opened.length) == content
        assert heard == (0, guest.word_sum(content[: guest.SIZE])), image
    moments = {
        (image, name): guest.moment(disk.number, shown(tools, image, name))
        for disk in client.disks
        for image, name in disk.moments
    }
    for first, second in client.together:
        if (first, None) in moments and (second, None) in moments:
            assert moments[first, None] - moments[second, None] in (-1, 0, 1, 2), (first, second)
    for disk in client.disks:
        for image, name in disk.dropped:
            found = tools.json("info", "-f", "qcow2", str(image)).get("snapshots", [])
            assert name not in [one["name"] for one in found]
    return leaks


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_a_machine_killed_leaves_sound_images_with_what_was_promised(
    tmp_path: Path, new_disks: Path, scenario: str
) -> None:
    tools, chance = qemu(), random.Random(scenario)
    leaked, done = 0, dict[str, int]()
    for number in range(CUTS):
        directory = tmp_path / str(number)
        directory.mkdir()
        copy_disks(new_disks, directory)
        client, flushed = cut(directory, scenario, chance)
        leaked += assert_promises(tools, client, flushed)
        for what, count in client.done.items():
            done[what] = done.get(what, 0) + count
    print(f"{scenario}: {CUTS} cuts, {leaked} clusters leaked; {done}")
