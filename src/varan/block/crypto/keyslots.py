"""A LUKS header where it lies: read, opened with a password, made, and its key slots added and erased.

The header and its key material occupy an area of a node: the start of a LUKS image, or the clusters that a qcow2 image
sets aside. Writes are ordered so that a crash leaves either the old way in or both: material, flush, header, flush.
"""

from __future__ import annotations

import asyncio
import functools
import os
import time
import uuid

from varan.block.base import BlockError, CreateOption, ErrorKind, Node, Write
from varan.block.crypto import luks
from varan.block.crypto.aes import HASHES, IV_GENERATORS, KEY_BYTES, MODES, SECTOR, key_length
from varan.light import TYPE_CHECKING, record

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import TypeVar

    T = TypeVar("T")


DEFAULT_ITERATION_TIME = 2000
"""Milliseconds that trying one password shall take."""

LUKS_CREATE_OPTIONS = (
    CreateOption("key-secret", "string", "ID of the secret that opens the image"),
    CreateOption("cipher-alg", "string", "Cipher: " + ", ".join(KEY_BYTES), "aes-256"),
    CreateOption("cipher-mode", "string", "Cipher mode: " + ", ".join(MODES), "xts"),
    CreateOption("ivgen-alg", "string", "IV generator: " + ", ".join(IV_GENERATORS), "plain64"),
    CreateOption("ivgen-hash-alg", "string", "Hash of the IV generator 'essiv'"),
    CreateOption("hash-alg", "string", "Hash of the key derivation: " + ", ".join(HASHES), "sha256"),
    CreateOption("iter-time", "number", "Milliseconds that deriving a key takes", str(DEFAULT_ITERATION_TIME)),
)


