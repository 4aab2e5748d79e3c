"""The FPU and vector registers inside a standard-format XSAVE area (SDM volume 1, 10.5.1 and 13.4)."""

from __future__ import annotations

import struct
from collections.abc import Iterator

LEGACY_SIZE = 512
HEADER_SIZE = 64
AVX_OFFSET = LEGACY_SIZE + HEADER_SIZE
AVX_COMPONENT = 1 << 2
_ST_OFFSET, _XMM_OFFSET = 32, 160
_RESET = struct.pack("<HH20xI", 0x37F, 0, 0x1F80).ljust(LEGACY_SIZE, b"\0")


def fpu_lines(area: bytes) -> Iterator[str]:
    """Control words, ST0-ST7 and the vector registers; an empty area is the state after reset."""
    legacy = (area or _RESET)[:LEGACY_SIZE]
    control, status, tags = struct.unpack_from("<HHB", legacy)
    (mxcsr,) = struct.unpack_from("<I", legacy, 24)
    yield f"FCW={control:04x} FSW={status:04x} [ST={status >> 11 & 7}] FTW={tags:02x} MXCSR={mxcsr:08x}"
    for at in range(0, 8, 2):
        yield " ".join(f"FPR{n}={_stack_register(legacy, n)}" for n in (at, at + 1))
    upper = _upper_halves(area)
    name = "YMM" if upper else "XMM"
    step = 1 if upper else 2
    for at in range(0, 16, step):
        yield " ".join(
            f"{name}{n:02d}={upper[n][::-1].hex() if upper else ''}{_xmm(legacy, n)}" for n in range(at, at + step)
        )


def _stack_register(legacy: bytes, number: int) -> str:
    at = _ST_OFFSET + 16 * number
    mantissa, exponent = struct.unpack_from("<QH", legacy, at)
    return f"{mantissa:016x} {exponent:04x}"


def _xmm(legacy: bytes, number: int) -> str:
    at = _XMM_OFFSET + 16 * number
    return legacy[at : at + 16][::-1].hex()


def _upper_halves(area: bytes) -> list[bytes]:
    """Bits 128-255 of YMM0-YMM15; empty unless the area says that it holds them."""
    if len(area) < AVX_OFFSET + 256:
        return []
    (components,) = struct.unpack_from("<Q", area, LEGACY_SIZE)
    if not components & AVX_COMPONENT:
        return []
    return [area[AVX_OFFSET + 16 * number :][:16] for number in range(16)]
