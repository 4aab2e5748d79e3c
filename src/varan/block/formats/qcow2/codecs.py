"""What compressed clusters are compressed with: raw deflate or zstd, one stream per cluster.

Output is bounded by the cluster size, whatever a stream promises. The libraries release the GIL, and a codec may be
used from several threads at once.
"""

from __future__ import annotations

from varan.block.base import BlockError, ErrorKind
from varan.block.formats.qcow2 import layout as q
from varan.light import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from typing import Any

WINDOW_BITS = 12
"""Of the deflate streams that are written; larger windows are read, too."""

Bytes = bytes | bytearray | memoryview


class Codec(Protocol):
    """One compression type."""

    def compress(self, data: Bytes) -> bytes:
        """A cluster's stream."""

    def decompress(self, data: Bytes, size: int) -> bytes:
        """The `size` bytes of a cluster; what follows the stream in its last sector is ignored. Raises BlockError."""


def _broken(reason: object) -> BlockError:
    return BlockError(ErrorKind.CORRUPT, f"a compressed cluster cannot be decompressed: {reason}")


class Deflate:
    """Compression type 0."""

    def compress(self, data: Bytes) -> bytes:
        """See Codec."""
        import zlib

        stream = zlib.compressobj(zlib.Z_DEFAULT_COMPRESSION, zlib.DEFLATED, -WINDOW_BITS, 9)
        return stream.compress(data) + stream.flush()

    def decompress(self, data: Bytes, size: int) -> bytes:
        """See Codec."""
        import zlib

        try:
            plain = zlib.decompressobj(-15).decompress(data, size)
        except zlib.error as error:
            raise _broken(error) from None
        if len(plain) != size:
            raise _broken(f"{len(plain)} bytes instead of {size}")
        return plain


class Zstd:
    """Compression type 1. Contexts are kept per thread: making one costs more than a cluster."""

    def __init__(self) -> None:
        import threading

        self._contexts = threading.local()

    def _context(self, kind: str) -> Any:
        context = getattr(self._contexts, kind, None)
        if context is None:
            import zstandard

            context = zstandard.ZstdCompressor() if kind == "compressor" else zstandard.ZstdDecompressor()
            setattr(self._contexts, kind, context)
        return context

    def compress(self, data: Bytes) -> bytes:
        """See Codec."""
        stream: bytes = self._context("compressor").compress(data)
        return stream

    def decompress(self, data: Bytes, size: int) -> bytes:
        """See Codec."""
        import zstandard

        try:
            promised = zstandard.get_frame_parameters(data).content_size
            if promised not in (size, zstandard.CONTENTSIZE_UNKNOWN):
                raise _broken(f"{promised} bytes instead of {size}")
            context = self._context("decompressor")
            plain: bytes = context.decompress(data, max_output_size=size, allow_extra_data=True)
        except zstandard.ZstdError as error:
            raise _broken(error) from None
        if len(plain) != size:
            raise _broken(f"{len(plain)} bytes instead of {size}")
        return plain


def codec(compression_type: int) -> Codec:
    """The codec of a header's compression type."""
    return Zstd() if compression_type == q.COMPRESSION_ZSTD else Deflate()
