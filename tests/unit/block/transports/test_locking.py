"""Image locks, against real QEMU tools both ways."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from tests.support.block_images import a_graph, raw_image
from tests.support.need import need_tool

from varan.block import registry
from varan.block.base import BlockError, ErrorKind, OpenOptions, Permission
from varan.block.transports.locking import ImageLock

READ = Permission.CONSISTENT_READ
WRITE = Permission.WRITE


class TestBetweenDescriptors:
    def test_what_is_not_shared_cannot_be_had(self, tmp_path: Path):
        path = raw_image(tmp_path)
        with open(path, "r+b") as one, open(path, "r+b") as two:
            first, second = ImageLock(one.fileno(), "first"), ImageLock(two.fileno(), "second")
            first.apply(READ | WRITE, READ)
            with pytest.raises(BlockError) as caught:
                second.apply(READ | WRITE, Permission.ALL)
            assert caught.value.kind is ErrorKind.LOCKED
            assert str(caught.value).startswith('second: failed to get "write" lock')
            second.apply(READ, Permission.ALL)
            with pytest.raises(BlockError) as caught:
                second.apply(READ, READ)
            assert 'shared "write"' in str(caught.value)
            first.apply(READ, Permission.ALL)
            second.apply(READ | WRITE, READ)

    def test_a_refused_change_changes_nothing(self, tmp_path: Path):
        path = raw_image(tmp_path)
        with open(path, "r+b") as one, open(path, "r+b") as two, open(path, "r+b") as three:
            first, second, third = (ImageLock(stream.fileno(), "") for stream in (one, two, three))
            first.apply(WRITE, Permission.ALL & ~Permission.RESIZE)
            second.apply(READ, Permission.ALL)
            with pytest.raises(BlockError):
                second.apply(READ | WRITE | Permission.RESIZE, Permission.ALL)
            third.apply(READ, Permission.ALL & ~Permission.RESIZE)

    def test_locks_end_with_the_description(self, tmp_path: Path):
        path = raw_image(tmp_path)
        with open(path, "r+b") as one:
            ImageLock(one.fileno(), "").apply(WRITE, READ)
        with open(path, "r+b") as two:
            ImageLock(two.fileno(), "").apply(WRITE, READ)


def qemu_io(*arguments: str) -> subprocess.CompletedProcess[str]:
    program = need_tool("qemu-io", "qemu-utils")
    return subprocess.run([program, *arguments, "-c", "quit"], capture_output=True, text=True, timeout=30)


@pytest.mark.interop
class TestAgainstQemu:
    async def test_an_image_that_varan_writes_is_kept_from_qemu(self, tmp_path: Path):
        path = str(tmp_path / "a.qcow2")
        await registry.driver("qcow2").create(path, 1 << 20, {})
        async with a_graph() as graph:
            await graph.open(path)
            for arguments in (["-f", "qcow2"], ["-r", "-f", "qcow2"]):
                answer = qemu_io(*arguments, path)
                assert answer.returncode == 1
                assert '"write" lock' in answer.stderr
            assert qemu_io("-r", "-U", "-f", "qcow2", path).returncode == 0
        assert qemu_io("-f", "qcow2", path).returncode == 0

    async def test_an_image_that_qemu_writes_is_kept_from_varan(self, tmp_path: Path):
        program = need_tool("qemu-io", "qemu-utils")
        path = str(tmp_path / "a.qcow2")
        await registry.driver("qcow2").create(path, 1 << 20, {})
        other = subprocess.Popen([program, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert other.stdin is not None and other.stdout is not None
        try:
            other.stdin.write(b"length\n")
            other.stdin.flush()
            other.stdout.read(1)
            async with a_graph() as graph:
                for read_only in (False, True):
                    with pytest.raises(BlockError) as caught:
                        await graph.open(path, format="qcow2", options=OpenOptions(read_only=read_only))
                    assert caught.value.kind is ErrorKind.LOCKED
                    assert "another process" in str(caught.value)
                node = await graph.open(path, options=OpenOptions(read_only=True, force_share=True))
                assert node.length == 1 << 20
        finally:
            other.communicate(b"quit\n", timeout=20)

    async def test_a_device_keeps_other_writers_out_and_readers_in(self, tmp_path: Path):
        path = raw_image(tmp_path, b"", 1 << 20)
        async with a_graph() as graph:
            node = await graph.open(path, format="raw", user=None)
            edge = graph.attach(node, "device 'ide0'", READ | WRITE, READ)
            assert 'Failed to get "write" lock' in qemu_io("-f", "raw", path).stderr
            assert qemu_io("-r", "-f", "raw", path).returncode == 0
            graph.change(edge, READ, Permission.ALL)
            assert qemu_io("-f", "raw", path).returncode == 0
            await graph.detach(edge)

    async def test_locking_can_be_turned_off(self, tmp_path: Path):
        path = raw_image(tmp_path, b"", 1 << 20)
        async with a_graph() as graph:
            node = await graph.open({"driver": "raw", "file.filename": path, "file.locking": "off"}, user=None)
            edge = graph.attach(node, "device 'ide0'", READ | WRITE, READ)
            assert qemu_io("-f", "raw", path).returncode == 0
            await graph.detach(edge)
