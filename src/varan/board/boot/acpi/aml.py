"""Builds AML, the bytecode of ACPI's definition blocks (ACPI 6.5, chapter 20).

Each function encodes one construct of ASL under ASL's name and gives its bytes; constructs nest as calls do:

    device("RTC", name("_HID", eisa_id("PNP0B00")), method("_STA", 0, return_(integer(0x0F))))

Names are ASL paths: `\\` before one means the root, `^` the parent, `.` parts segments of one to four characters.
"""

from __future__ import annotations

import enum
import re
import struct
from collections.abc import Iterable

ZERO = b"\x00"
NOTHING = b"\x00"
"""The target of an operation whose result goes nowhere else."""

EISA_ID = re.compile(r"[A-Z]{3}[0-9A-F]{4}")
_SEGMENT = re.compile(r"[A-Z_][A-Z0-9_]{0,3}")
_EXTENDED = b"\x5b"
FOR_EVER = 0xFFFF
"""The time-out of a wait that has none."""
MOST_ARGUMENTS = 7
LONGEST_PACKAGE = (1 << 28) - 1


class Space(enum.IntEnum):
    """Address spaces of operation regions."""

    MEMORY = 0
    IO = 1
    PCI_CONFIG = 2


class Access(enum.IntEnum):
    """Width of a field's accesses."""

    ANY = 0
    BYTE = 1
    WORD = 2
    DWORD = 3


def path(text: str) -> bytes:
    """A NameString. Raises ValueError for what is no ASL path."""
    rest = text.lstrip("\\^")
    prefix = text[: len(text) - len(rest)]
    segments = rest.split(".") if rest else []
    if prefix not in ("\\", "^" * len(prefix)) or not all(_SEGMENT.fullmatch(segment) for segment in segments):
        raise ValueError(f"{text!r} is no ASL path")
    encoded = b"".join(segment.ljust(4, "_").encode() for segment in segments)
    if len(segments) == 2:
        encoded = b"\x2e" + encoded
    elif len(segments) > 2:
        encoded = b"\x2f" + bytes([len(segments)]) + encoded
    return prefix.encode() + (encoded or NOTHING)


def integer(value: int) -> bytes:
    """The shortest encoding of an integer of up to 64 bits. Raises ValueError for one that does not fit."""
    if value < 0 or value >> 64:
        raise ValueError(f"{value:#x} is no AML integer")
    if value < 2:
        return bytes([value])
    for opcode, form, bits in ((b"\x0a", "<B", 8), (b"\x0b", "<H", 16), (b"\x0c", "<I", 32)):
        if not value >> bits:
            return opcode + struct.pack(form, value)
    return b"\x0e" + struct.pack("<Q", value)


def string(text: str) -> bytes:
    """A string of ASCII characters other than NUL."""
    data = text.encode("ascii")
    if b"\0" in data:
        raise ValueError(f"{text!r} holds a NUL")
    return b"\x0d" + data + b"\0"


def eisa_id(text: str) -> bytes:
    """EisaId: three letters and four hexadecimal digits in 32 bits, as an integer."""
    if not EISA_ID.fullmatch(text):
        raise ValueError(f"{text!r} is no EISA id")
    first, second, third = (ord(letter) - 0x40 for letter in text[:3])
    (value,) = struct.unpack("<I", struct.pack(">HH", first << 10 | second << 5 | third, int(text[3:], 16)))
    return integer(value)


def _package_length(body: int) -> bytes:
    """PkgLength for `body` bytes after it: it counts its own bytes too."""
    if body + 1 < 1 << 6:
        return bytes([body + 1])
    for more in (1, 2, 3):
        length = body + 1 + more
        if length < 1 << (4 + 8 * more):
            return bytes([more << 6 | length & 0xF]) + (length >> 4).to_bytes(more, "little")
    raise ValueError(f"{body} bytes are more than AML can hold in one piece")


def _block(opcode: bytes, *parts: bytes) -> bytes:
    body = b"".join(parts)
    return opcode + _package_length(len(body)) + body


def buffer(data: bytes) -> bytes:
    """A buffer with these bytes."""
    return _block(b"\x11", integer(len(data)), data)


