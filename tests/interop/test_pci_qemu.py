"""Our PCI buses beside QEMU's, before any firmware has touched them."""

from __future__ import annotations

import json
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.support.need import need_tool

import varan
from varan.machine.spec import BootSpec, DeviceSpec, MachineSpec

pytestmark = pytest.mark.interop

DEVICES = (
    ("pci-bridge", "br", "pci.0", {"addr": "5", "chassis_nr": "1"}),
    ("pci-bridge", "inner", "br", {"addr": "2", "chassis_nr": "2"}),
    ("i6300esb", "watchdog", "pci.0", {"addr": "6"}),
    ("virtio-rng-pci-non-transitional", "random", "pci.0", {"addr": "9"}),
    ("virtio-balloon-pci-non-transitional", "balloon", "pci.0", {"addr": "a"}),
    ("virtio-serial-pci-non-transitional", "serial", "pci.0", {"addr": "b"}),
    ("virtio-keyboard-pci", "keyboard", "pci.0", {"addr": "c"}),
    ("virtio-mouse-pci", "mouse", "pci.0", {"addr": "d"}),
    ("virtio-tablet-pci", "tablet", "pci.0", {"addr": "e"}),
    ("virtio-net-pci-non-transitional", "modern", "pci.0", {"addr": "8", "romfile": ""}),
)
LEFT_OUT = {"pci-bridge": ",shpc=off,msi=off"}
"""Parts that QEMU's devices have and ours have not."""
NOT_HERE = {(1, 1)}
"""The PIIX3's disk controller."""
INFO_PCI = {"command-line": "info pci"}


def ask_qemu() -> tuple[list[dict[str, Any]], str]:
    """What QEMU answers to query-pci and `info pci`."""
    program = need_tool("qemu-system-x86_64", package="qemu-system-x86")
    arguments = ["-M", "pc", "-S", "-display", "none", "-nodefaults", "-qmp", "stdio"]
    for driver, id, bus, settings in DEVICES:
        more = "".join(f",{name}={value}" for name, value in settings.items()) + LEFT_OUT.get(driver, "")
        arguments += ["-device", f"{driver},id={id},bus={bus}{more}"]
    commands: list[dict[str, Any]] = [
        {"execute": "qmp_capabilities"},
        {"execute": "query-pci", "id": 1},
        {"execute": "human-monitor-command", "arguments": INFO_PCI, "id": 2},
        {"execute": "quit"},
    ]
    text = "".join(json.dumps(command) + "\n" for command in commands)
    done = subprocess.run([program, *arguments], input=text, capture_output=True, text=True, check=True, timeout=120)
    answers = {message.get("id"): message.get("return") for message in map(json.loads, done.stdout.splitlines())}
    return answers[1], answers[2]


@pytest.fixture
async def vm(tmp_path: Path) -> AsyncIterator[varan.Machine]:
    firmware = tmp_path / "bios"
    firmware.write_bytes(bytes(64 << 10))
    devices = tuple(DeviceSpec(driver, id, bus, settings) for driver, id, bus, settings in DEVICES)
    spec = MachineSpec(memory=16 << 20, boot=BootSpec(firmware=str(firmware)), devices=devices, autostart=False)
    async with varan.Machine(spec=spec) as machine:
        yield machine


async def test_every_function_of_ours_is_listed_as_qemus(vm: varan.Machine) -> None:
    listed, shown = ask_qemu()
    theirs, ours = functions(listed), functions(await vm.qmp.execute("query-pci"))
    assert theirs.keys() - ours.keys() <= NOT_HERE
    assert ours == {place: theirs[place] for place in ours}
    lines = (await vm.qmp.execute("human-monitor-command", INFO_PCI)).splitlines()
    assert blocks(lines) <= blocks(shown.replace("\r", "").splitlines())
    assert len(blocks(lines)) >= 3


def functions(answer: list[dict[str, Any]]) -> dict[tuple[int, int], dict[str, Any]]:
    """The functions of the root bus by slot and function."""
    (root,) = answer
    return {(device["slot"], device["function"]): device for device in root["devices"]}


def blocks(lines: list[str]) -> set[str]:
    """What is shown of each function."""
    return set("\n".join(lines).split("\n  Bus"))
