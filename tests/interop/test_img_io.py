"""varan-io answers commands as qemu-io does."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.support.image_programs import qemu_img, qemu_io, varan_io, without_times

pytestmark = pytest.mark.interop

COMMANDS = (
    "length",
    "write -P 0xab 0 64k",
    "write 1M 1000",
    "read -P 0xab 0 64k",
    "read -P 0xac 0 64k",
    "read -P 0xac -s 512 -l 512 0 64k",
    "read -v 0 70",
    "read -q 0 512",
    "read -C 0 512",
    "write -z 2M 1M",
    "write -z -u 2M 1M",
    "write -c 5M 64k",
    "write -c 6M 1k",
    "write -s /nofile 0 1k",
    "write -P 1 64M 1k",
    "read 64M 1k",
    "read 63M 2M",
    "read 0 0",
    "read",
    "read a 1",
    "read -z 0 1",
    "write -P 999 0 1",
    "readv -v 0 16 16",
    "readv -P 0xab 0 512 512",
    "writev -P 3 0 512 1k",
    "aio_read 0 64k",
    "aio_write -P 4 0 64k",
    "aio_read -P 5 0 64k",
    "aio_flush",
    "flush",
    "alloc 0",
    "alloc 0 1M",
    "alloc 0 64M",
    "alloc 100M",
    "map",
    "truncate 32M",
    "truncate",
    "length",
    "info",
    "sleep 1",
    "read 0 3G",
    "write -u 0 64k",
    "write -n 0 64k",
    "write -fc 0 64k",
    "write -z -P 1 0 64k",
    "write -s other.qcow2 -P 1 0 64k",
    "writev 64M 512",
    "readv 64M 512",
    "aio_write -z 0 512 512",
    "aio_write -P 1 64M 1k",
    "aio_read 64M 1k",
    "aio_flush",
    "discard 0 100M",
    "no-such-command",
    "close",
    "open other.qcow2",
    "write -f 0 512",
    "write -b 0 512",
    "read -b 0 512",
    "write 0 512 512",
    "flush x",
    "quit",
)
SCRIPT = "read 0 1k\nclose\nlength\nopen other.qcow2\nmap\nalloc 0 1M\nread -P 3 0 512\nquit\nread 0 1"


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    """Two directories with the same images."""
    for name in ("theirs", "ours"):
        (tmp_path / name).mkdir()
        qemu_img(tmp_path / name, "create -f qcow2 disk.qcow2 64M")
        qemu_img(tmp_path / name, "create -f qcow2 -b disk.qcow2 -F qcow2 other.qcow2")
    return tmp_path / "theirs", tmp_path / "ours"


def test_every_command_answers_and_exits_the_same(pair: tuple[Path, Path]) -> None:
    theirs, ours = pair
    for command in COMMANDS:
        words = ("-f", "qcow2", "-c", command, "disk.qcow2")
        expected, found = qemu_io(theirs, *words), varan_io(ours, *words)
        assert without_times(found.out) == without_times(expected.out), command
        assert (found.status, bool(found.err)) == (expected.status, bool(expected.err)), command
    assert qemu_img(ours.parent, "compare ours/disk.qcow2 theirs/disk.qcow2").status == 0


def test_a_script_on_standard_input_answers_the_same(pair: tuple[Path, Path]) -> None:
    expected = qemu_io(pair[0], "-f", "qcow2", "disk.qcow2", script=SCRIPT)
    found = varan_io(pair[1], "-f", "qcow2", "disk.qcow2", script=SCRIPT)
    assert without_times(found.out) == without_times(expected.out)
    assert found.status == expected.status == 1


def test_a_file_that_cannot_be_opened(pair: tuple[Path, Path]) -> None:
    found = varan_io(pair[1], "-c", "length", "nofile")
    assert found.status == 1
    assert found.err == "varan-io: can't open device nofile: No such file or directory\n"


def test_writing_an_image_that_was_guessed_raw_warns_and_guards_its_header(pair: tuple[Path, Path]) -> None:
    for directory, io in zip(pair, (qemu_io, varan_io), strict=True):
        (directory / "guessed.raw").write_bytes(bytes(4096))
        done = io(directory, "-c", "write -s disk.qcow2 0 512", "guessed.raw")
        assert (done.status, done.out) == (1, "write failed: Operation not permitted\n")
        assert "guessed.raw" in done.err
        assert (directory / "guessed.raw").read_bytes() == bytes(4096)
        assert not io(directory, "-f", "raw", "-c", "write -s disk.qcow2 0 512", "guessed.raw").err