def package(*items: bytes) -> bytes:
    """A package of up to 255 items."""
    return _block(b"\x12", bytes([len(items)]), *items)


def name(where: str, value: bytes) -> bytes:
    """A named object."""
    return b"\x08" + path(where) + value


def scope(where: str, *terms: bytes) -> bytes:
    """Adds terms to an object that is there already."""
    return _block(b"\x10", path(where), *terms)


def device(where: str, *terms: bytes) -> bytes:
    """A device."""
    return _block(_EXTENDED + b"\x82", path(where), *terms)


def method(where: str, arguments: int, *terms: bytes, serialized: bool = False) -> bytes:
    """A control method of up to seven arguments."""
    if not 0 <= arguments <= MOST_ARGUMENTS:
        raise ValueError(f"a method has up to {MOST_ARGUMENTS} arguments, not {arguments}")
    return _block(b"\x14", path(where), bytes([arguments | (8 if serialized else 0)]), *terms)


def operation_region(where: str, space: Space, offset: int, length: int) -> bytes:
    """Bytes of an address space, for `field`."""
    return _EXTENDED + b"\x80" + path(where) + bytes([space]) + integer(offset) + integer(length)


def field(region: str, access: Access, units: Iterable[tuple[str | None, int]], *, preserve: bool = False) -> bytes:
    """Names for the bits of a region, from its first: (name or None to skip, number of bits).

    A write to a part of an access unit leaves zeros in the rest, or with `preserve` what was there.
    """
    encoded = ((b"\0" if unit is None else path(unit)) + _unit_length(bits) for unit, bits in units)
    return _block(_EXTENDED + b"\x81", path(region), bytes([access | (0 if preserve else 0x40)]), *encoded)


def _unit_length(bits: int) -> bytes:
    """A PkgLength that counts bits, and not itself."""
    if bits < 1 << 6:
        return bytes([bits])
    for more in (1, 2, 3):
        if bits < 1 << (4 + 8 * more):
            return bytes([more << 6 | bits & 0xF]) + (bits >> 4).to_bytes(more, "little")
    raise ValueError(f"a field of {bits} bits is too long")


def mutex(where: str) -> bytes:
    """A mutex of the first synchronization level."""
    return _EXTENDED + b"\x01" + path(where) + b"\0"


def acquire(where: str) -> bytes:
    """Acquire, for as long as it takes."""
    return _EXTENDED + b"\x23" + path(where) + struct.pack("<H", FOR_EVER)


def release(where: str) -> bytes:
    """Release."""
    return _EXTENDED + b"\x27" + path(where)


def argument(number: int) -> bytes:
    """Arg0 to Arg6."""
    return bytes([0x68 + range(MOST_ARGUMENTS)[number]])


def local(number: int) -> bytes:
    """Local0 to Local7."""
    return bytes([0x60 + range(8)[number]])


def call(where: str, *arguments: bytes) -> bytes:
    """Invokes a method; what a name stands for when there are no arguments."""
    return path(where) + b"".join(arguments)


def store(value: bytes, target: bytes) -> bytes:
    """Store."""
    return b"\x70" + value + target


def and_(left: bytes, right: bytes, target: bytes = NOTHING) -> bytes:
    """Bitwise And."""
    return b"\x7b" + left + right + target


def or_(left: bytes, right: bytes, target: bytes = NOTHING) -> bytes:
    """Bitwise Or."""
    return b"\x7d" + left + right + target


def create_dword_field(source: bytes, index: int, where: str) -> bytes:
    """CreateDWordField at byte `index` of a buffer."""
    return b"\x8a" + source + integer(index) + path(where)


def if_(condition: bytes, *terms: bytes) -> bytes:
    """If."""
    return _block(b"\xa0", condition, *terms)


def else_(*terms: bytes) -> bytes:
    """Else, right after an If."""
    return _block(b"\xa1", *terms)


def return_(value: bytes) -> bytes:
    """Return."""
    return b"\xa4" + value


def notify(target: bytes, value: bytes) -> bytes:
    """Notify."""
    return b"\x86" + target + value
