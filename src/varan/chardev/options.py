"""The short forms of -serial, -monitor, -qmp and -debugcon: `unix:vm.sock,server=on,wait=off`, `mon:stdio`, `pty`..."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from varan.chardev.base import ChardevError


@dataclass(frozen=True, slots=True)
class LegacyChardev:
    """A character device to make: its kind and options as -chardev would have them, and whether several share it."""

    kind: str
    options: dict[str, str] = field(default_factory=dict)
    mux: bool = False


@dataclass(frozen=True, slots=True)
class ExistingChardev:
    """A character device that -chardev describes, by its id."""

    id: str


LegacyTarget = LegacyChardev | ExistingChardev | None
"""What a short form stands for; None where it says `none`: no device at all."""

_KNOWN = (
    "none, null, stdio, pty, ringbuf, file:PATH, pipe:PATH, unix:PATH[,server=on], tcp:HOST:PORT[,server=on], "
    "telnet:HOST:PORT[,server=on], chardev:ID, mon:..."
)

_REFUSED = {
    "vc": "there are no displays yet to show it on; use stdio, pty or unix:PATH,server=on",
    "websocket": "websockets are not supported; use telnet: or tcp:",
    "udp": "UDP is not supported; use tcp: or unix:",
    "con": "that is for Windows; use stdio",
    "msmouse": "there is no serial mouse",
    "braille": "braille displays are not supported",
    "spicevmc": "SPICE is not there yet",
}


def parse_legacy(text: str) -> LegacyTarget:
    """What `text` stands for. Raises ChardevError, quoting it, when it stands for nothing."""
    if text == "none":
        return None
    name, colon, rest = text.partition(":")
    if name == "mon" and colon:
        return _parse_shared(text, rest)
    if name == "chardev" and colon:
        if not rest or "," in rest:
            raise _error(text, "an id is expected after 'chardev:'")
        return ExistingChardev(rest)
    return _parse_device(text)


def _parse_shared(text: str, rest: str) -> LegacyChardev:
    device = _parse_device(rest)
    # Ctrl-C is for the guest where Ctrl-A x is there to end the machine.
    options = {**device.options, "signal": "off"} if device.kind == "stdio" else device.options
    if device.kind == "ringbuf":
        raise _error(text, "a ring buffer has no input to share")
    return LegacyChardev(device.kind, options, mux=True)


def _parse_device(text: str) -> LegacyChardev:
    name, colon, rest = text.partition(":")
    if not colon and name in ("null", "stdio", "pty", "ringbuf", "memory"):
        return LegacyChardev("ringbuf" if name == "memory" else name)
    if (parser := _PARSERS.get(name)) is not None and colon:
        return parser(text, rest)
    if name in _REFUSED:
        raise _error(text, _REFUSED[name])
    if text.startswith("/dev/"):
        raise _error(text, f"the host's own terminals are not supported; pipe:{text} may do")
    raise _error(text, f"no such character device; known are {_KNOWN}")


def _parse_file(text: str, rest: str) -> LegacyChardev:
    return LegacyChardev("file", {"path": _path(text, rest)})


def _parse_pipe(text: str, rest: str) -> LegacyChardev:
    return LegacyChardev("pipe", {"path": _path(text, rest)})


def _parse_unix(text: str, rest: str) -> LegacyChardev:
    path, *items = _split(rest)
    return LegacyChardev("socket", {"path": _path(text, path), **_switches(text, items)})


def _parse_tcp(text: str, rest: str) -> LegacyChardev:
    address, *items = _split(rest)
    host, colon, port = address.rpartition(":")
    if not colon or not port:
        raise _error(text, "HOST:PORT is expected; HOST may be left out, as in tcp::4444")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        raise _error(text, f"an IPv6 address is written in brackets: [{host}]:{port}")
    options = {"host": host} if host else {}
    return LegacyChardev("socket", {**options, "port": port, **_switches(text, items)})


def _parse_telnet(text: str, rest: str) -> LegacyChardev:
    device = _parse_tcp(text, rest)
    return LegacyChardev(device.kind, {**device.options, "telnet": "on"})


_PARSERS: dict[str, Callable[[str, str], LegacyChardev]] = {
    "file": _parse_file,
    "pipe": _parse_pipe,
    "unix": _parse_unix,
    "tcp": _parse_tcp,
    "telnet": _parse_telnet,
}


def _split(text: str) -> list[str]:
    """The items between single commas; a doubled comma stands for one inside an item. Never empty."""
    parts = text.replace(",,", "\0").split(",")
    return [part.replace("\0", ",") for part in parts]


def _switches(text: str, items: list[str]) -> dict[str, str]:
    """`server=on`, `server` and `nowait` as options."""
    options: dict[str, str] = {}
    for item in items:
        key, equals, value = item.partition("=")
        if not key:
            raise _error(text, "an option name is missing after a comma")
        if equals:
            options[key] = value
        elif key.startswith("no") and key != "nodelay" and len(key) > 2:
            options[key[2:]] = "off"
        else:
            options[key] = "on"
    return options


def _path(text: str, path: str) -> str:
    if not path:
        raise _error(text, "a file name is missing")
    return path


def _error(text: str, problem: str) -> ChardevError:
    return ChardevError(f"'{text}': {problem}")
