"""What a PC tells firmware to boot from: `-boot`, as the letters that PCs have for kinds of devices."""

from __future__ import annotations

from dataclasses import dataclass

from varan.errors import GenericError

DEFAULT_ORDER = "cad"
FLOPPY, DISK, OPTICAL, NETWORK = 1, 2, 3, 4
KINDS = {"a": FLOPPY, "b": FLOPPY, "c": DISK, "d": OPTICAL, "n": NETWORK}
MOST = 3
"""Places in the CMOS RAM."""
FIRST_AND_SECOND, THIRD = 0x3D, 0x38
"""CMOS cells where firmware for virtual machines finds the kinds, four bits each."""


@dataclass(frozen=True, slots=True)
class BootOrder:
    """`order` and `once` are letters: a and b floppy disks, c hard disks, d optical drives, n the network."""

    order: str = DEFAULT_ORDER
    once: str | None = None
    """In force until the first reset."""
    menu: bool | None = None
    """Whether the firmware lets the user choose; None: it is not told."""
    strict: bool = False
    """Firmware shall try nothing but what has a `bootindex`."""
    menu_milliseconds: int | None = None
    """How long the menu waits."""
    retry_milliseconds: int | None = None
    """After how long firmware that found nothing starts again; -1: never; None: it is not told."""


def check(letters: str) -> None:
    """Raises GenericError for letters that are none, or come twice."""
    for index, letter in enumerate(letters):
        if not "a" <= letter <= "p":
            raise GenericError(f"Invalid boot device '{letter}'")
        if letter in letters[:index]:
            raise GenericError(f"Boot device '{letter}' was given twice")
    if len(letters) > MOST:
        raise GenericError("Too many boot devices for PC")
    for letter in letters:
        if letter not in KINDS:
            raise GenericError(f"Invalid boot device for PC: '{letter}'")


def cells(letters: str) -> dict[int, int]:
    """The order as CMOS cells by index."""
    first, second, third = (KINDS.get(letter, 0) for letter in letters.ljust(MOST))
    return {FIRST_AND_SECOND: second << 4 | first, THIRD: third << 4}
