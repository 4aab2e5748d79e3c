"""Keys in the numbers of others: the PC's scan codes (set 1 and 2) and Linux's input events.

Sources: IBM PS/2 Technical Reference, "Keyboard scan codes"; Microsoft, "Keyboard scan code specification" (for keys of
later keyboards); Linux, include/uapi/linux/input-event-codes.h.
"""

from __future__ import annotations

import functools

from varan.api.values import QKeyCode
from varan.devices.input.i8042 import SET_2_TO_1

EXTENDED = 0x80
"""In a key's number: the keyboard sends E0h before the code."""

_IN_ORDER = """
esc 1 2 3 4 5 6 7 8 9 0 minus equal backspace tab q w e r t y u i o p bracket_left bracket_right ret ctrl a s
d f g h j k l semicolon apostrophe grave_accent shift backslash z x c v b n m comma dot slash shift_r
kp_multiply alt spc caps_lock f1 f2 f3 f4 f5 f6 f7 f8 f9 f10 num_lock scroll_lock kp_7 kp_8 kp_9 kp_subtract
kp_4 kp_5 kp_6 kp_add kp_1 kp_2 kp_3 kp_0 kp_decimal
"""
"""Keys 1 to 83 of the first keyboards; Linux numbers them alike."""

_OTHERS: dict[str, tuple[int, int]] = {
    "sysrq": (0x54, 99),
    "less": (0x56, 86),
    "f11": (0x57, 87),
    "f12": (0x58, 88),
    "kp_equals": (0x59, 117),
    "lf": (0x5B, 101),
    "open": (0x64, 134),
    "paste": (0x65, 135),
    "katakanahiragana": (0x70, 93),
    "lang2": (0x71, 123),
    "lang1": (0x72, 122),
    "ro": (0x73, 89),
    "hiragana": (0x77, 91),
    "henkan": (0x79, 92),
    "muhenkan": (0x7B, 94),
    "yen": (0x7D, 124),
    "kp_comma": (0x7E, 121),
    "again": (0x85, 129),
    "props": (0x86, 130),
    "undo": (0x87, 131),
    "front": (0x8C, 132),
    "audioprev": (0x90, 165),
    "audionext": (0x99, 163),
    "kp_enter": (0x9C, 96),
    "ctrl_r": (0x9D, 97),
    "menu": (0x9E, 139),
    "audiomute": (0xA0, 113),
    "calculator": (0xA1, 140),
    "audioplay": (0xA2, 164),
    "audiostop": (0xA4, 166),
    "volumedown": (0xAE, 114),
    "volumeup": (0xB0, 115),
    "ac_home": (0xB2, 172),
    "kp_divide": (0xB5, 98),
    "print": (0xB7, 99),
    "alt_r": (0xB8, 100),
    "cut": (0xBC, 137),
    "find": (0xC1, 136),
    "pause": (0xC6, 119),
    "home": (0xC7, 102),
    "up": (0xC8, 103),
    "pgup": (0xC9, 104),
    "left": (0xCB, 105),
    "right": (0xCD, 106),
    "end": (0xCF, 107),
    "down": (0xD0, 108),
    "pgdn": (0xD1, 109),
    "insert": (0xD2, 110),
    "delete": (0xD3, 111),
    "meta_l": (0xDB, 125),
    "meta_r": (0xDC, 126),
    "compose": (0xDD, 127),
    "power": (0xDE, 116),
    "sleep": (0xDF, 142),
    "wake": (0xE3, 143),
    "ac_bookmarks": (0xE6, 156),
    "ac_refresh": (0xE7, 173),
    "stop": (0xE8, 128),
    "ac_forward": (0xE9, 159),
    "ac_back": (0xEA, 158),
    "computer": (0xEB, 157),
    "mail": (0xEC, 155),
    "mediaselect": (0xED, 226),
    "help": (0xF5, 138),
    "copy": (0xF8, 133),
}
"""(number, Linux's number)."""

PAUSE_PRESSED = bytes.fromhex("e11477e1f014f077")
"""Pause sends everything at once, and nothing when it is let go."""
PRINT_PRESSED, PRINT_RELEASED = bytes.fromhex("e012e07c"), bytes.fromhex("e0f07ce0f012")


@functools.cache
def _numbers() -> dict[QKeyCode, tuple[int, int]]:
    first = {QKeyCode(name): (number, number) for number, name in enumerate(_IN_ORDER.split(), 1)}
    extra = {QKeyCode("asterisk"): first[QKeyCode("kp_multiply")]}
    return {**first, **{QKeyCode(name): numbers for name, numbers in _OTHERS.items()}, **extra}


@functools.cache
def _by_number() -> dict[int, QKeyCode]:
    return {number: code for code, (number, _) in reversed(_numbers().items())}


def key_number(code: QKeyCode) -> int | None:
    """The key's number as the protocol counts: its scan code of set 1 without the break bit, and EXTENDED."""
    found = _numbers().get(code)
    return None if found is None else found[0]


def by_number(number: int) -> QKeyCode:
    """The inverse of `key_number`; UNMAPPED for a number that no key has."""
    return _by_number().get(number, QKeyCode.UNMAPPED)


def linux_key(code: QKeyCode) -> int | None:
    """KEY_... of Linux."""
    found = _numbers().get(code)
    return None if found is None else found[1]


def linux_keys() -> list[int]:
    """All that `linux_key` gives, in order."""
    return sorted({linux for _, linux in _numbers().values()})


@functools.cache
def _set_2() -> dict[int, int]:
    table = {SET_2_TO_1[code]: code for code in range(len(SET_2_TO_1) - 1, 0, -1)}
    return {**table, 0x41: 0x83, 0x54: 0x84}


def scan_codes(code: QKeyCode, down: bool) -> bytes:
    """What a keyboard sends in set 2; nothing for a key that it has not."""
    if code is QKeyCode.PAUSE:
        return PAUSE_PRESSED if down else b""
    if code is QKeyCode.PRINT:
        return PRINT_PRESSED if down else PRINT_RELEASED
    number = key_number(code)
    if number is None or number & 0x7F not in _set_2():
        return b""
    prefix = b"\xe0" if number & EXTENDED else b""
    return prefix + (b"" if down else b"\xf0") + bytes([_set_2()[number & 0x7F]])