async def offload(work: Callable[[], T], *, inline: bool = False) -> T:
    """Run heavy work (key derivation) beside the loop; in place where no loop runs, or with `inline`."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        inline = True
    return work() if inline else await asyncio.to_thread(work)


@record(frozen=True, slots=True)
class Area:
    """`length` bytes of `node` from `start` on, which hold a LUKS header and its key material."""

    node: Node
    start: int
    length: int

    async def read(self, offset: int, length: int) -> bytes:
        """Bytes of the area. Raises BlockError of kind CORRUPT when they lie outside of it or of the file."""
        if offset + length > self.length or self.start + offset + length > self.node.length:
            raise BlockError(ErrorKind.CORRUPT, "the LUKS header is cut short", where=self.node.filename)
        data = bytearray(length)
        await self.node.read(self.start + offset, [memoryview(data)])
        return bytes(data)

    async def write(self, offset: int, data: bytes) -> None:
        """Write bytes of the area; they are durable when this returns."""
        await self.node.write(self.start + offset, [memoryview(data)], Write.NONE)
        await self.node.flush()


async def load(area: Area) -> luks.LuksHeader:
    """The checked header of the area."""
    header = luks.decode(await area.read(0, luks.HEADER_BYTES))
    for index, slot in enumerate(header.slots):
        if slot.active and slot.offset * SECTOR + header.material_bytes > area.length:
            raise BlockError(ErrorKind.CORRUPT, f"LUKS key slot {index} lies outside", where=area.node.filename)
    return header


async def find_slot(
    area: Area, header: luks.LuksHeader, password: bytes, *, inline: bool = False
) -> tuple[int, bytes] | None:
    """The first slot that `password` opens, and the master key in it."""
    for index, slot in enumerate(header.slots):
        if slot.active:
            material = await area.read(slot.offset * SECTOR, header.material_bytes)
            work = functools.partial(luks.open_slot, header, index, material, password)
            master = await offload(work, inline=inline)
            if master is not None:
                return index, master
    return None


async def unlock(area: Area, header: luks.LuksHeader, password: bytes, *, inline: bool = False) -> bytes:
    """The master key. Raises BlockError of kind ENCRYPTED when no slot opens with `password`."""
    found = await find_slot(area, header, password, inline=inline)
    if found is None:
        raise BlockError(ErrorKind.ENCRYPTED, "the password opens none of the key slots", where=area.node.filename)
    return found[1]


def header_from(options: Mapping[str, str]) -> luks.LuksHeader:
    """A new header, laid out but without keys, from create options. Raises BlockError of kind INVALID."""
    cipher = _choice(options, "cipher-alg", "aes-256", tuple(KEY_BYTES))
    mode = _choice(options, "cipher-mode", "xts", MODES)
    generator = _choice(options, "ivgen-alg", "plain64", IV_GENERATORS)
    essiv_hash = _choice(options, "ivgen-hash-alg", "sha256" if generator == "essiv" else "", ("", *HASHES))
    hash_name = _choice(options, "hash-alg", "sha256", HASHES)
    header = luks.LuksHeader(cipher, mode, generator, essiv_hash, hash_name, key_length(cipher, mode))
    header.cipher_for(bytes(header.key_bytes))
    header.uuid = str(uuid.uuid4())
    luks.layout(header)
    return header


def _choice(options: Mapping[str, str], name: str, default: str, known: tuple[str, ...]) -> str:
    value = options.get(name, default)
    if value not in known:
        raise BlockError(ErrorKind.INVALID, f"'{name}' is one of {', '.join(filter(None, known))}, not '{value}'")
    return value


def iteration_time(options: Mapping[str, str]) -> int:
    """The milliseconds in `iter-time`."""
    text = options.get("iter-time", str(DEFAULT_ITERATION_TIME))
    if not text.isdecimal() or not 0 < int(text) <= 1_000_000:
        raise BlockError(ErrorKind.INVALID, f"'iter-time' is a number of milliseconds, not '{text}'")
    return int(text)


def build(header: luks.LuksHeader, password: bytes, milliseconds: int) -> tuple[bytes, bytes]:
    """Key a new header: the bytes from its start to the end of the first slot's material, and the master key."""
    master = os.urandom(header.key_bytes)
    size = header.key_bytes
    iterations = luks.iterations_for(milliseconds, header.hash, size, time.thread_time)
    luks.seal(header, master, max(iterations // 8, luks.MINIMUM_ITERATIONS), os.urandom)
    material = luks.fill_slot(header, 0, master, password, iterations, os.urandom)
    return header.encode().ljust(header.slots[0].offset * SECTOR, b"\0") + material, master


async def add_key(area: Area, old: bytes, new: bytes, slot: int | None, milliseconds: int) -> int:
    """Let password `new` open the image that `old` opens; gives the slot taken. Raises BlockError."""
    header = await load(area)
    master = await unlock(area, header, old)
    if slot is None:
        free = [index for index, each in enumerate(header.slots) if not each.active]
        if not free:
            raise BlockError(ErrorKind.NO_SPACE, "all key slots are taken", where=area.node.filename)
        slot = free[0]
    elif header.slots[_slot(slot)].active:
        raise BlockError(ErrorKind.INVALID, f"key slot {slot} is taken: erase it first", where=area.node.filename)
    target = slot

    def fill() -> bytes:
        rounds = luks.iterations_for(milliseconds, header.hash, header.key_bytes, time.thread_time)
        return luks.fill_slot(header, target, master, new, rounds, os.urandom)

    material = await offload(fill)
    await area.write(header.slots[slot].offset * SECTOR, material)
    await area.write(0, header.encode())
    return slot


async def erase_keys(area: Area, old: bytes | None, slot: int | None, *, force: bool) -> list[int]:
    """Erase slot `slot`, or all that password `old` opens; gives which. The last way in only goes with `force`."""
    header = await load(area)
    chosen = [_slot(slot)] if slot is not None else await _slots_of(area, header, old or b"")
    active = {index for index, each in enumerate(header.slots) if each.active}
    if slot is not None and slot not in active and not force:
        raise BlockError(ErrorKind.INVALID, f"key slot {slot} is not active", where=area.node.filename)
    if active <= set(chosen) and not force:
        raise BlockError(ErrorKind.INVALID, "this would erase the last key: nothing could open the image again")
    for index in chosen:
        luks.clear_slot(header, index)
        await area.write(0, header.encode())
        await area.write(header.slots[index].offset * SECTOR, os.urandom(header.material_bytes))
    return chosen


async def _slots_of(area: Area, header: luks.LuksHeader, password: bytes) -> list[int]:
    found = []
    trial = luks.decode(header.encode())
    while (hit := await find_slot(area, trial, password)) is not None:
        found.append(hit[0])
        trial.slots[hit[0]].active = False
    if not found:
        raise BlockError(ErrorKind.ENCRYPTED, "the password opens none of the key slots", where=area.node.filename)
    return found


def _slot(index: int) -> int:
    if not 0 <= index < luks.SLOTS:
        raise BlockError(ErrorKind.INVALID, f"key slots are 0 to {luks.SLOTS - 1}, not {index}")
    return index


LUKS_AMEND_OPTIONS = (
    CreateOption("iter-time", "number", "Milliseconds that deriving a key takes"),
    CreateOption("keyslot", "number", "Key slot to change"),
    CreateOption("new-secret", "string", "ID of the secret to add; empty: none"),
    CreateOption("old-secret", "string", "ID of the secret whose slots are meant"),
    CreateOption("state", "string", "active: add a key; inactive: erase it"),
)
"""What can be changed of an existing LUKS header."""


async def amend(area: Area, options: Mapping[str, str], secret: Callable[[str], bytes], *, force: bool) -> None:
    """Change key slots by options: `state` (active or inactive), `new-secret`, `old-secret`, `keyslot`, `iter-time`.

    `secret` finds a secret by id; the image's own is under the id in `key-secret`.
    """
    state = options.get("state")
    keyslot = options.get("keyslot")
    if keyslot is not None and not keyslot.isdecimal():
        raise BlockError(ErrorKind.INVALID, f"'keyslot' is a number, not '{keyslot}'")
    slot = int(keyslot) if keyslot is not None else None
    if state == "active":
        if "new-secret" not in options:
            raise BlockError(ErrorKind.INVALID, "'new-secret' is needed to add a key")
        old = options.get("old-secret") or options.get("key-secret")
        if old is None:
            raise BlockError(ErrorKind.ENCRYPTED, "a key is added with the secret of a present one")
        await add_key(area, secret(old), secret(options["new-secret"]), slot, iteration_time(options))
    elif state == "inactive":
        if "new-secret" in options or "iter-time" in options:
            raise BlockError(ErrorKind.INVALID, "'new-secret' and 'iter-time' are for adding keys")
        if (slot is None) == ("old-secret" not in options):
            raise BlockError(ErrorKind.INVALID, "erasing takes either 'keyslot' or 'old-secret'")
        old_secret = secret(options["old-secret"]) if "old-secret" in options else None
        await erase_keys(area, old_secret, slot, force=force)
    else:
        raise BlockError(ErrorKind.INVALID, f"'state' is 'active' or 'inactive', not '{state}'")


def describe(header: luks.LuksHeader) -> dict[str, object]:
    """What `info` shows of a LUKS header, named as the protocol's types have it."""
    slots = [
        {"active": True, "iters": slot.iterations, "key-offset": slot.offset * SECTOR, "stripes": slot.stripes}
        if slot.active
        else {"active": False, "key-offset": slot.offset * SECTOR}
        for slot in header.slots
    ]
    return {
        "ivgen-alg": header.generator,
        "hash-alg": header.hash,
        "cipher-alg": header.cipher,
        "uuid": header.uuid,
        "cipher-mode": header.mode,
        "slots": slots,
        "payload-offset": header.payload_offset * SECTOR,
        "master-key-iters": header.digest_iterations,
    } | ({"ivgen-hash-alg": header.essiv_hash} if header.essiv_hash else {})
