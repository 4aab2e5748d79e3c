"""Which names the language allows, and which of them are the same to a translator.

Case tells roles apart: `commands-and-members`, `TypeNames`, `EVENT_NAMES`. A vendor's own additions begin with
`__its.domain_`, experimental ones with `x-`.
"""

from __future__ import annotations

import re

_VENDOR = r"(?:__[A-Za-z0-9.-]+_)?"
_ANY = re.compile(_VENDOR + r"(?:x-)?[A-Za-z][A-Za-z0-9_-]*")
_ANY_OR_DIGIT = re.compile(_VENDOR + r"(?:x-)?[A-Za-z0-9][A-Za-z0-9_-]*")
_2012 = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
_TYPE = re.compile(_VENDOR + r"[A-Z][A-Za-z0-9]*[a-z][A-Za-z0-9]*")
_EVENT = re.compile(_VENDOR + r"[A-Z][A-Z0-9_]*")

_FOLD = str.maketrans("-.", "__")


def without_vendor(name: str) -> str:
    """The name after a vendor's prefix."""
    return re.sub(f"^{_VENDOR}", "", name) if name.startswith("__") else name


def folded(name: str) -> str:
    """Names with the same folded form cannot stand beside each other: most languages have no '-' in names."""
    return name.translate(_FOLD)


def fault_of_2012(name: str) -> str | None:
    return None if _2012.fullmatch(name) else "not made of letters, digits, '-', '_' and '.'"


def _fault_of_any(name: str, digit_first: bool = False) -> str | None:
    """What is wrong with it in any role."""
    if not (_ANY_OR_DIGIT if digit_first else _ANY).fullmatch(name):
        return "not a letter followed by letters, digits, '-' and '_'"
    if folded(without_vendor(name)).startswith("q_"):
        return "'q_' at the beginning is reserved"
    return None


def fault_of_command(name: str, excepted: bool) -> str | None:
    fault = _fault_of_any(name)
    if fault:
        return fault
    stem = without_vendor(name)
    if stem != stem.lower():
        return "commands are written in lower case"
    if "_" in stem and not excepted:
        return "commands have '-' where others have '_' (pragma command-name-exceptions allows '_')"
    return None


def fault_of_event(name: str) -> str | None:
    fault = _fault_of_any(name)
    if fault:
        return fault
    return None if _EVENT.fullmatch(name) else "events are written in upper case, with '_' between words"


def fault_of_type(name: str) -> str | None:
    fault = _fault_of_any(name)
    if fault:
        return fault
    if not _TYPE.fullmatch(name):
        return "types are written in camel case, beginning with a capital"
    return "'List' at the end is reserved" if name.endswith("List") else None


def fault_of_member(name: str, excepted: bool) -> str | None:
    """For members, and for the branches of an alternate."""
    fault = _fault_of_any(name)
    if fault:
        return fault
    flat = folded(name)
    if flat == "u" or flat.startswith("has_"):
        return "'u' and names that begin with 'has-' are reserved"
    return _fault_of_case(name, excepted)


def fault_of_value(name: str, excepted: bool) -> str | None:
    """For the values of an enumeration, which may begin with a digit."""
    return _fault_of_any(name, digit_first=True) or _fault_of_case(name, excepted)


def fault_of_feature(name: str) -> str | None:
    return _fault_of_any(name) or _fault_of_case(name, False)


def _fault_of_case(name: str, excepted: bool) -> str | None:
    stem = without_vendor(name)
    if excepted or (stem == stem.lower() and "_" not in stem):
        return None
    return "it should be in lower case with '-' between words (pragma member-name-exceptions allows other)"
