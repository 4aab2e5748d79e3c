"""QEMU's devices without a guest: ports and memory over its qtest protocol. The CPU halts at once."""

from __future__ import annotations

import base64
import subprocess
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

FIRMWARE_SIZE = 1 << 16
HALT = bytes.fromhex("faf4ebfd")
"""cli; hlt; again."""


class Qtest:
    """One QEMU process. Interrupt lines of the I/O APIC are counted in `rises`."""

    def __init__(self, folder: Path, words: Sequence[str]) -> None:
        firmware = bytearray(FIRMWARE_SIZE)
        firmware[-16:-12] = HALT
        (folder / "halt.bin").write_bytes(firmware)
        command = ["qemu-system-x86_64", "-M", "pc", "-nodefaults", "-display", "none"]
        command += ["-bios", str(folder / "halt.bin"), "-qtest", "stdio", "-qtest-log", "/dev/null", *words]
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, bufsize=1)
        self.rises: dict[int, int] = {}
        self._say("irq_intercept_in ioapic")

    def __enter__(self) -> Qtest:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.communicate()

    def _say(self, line: str) -> list[str]:
        """The words of the answer."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{line}\n")
        while True:
            words = self._process.stdout.readline().split()
            if words[:1] != ["IRQ"]:
                assert words[:1] == ["OK"], words
                return words[1:]
            if words[1] == "raise":
                self.rises[int(words[2])] = self.rises.get(int(words[2]), 0) + 1

    def inb(self, port: int) -> int:
        return int(self._say(f"inb {port}")[0], 16)

    def outb(self, port: int, *values: int) -> None:
        for value in values:
            self._say(f"outb {port} {value}")

    def read(self, address: int, length: int) -> bytes:
        """Guest memory."""
        return base64.b64decode(self._say(f"b64read {address} {length}")[0])

    def write(self, address: int, data: bytes) -> None:
        """Guest memory."""
        self._say(f"b64write {address} {len(data)} {base64.b64encode(data).decode()}")
