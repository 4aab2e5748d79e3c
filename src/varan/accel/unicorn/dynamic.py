"""Where a loaded shared library keeps the addresses of functions that it calls by name (ELF, x86-64 psABI 5.2).

Each lies in a slot that the dynamic linker has filled: R_X86_64_JUMP_SLOT in the table of PLT relocations.
"""

from __future__ import annotations

import ctypes
import mmap
import struct
from pathlib import Path

from varan.accel.base import AcceleratorError

_SECTION = struct.Struct("<IIQQQQIIQQ")
_RELOCATION = struct.Struct("<QQq")
_SYMBOL = struct.Struct("<IBBHQQ")
_JUMP_SLOT = 7
_DYNAMIC_FLAGS, _BIND_NOW = 30, 8


class SlotFinder:
    """The slots of the library in file `path`. Raises AcceleratorError for a file that is laid out differently."""

    def __init__(self, path: Path) -> None:
        try:
            with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
                self._read(data)
        except (ValueError, KeyError, struct.error) as error:
            raise AcceleratorError(f"{path} is not laid out like the official wheel's library: {error}") from None

    def _read(self, data: mmap.mmap) -> None:
        table, (size, count, names) = struct.unpack_from("<Q", data, 0x28)[0], struct.unpack_from("<HHH", data, 0x3A)
        headers = [_SECTION.unpack_from(data, table + size * index) for index in range(count)]
        texts = headers[names][4]
        sections = {data[texts + header[0] : data.find(b"\0", texts + header[0])]: header for header in headers}

        def content(name: bytes) -> bytes:
            header = sections[name]
            return data[header[4] : header[4] + header[5]]

        for tag, value in struct.iter_unpack("<QQ", content(b".dynamic")):
            if tag == _DYNAMIC_FLAGS and value & _BIND_NOW:
                raise ValueError("its slots are read-only")
        self._relocations, self._symbols, self._strings = (
            content(b".rela.plt"),
            content(b".dynsym"),
            content(b".dynstr"),
        )

    def find(self, function: str, address: int) -> int:
        """The address of the slot for `function`, which is loaded at `address`."""
        name = struct.pack("<I", self._strings.find(b"\0" + function.encode() + b"\0") + 1)
        at = self._symbols.find(name)
        while at > 0 and at % _SYMBOL.size:
            at = self._symbols.find(name, at + 1)
        if at <= 0:
            raise AcceleratorError(f"the unicorn library has no function {function}")
        value = _SYMBOL.unpack_from(self._symbols, at)[4]
        return self._slot_of(at // _SYMBOL.size, function) + address - int(value)

    def _slot_of(self, symbol: int, function: str) -> int:
        at = self._relocations.find(struct.pack("<Q", symbol << 32 | _JUMP_SLOT))
        if at >= 8 and at % _RELOCATION.size == 8:
            return int(_RELOCATION.unpack_from(self._relocations, at - 8)[0])
        raise AcceleratorError(f"the unicorn library calls {function} in another way")


def verify(slot: int, address: int, function: str) -> None:
    """Check that the slot holds the function's address. Raises AcceleratorError."""
    if ctypes.c_uint64.from_address(slot).value != address:
        raise AcceleratorError(f"this build of unicorn calls another {function}; install the official wheel")
