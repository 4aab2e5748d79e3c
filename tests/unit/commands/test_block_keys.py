"""Disks whose key comes later: when the guest may start, and what opens them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable
from pathlib import Path
from typing import Any

import pytest

import varan
import varan.block
from varan.errors import VaranError
from varan.machine.spec import BootSpec, DriveSpec, MachineSpec, ObjectSpec

KEY = {"key": b"sesame"}


async def make(path: Path, form: str, **options: str) -> str:
    """A new encrypted image, with `secret` at its start."""
    prefix = "" if form == "luks" else "encrypt."
    given = {f"{prefix}key-secret": "key", **options}
    if form != "aes":
        given[f"{prefix}iter-time"] = "10"
    if form != "luks":
        given["encrypt.format"] = "aes" if form == "aes" else "luks"
    name = "luks" if form == "luks" else "qcow2"
    await varan.block.create(str(path), 1 << 20, format=name, secrets=KEY, **given)
    source = {"driver": name, "file.filename": str(path), f"{prefix}key-secret": "key"}
    async with varan.block.open(source, secrets=KEY) as image:
        await image.write(0, b"secret")
    return str(path)


def described(**drives: Any) -> MachineSpec:
    """A machine with drives of these sources."""
    return MachineSpec(
        memory=16 << 20,
        boot=BootSpec(demo=True),
        drives=tuple(DriveSpec(name, source) for name, source in drives.items()),
    )


async def refusal(work: Awaitable[Any]) -> str:
    """What `work` is refused with."""
    with pytest.raises(VaranError) as refused:
        await work
    return str(refused.value)


async def content(vm: varan.Machine, drive: str) -> bytes:
    """The first bytes of a drive's medium."""
    buffer = bytearray(6)
    await vm._whole.drives.backends[drive].read(0, [memoryview(buffer)])
    return bytes(buffer)


async def state(vm: varan.Machine) -> str:
    return (await vm.qmp.query_status()).status.value


async def shown(vm: varan.Machine) -> tuple[Any, Any]:
    """Whether query-block says that d0 is encrypted, and lacks its key."""
    (inserted,) = (info.inserted for info in await vm.qmp.query_block() if info.device == "d0")
    return inserted.encrypted, inserted.encryption_key_missing


@pytest.fixture(params=["luks", "qcow2", "aes"])
async def encrypted(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[tuple[str, str]]:
    """The kind of encryption, and an image."""
    yield request.param, await make(tmp_path / "private", request.param)


async def test_the_guest_waits_for_the_key(encrypted: tuple[str, str]) -> None:
    form, path = encrypted
    async with varan.Machine(spec=described(plain=None, d0={"filename": path})) as vm:
        await vm._whole.start()
        assert await state(vm) == "prelaunch"
        assert await shown(vm) == (True, True)
        text = f"'d0' ({path}) is encrypted"
        assert await refusal(vm.qmp.cont()) == text
        with pytest.raises(VaranError, match="key-secret"):
            await content(vm, "d0")
        if form != "aes":
            wrong = {"device": "d0", "password": "open"}
            assert await refusal(vm.qmp.execute("block_passwd", wrong)) == "Password incorrect"
            assert await refusal(vm.qmp.cont()) == text
        await vm.qmp.execute("block_passwd", {"device": "d0", "password": "sesame"})
        assert await content(vm, "d0") == b"secret"
        assert await shown(vm) == (True, False)
        assert await state(vm) == "prelaunch", "who gives the key says when it goes on"
        await vm.qmp.cont()
        assert await state(vm) == "running"


async def test_a_drive_whose_key_is_named_needs_no_other(encrypted: tuple[str, str]) -> None:
    form, path = encrypted
    option = "key-secret" if form == "luks" else "encrypt.key-secret"
    spec = described(d0={"filename": path, option: "k"})
    spec = MachineSpec(
        memory=spec.memory, boot=spec.boot, drives=spec.drives, objects=(ObjectSpec("secret", "k", {"data": "sesame"}),)
    )
    async with varan.Machine(spec=spec) as vm:
        await vm.start()
        assert await state(vm) == "running"
        assert await content(vm, "d0") == b"secret"


async def test_images_below_get_the_key_too(tmp_path: Path) -> None:
    base = await make(tmp_path / "base", "aes")
    top = tmp_path / "top"
    await varan.block.create(str(top), 1 << 20, format="qcow2", backing_file=base, backing_fmt="qcow2")
    async with varan.Machine(spec=described(d0={"filename": str(top)})) as vm:
        assert await refusal(vm.qmp.cont()) == f"'d0' ({base}) is encrypted"
        assert (await vm.qmp.human_monitor_command("block_passwd d0 sesame")) == ""
        assert await content(vm, "d0") == b"secret"
        await vm.qmp.cont()


async def test_a_mistyped_key_of_2012_can_be_mended(tmp_path: Path) -> None:
    path = await make(tmp_path / "d", "aes")
    async with varan.Machine(spec=described(d0={"filename": path})) as vm:
        await vm.qmp.execute("block_passwd", {"device": "d0", "password": "sesami"})
        assert await content(vm, "d0") != b"secret"
        await vm.qmp.execute("block_passwd", {"device": "d0", "password": "sesame"})
        assert await content(vm, "d0") == b"secret"


async def test_what_has_no_use_for_a_key_is_told(tmp_path: Path) -> None:
    (tmp_path / "plain").write_bytes(bytes(4096))
    private = await make(tmp_path / "private", "qcow2")
    spec = described(d0={"driver": "raw", "file.filename": str(tmp_path / "plain")}, empty=None)
    async with varan.Machine(spec=spec) as vm:

        async def passwd(**arguments: str) -> str:
            return await refusal(vm.qmp.execute("block_passwd", {**arguments, "password": "x"}))

        assert await passwd(device="d0") == "Device 'd0' is not encrypted"
        assert await passwd(device="nope") == "Device 'nope' not found"
        assert await passwd(device="empty") == "Device 'empty' has no medium"
        assert await passwd() == "Need exactly one of 'device' and 'node-name'"
        node = {"driver": "qcow2", "node-name": "n", "file": {"driver": "file", "filename": private}}
        text = "Parameter 'encrypt.key-secret' is required for cipher"
        assert await refusal(vm.qmp.execute("blockdev-add", node)) == text
        assert await passwd(**{"node-name": "n"}) == "Cannot find device='n' nor node-name='n'"
