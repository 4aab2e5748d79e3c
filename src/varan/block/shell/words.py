"""Words of a command: options, numbers, patterns; and sizes, rates and times as reports show them."""

from __future__ import annotations

from varan.core.sizes import parse_size
from varan.errors import VaranError
from varan.light import TYPE_CHECKING, field, record

if TYPE_CHECKING:
    from collections.abc import Sequence

_UNITS = ("KiB", "MiB", "GiB", "TiB", "PiB", "EiB")


class CommandError(VaranError):
    """A command that could not be done; printed on standard output."""


class BadWordsError(CommandError):
    """A command whose words make no sense; printed on the standard error output.

    Empty: the command's synopsis is printed instead.
    """


@record(slots=True)
class Words:
    """A command's options and operands."""

    flags: set[str] = field(default_factory=set)
    values: dict[str, str] = field(default_factory=dict)
    operands: list[str] = field(default_factory=list)


def parse(name: str, words: Sequence[str], flags: str, with_values: str = "") -> Words:
    """Take the words after `name` apart: `flags` stand alone, those in `with_values` have an argument."""
    found = Words()
    queue = list(reversed(words))
    while queue:
        word = queue.pop()
        if word == "--":
            found.operands += reversed(queue)
            break
        if not word.startswith("-") or word == "-":
            found.operands.append(word)
            continue
        for index, letter in enumerate(word[1:], 1):
            if letter in flags:
                found.flags.add(letter)
                continue
            if letter not in with_values:
                raise BadWordsError(f"{name}: invalid option -- '{letter}'")
            rest = word[index + 1 :]
            if not rest and not queue:
                raise BadWordsError(f"{name}: option requires an argument -- '{letter}'")
            found.values[letter] = rest or queue.pop()
            break
    return found


def number(text: str) -> int:
    """A number of bytes. Raises CommandError."""
    value = parse_size(text)
    if value is None or value >= 1 << 63:
        raise CommandError(f"Parsing error: non-numeric argument, or extraneous/unrecognized suffix -- {text}")
    return value


def pattern(text: str) -> int:
    """A byte, decimal, octal or hexadecimal. Raises CommandError."""
    try:
        value = int(text, 8) if text.startswith("0") and text.isdecimal() else int(text, 0)
    except ValueError:
        value = -1
    if not 0 <= value <= 255:
        raise CommandError(f"{text} is not a valid pattern byte")
    return value


def amount(value: float) -> str:
    """Bytes in the largest unit that fits: "1.500 KiB"."""
    if value < 1024:
        return f"{value:f}".replace(".000000", "") + " bytes"
    for unit in _UNITS:
        value /= 1024
        if value < 1024 or unit == _UNITS[-1]:
            break
    return f"{value:.3f}".replace(".000", "") + f" {unit}"


def clock(seconds: float, *, fixed: bool = False) -> str:
    """A time as reports show it: "00.25 sec", from a minute on (and always when `fixed`) "0:01:02.25"."""
    hundredths = int(seconds * 100)
    minutes, rest = divmod(hundredths, 6000)
    hours, minutes = divmod(minutes, 60)
    if fixed or hours or minutes:
        return f"{hours}:{minutes:02d}:{rest // 100:02d}.{rest % 100:02d}"
    return f"{rest // 100:02d}.{rest % 100:02d} sec"


def report(operation: str, offset: int, done: int, asked: int, seconds: float, *, terse: bool = False) -> str:
    """The lines about a finished request; `terse`: comma-separated numbers."""
    seconds = max(seconds, 1e-9)
    if terse:
        return f"{done},1,{clock(seconds, fixed=True)},{done / seconds:.3f},{1 / seconds:.3f}"
    return (
        f"{operation} {done}/{asked} bytes at offset {offset}\n"
        f"{amount(done)}, 1 ops; {clock(seconds)} ({amount(done / seconds)}/sec and {1 / seconds:.4f} ops/sec)"
    )


def dump(data: bytes | bytearray, offset: int) -> str:
    """Lines of sixteen bytes, hexadecimal and as text."""
    lines = []
    for at in range(0, len(data), 16):
        part = data[at : at + 16]
        text = "".join(chr(byte) if chr(byte).isascii() and chr(byte).isalnum() else "." for byte in part)
        lines.append(f"{offset + at:08x}:  {part.hex(' ')}  {text}")
    return "\n".join(lines)
