"""A firmware file is where the CPU starts after reset: at the end of 4 GiB, then in its copy below 1 MiB."""

from __future__ import annotations

from pathlib import Path

from tests.support.bare_machine import BareMachine

KIB = 1 << 10

# At F000:0000: write "O", the byte at F000:FFF6, that byte changed, and a newline to the debug console; halt.
SHADOW_CODE = bytes.fromhex(
    "ba0204"  # mov dx, 0x402
    "b04f ee"  # mov al, 'O'; out dx, al
    "2ea0f6ff ee"  # mov al, cs:[0xfff6]; out dx, al
    "2ec606f6ff58"  # mov byte ptr cs:[0xfff6], 'X': the copy is RAM
    "2ea0f6ff ee"  # mov al, cs:[0xfff6]; out dx, al
    "b00a ee"  # mov al, newline; out dx, al
    "fa f4 ebfc"  # cli; hlt; again
)
RESET_VECTOR = bytes.fromhex("ea000000f0")  # jmp f000:0000


def firmware(path: Path, size: int) -> str:
    rom = bytearray(size)
    last = size - 64 * KIB
    rom[last : last + len(SHADOW_CODE)] = SHADOW_CODE
    rom[size - 16 : size - 16 + len(RESET_VECTOR)] = RESET_VECTOR
    rom[size - 10] = ord("K")
    path.write_bytes(rom)
    return str(path)


def test_firmware_runs_from_the_reset_vector_and_again_after_a_reset(accelerator: str, tmp_path: Path) -> None:
    with BareMachine(accelerator, memory=1 << 20, firmware=firmware(tmp_path / "bios", 256 * KIB)) as machine:
        machine.wait_debug("OKX\n")
        machine.reset()
        machine.wait_debug("OKX\nOKX\n")
