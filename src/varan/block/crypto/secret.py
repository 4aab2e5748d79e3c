"""Secret objects: passwords and keys, given on the command line or in a file, named by id.

`data=` holds the secret itself, `file=` the name of a file that does; `format` says whether it is `raw` or `base64`.
With `keyid=` (another secret: 32 bytes) and `iv=` (16 bytes, base64) the secret is AES-256-CBC encrypted, which lets
it be shown to whoever reads command lines.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from pathlib import Path

from varan.block.base import BlockError, ErrorKind

MAX_SECRET = 1 << 20
"""Bytes that a secret's file may have."""

_OPTIONS = frozenset({"id", "qom-type", "data", "file", "format", "keyid", "iv"})


class Secrets:
    """The secrets of one program or machine, by id."""

    def __init__(self) -> None:
        self._values: dict[str, bytes] = {}

    def __contains__(self, name: str) -> bool:
        return name in self._values

    def set(self, name: str, value: bytes) -> None:
        """Hold `value` under `name`."""
        self._values[name] = value

    def add(self, options: Mapping[str, str]) -> None:
        """Hold the secret that the options of a `secret` object describe. Raises BlockError."""
        name = options.get("id")
        if not name:
            raise _invalid("a secret needs an 'id'")
        unknown = sorted(set(options) - _OPTIONS)
        if unknown:
            raise _invalid(f"secret '{name}' has no option '{unknown[0]}'")
        if name in self._values:
            raise _invalid(f"there is a secret '{name}' already")
        self._values[name] = self._load(name, options)

    def remove(self, name: str) -> None:
        """Forget a secret. Raises BlockError when there is none of that name."""
        if self._values.pop(name, None) is None:
            raise BlockError(ErrorKind.NOT_FOUND, f"there is no secret '{name}'")

    def get(self, name: str) -> bytes:
        """The secret's bytes. Raises BlockError of kind ENCRYPTED when there is none."""
        if name not in self._values:
            raise BlockError(ErrorKind.ENCRYPTED, f"there is no secret with id '{name}'")
        return self._values[name]

    def _load(self, name: str, options: Mapping[str, str]) -> bytes:
        form = options.get("format", "raw")
        if form not in ("raw", "base64"):
            raise _invalid(f"secret '{name}': format is 'raw' or 'base64', not '{form}'")
        data = _source(name, options)
        if "keyid" in options:
            data = self._decrypted(name, data, options)
        elif "iv" in options:
            raise _invalid(f"secret '{name}': 'iv' goes with 'keyid'")
        return _decoded(name, data) if form == "base64" else data

    def _decrypted(self, name: str, data: bytes, options: Mapping[str, str]) -> bytes:
        from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
        from cryptography.hazmat.primitives.padding import PKCS7

        key = self.get(options["keyid"])
        if "iv" not in options:
            raise _invalid(f"secret '{name}': 'keyid' needs 'iv'")
        iv = _decoded(name, options["iv"].encode())
        if len(key) != 32 or len(iv) != 16:
            raise _invalid(f"secret '{name}': the key must have 32 bytes and the IV 16")
        secret = _decoded(name, data)
        try:
            context = Cipher(algorithms.AES(key), modes.CBC(iv)).decryptor()
            unpadder = PKCS7(128).unpadder()
            return unpadder.update(context.update(secret) + context.finalize()) + unpadder.finalize()
        except ValueError:
            raise BlockError(
                ErrorKind.ENCRYPTED, f"secret '{name}' does not open with key '{options['keyid']}'"
            ) from None


def _source(name: str, options: Mapping[str, str]) -> bytes:
    if ("data" in options) == ("file" in options):
        raise _invalid(f"secret '{name}' needs either 'data' or 'file'")
    if "data" in options:
        return options["data"].encode()
    try:
        with Path(options["file"]).open("rb") as stream:
            data = stream.read(MAX_SECRET + 1)
    except OSError as error:
        raise BlockError(ErrorKind.NOT_FOUND, f"secret '{name}': {error.strerror}", where=options["file"]) from None
    if len(data) > MAX_SECRET:
        raise _invalid(f"secret '{name}': the file is longer than {MAX_SECRET} bytes")
    return data


def _decoded(name: str, data: bytes) -> bytes:
    try:
        return base64.b64decode(b"".join(data.split()), validate=True)
    except binascii.Error:
        raise _invalid(f"secret '{name}' is not valid base64") from None


def _invalid(message: str) -> BlockError:
    return BlockError(ErrorKind.INVALID, message)
