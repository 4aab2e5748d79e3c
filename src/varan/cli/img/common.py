"""Options that several subcommands share, and how images are opened by them."""

from __future__ import annotations

from varan.cli.img.grammar import Flag, Line
from varan.cli.option import UsageError
from varan.core.sizes import parse_size

FORMAT = Flag("format", ("-f", "--format"), "format of the image; probed when not given", "FMT")
IMAGE_OPTS = Flag("image-opts", ("--image-opts",), "the image is named by options: driver=qcow2,file.filename=a.qcow2")
OBJECT = Flag("object", ("--object",), "define an object: secret,id=ID,data=TEXT or file=PATH", "DEFINITION")
SHARE = Flag("share", ("-U", "--force-share"), "open though another process may be writing")
QUIET = Flag("quiet", ("-q", "--quiet"), "print nothing but errors")
PROGRESS = Flag("progress", ("-p", "--progress"), "show how far it is")
OUTPUT = Flag("output", ("--output",), "human (default) or json", "FORM")
CACHE = Flag("cache", ("-t", "--cache"), "cache mode of the image written to", "MODE")
SOURCE_CACHE = Flag("source-cache", ("-T", "--source-cache"), "cache mode of images read from", "MODE")
OPTIONS = Flag("options", ("-o", "--options"), "options of the format: a=b,c=d; help lists them", "OPTIONS")

CACHE_MODES = {
    "none": (True, False, True),
    "off": (True, False, True),
    "directsync": (True, False, False),
    "writeback": (False, False, True),
    "unsafe": (False, True, True),
    "writethrough": (False, False, False),
}
"""Mode: bypass the host's cache, ignore flushes, writes need not be stable at once."""


def size(text: str, what: str) -> int:
    """The bytes `text` stands for. Raises UsageError that names `what` it was for."""
    number = parse_size(text)
    if number is None or number >= 1 << 63:
        raise UsageError(f"{what} '{text}' is no size: bytes, or with a suffix k, M, G, T, P or E")
    return number


def number(line: Line, key: str, default: int, low: int, high: int) -> int:
    """The option's argument as a number from `low` to `high`. Raises UsageError."""
    text = line.last(key)
    if text is None:
        return default
    value = parse_size(text) if not text.isdecimal() else int(text)
    if value is None or not low <= value <= high:
        raise UsageError(f"--{key} {text}: a number from {low} to {high} is expected")
    return value


def wants_json(line: Line) -> bool:
    """Whether --output says json. Raises UsageError when it says neither json nor human."""
    form = line.last("output") or "human"
    if form not in ("human", "json"):
        raise UsageError("--output must be used with human or json as argument")
    return form == "json"


def one_image(line: Line) -> str:
    """The only operand. Raises UsageError."""
    if len(line.operands) != 1:
        raise UsageError("expecting one image file name")
    return line.operands[0]


def check_cache_mode(mode: str) -> tuple[bool, bool, bool]:
    """The cache mode's three properties, see CACHE_MODES. Raises UsageError."""
    if mode not in CACHE_MODES:
        raise UsageError(f"invalid cache option: {mode} (known are {', '.join(CACHE_MODES)})")
    return CACHE_MODES[mode]
