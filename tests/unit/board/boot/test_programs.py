"""What boots when it is not Linux: firmware, the demonstration guest, nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.support.boot_images import GIB, MIB, ram

from varan.accel.state import CpuState
from varan.board.boot.base import BootError
from varan.board.boot.choose import boot_program
from varan.board.boot.demo import DemoBoot
from varan.board.boot.firmware import FirmwareBoot
from varan.board.boot.linux import LinuxBoot
from varan.board.boot.nothing import NothingBoot
from varan.guest import image

KIB = 1 << 10


def rom(path: Path, size: int) -> tuple[str, bytes]:
    data = b"".join(index.to_bytes(2, "little") for index in range(size // 2 % 0x10000 or 0x8000))
    data = (data * (size // len(data) + 1))[:size]
    path.write_bytes(data)
    return str(path), data


@pytest.mark.parametrize("size", [64 * KIB, 128 * KIB, 256 * KIB])
def test_firmware_ends_at_4_gib_and_shows_below_1_mib(tmp_path: Path, size: int) -> None:
    path, data = rom(tmp_path / "bios", size)
    memory = ram((0, 2 * MIB))
    state = FirmwareBoot(memory, path).install(memory)
    assert state == CpuState()
    assert memory.read_bytes(4 * GIB - size, size) == data
    shown = min(size, 128 * KIB)
    assert memory.read_bytes(MIB - shown, shown) == data[-shown:]


def test_firmware_is_read_only_and_its_copy_is_renewed_at_reset(tmp_path: Path) -> None:
    path, data = rom(tmp_path / "bios", 128 * KIB)
    memory = ram((0, 2 * MIB))
    boot = FirmwareBoot(memory, path)
    boot.install(memory)
    memory.write(4 * GIB - 16, 4, 0)
    memory.write_ram(0xE0000, bytes(16))
    boot.install(memory)
    assert memory.read_bytes(4 * GIB - 16, 16) == data[-16:]
    assert memory.read_bytes(0xE0000, 16) == data[:16]


@pytest.mark.parametrize("size", [0, 1000, 64 * KIB + 512, 16 * MIB + 64 * KIB])
def test_firmware_of_an_odd_size_is_refused(tmp_path: Path, size: int) -> None:
    path = tmp_path / "bios"
    path.touch()
    with path.open("r+b") as file:
        file.truncate(size)
    with pytest.raises(BootError, match=rf"firmware '.*' has {size} bytes; .*multiple of 64 KiB"):
        FirmwareBoot(ram((0, 2 * MIB)), str(path))


def test_firmware_needs_memory_below_1_mib(tmp_path: Path) -> None:
    memory = ram((0, 0xA0000))
    boot = FirmwareBoot(memory, rom(tmp_path / "bios", 64 * KIB)[0])
    with pytest.raises(BootError, match="no memory at 0xf0000"):
        boot.install(memory)


def test_the_demonstration_guest_is_told_how_much_memory_there_is() -> None:
    memory = ram((0, 64 * MIB), (4 * GIB, 16 * MIB))
    state = DemoBoot(memory).install(memory)
    assert state.gprs[7] == 80 * MIB
    assert state.gprs[6] == 64 * MIB
    assert state.rip == image.symbols()["start"]
    assert memory.read_bytes(image.LOAD_ADDRESS, len(image.demo())) == image.demo()


def test_the_demonstration_guest_refuses_a_machine_that_is_too_small() -> None:
    with pytest.raises(BootError, match="needs 512 KiB"):
        DemoBoot(ram((0, 256 * KIB)))


def test_nothing_starts_in_real_mode_where_its_code_is() -> None:
    memory = ram((0, MIB))
    state = NothingBoot().install(memory)
    assert state.cs.base + state.rip == image.NOTHING_ADDRESS
    assert state.cr0 & 1 == 0
    assert memory.read_bytes(image.NOTHING_ADDRESS, len(image.nothing())) == image.nothing()


def test_choose_takes_what_was_given(tmp_path: Path) -> None:
    memory = ram((0, 64 * MIB))
    assert isinstance(boot_program(memory), NothingBoot)
    assert isinstance(boot_program(memory, demo=True), DemoBoot)
    assert isinstance(boot_program(memory, firmware=rom(tmp_path / "bios", 64 * KIB)[0]), FirmwareBoot)


def test_choose_prefers_the_kernel(tmp_path: Path) -> None:
    from tests.support.boot_images import BzImage

    (tmp_path / "vmlinuz").write_bytes(bytes(BzImage()))
    assert isinstance(boot_program(ram((0, 64 * MIB)), kernel=str(tmp_path / "vmlinuz"), demo=True), LinuxBoot)


@pytest.mark.parametrize("extra", [{"initrd": "x"}, {"append": "quiet"}])
def test_choose_refuses_an_initrd_or_command_line_without_a_kernel(extra: dict[str, str]) -> None:
    with pytest.raises(BootError, match="together with a kernel"):
        boot_program(ram((0, 64 * MIB)), **extra)  # type: ignore[arg-type]
