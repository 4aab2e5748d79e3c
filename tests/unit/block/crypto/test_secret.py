"""Secrets: where they come from, and what is refused."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from varan.block.base import BlockError, ErrorKind
from varan.block.crypto.secret import MAX_SECRET, Secrets


def test_raw_and_base64_data() -> None:
    secrets = Secrets()
    secrets.add({"id": "a", "data": "letmein"})
    secrets.add({"id": "b", "data": "bGV0 bWVpbg==", "format": "base64"})
    assert secrets.get("a") == secrets.get("b") == b"letmein"


def test_file_is_taken_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_bytes(b"\x00\xffkey\n")
    secrets = Secrets()
    secrets.add({"qom-type": "secret", "id": "a", "file": str(path)})
    assert secrets.get("a") == b"\x00\xffkey\n"


def test_encrypted_secret() -> None:
    key, iv = bytes(range(32)), bytes(16)
    context = Cipher(algorithms.AES(key), modes.CBC(iv)).encryptor()
    sealed = base64.b64encode(context.update(b"letmein" + bytes([9]) * 9))
    secrets = Secrets()
    secrets.add({"id": "master", "data": base64.b64encode(key).decode(), "format": "base64"})
    given = {"id": "a", "keyid": "master", "iv": base64.b64encode(iv).decode()}
    secrets.add({**given, "data": sealed.decode()})
    assert secrets.get("a") == b"letmein"
    with pytest.raises(BlockError) as caught:
        secrets.add({**given, "id": "b", "data": base64.b64encode(bytes(24)).decode()})
    assert caught.value.kind is ErrorKind.ENCRYPTED


def test_removed_secret_is_missing() -> None:
    secrets = Secrets()
    secrets.add({"id": "a", "data": "x"})
    secrets.remove("a")
    with pytest.raises(BlockError) as caught:
        secrets.get("a")
    assert caught.value.kind is ErrorKind.ENCRYPTED
    with pytest.raises(BlockError, match="no secret 'a'"):
        secrets.remove("a")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"data": "x"}, "needs an 'id'"),
        ({"id": "a"}, "either 'data' or 'file'"),
        ({"id": "a", "data": "x", "file": "y"}, "either 'data' or 'file'"),
        ({"id": "a", "data": "x", "format": "hex"}, "format"),
        ({"id": "a", "data": "!", "format": "base64"}, "base64"),
        ({"id": "a", "data": "x", "iv": "AAAA"}, "keyid"),
        ({"id": "a", "data": "x", "keyid": "no"}, "'no'"),
        ({"id": "a", "data": "x", "colour": "red"}, "colour"),
        ({"id": "a", "file": "/no/such/file"}, "No such file"),
        ({"id": "there", "data": "x"}, "already"),
    ],
)
def test_refused_definitions_say_why(options: dict[str, str], words: str) -> None:
    secrets = Secrets()
    secrets.set("there", b"")
    with pytest.raises(BlockError, match=words):
        secrets.add(options)


def test_huge_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "key"
    with path.open("wb") as stream:
        stream.truncate(MAX_SECRET + 1)
    with pytest.raises(BlockError, match="longer"):
        Secrets().add({"id": "a", "file": str(path)})
