"""libslirp, bound at run time: the part of its interface (libslirp.h, configuration version 3) that Varan uses."""

from __future__ import annotations

import ctypes
import functools
import socket
from collections.abc import Callable
from ctypes import (
    CDLL,
    CFUNCTYPE,
    POINTER,
    Structure,
    byref,
    c_bool,
    c_char_p,
    c_int,
    c_int64,
    c_size_t,
    c_ssize_t,
    c_ubyte,
    c_uint8,
    c_uint32,
    c_void_p,
)
from typing import Any, Protocol

LIBRARY = "libslirp.so.0"
POLL_IN, POLL_OUT, POLL_URGENT, POLL_ERROR, POLL_HANGUP = 1, 2, 4, 8, 16
FOREVER = 0xFFFF_FFFF
_VERSION = 3

_Send = CFUNCTYPE(c_ssize_t, POINTER(c_ubyte), c_size_t, c_void_p)
_Complain = CFUNCTYPE(None, c_char_p, c_void_p)
_Now = CFUNCTYPE(c_int64, c_void_p)
_TimerNew = CFUNCTYPE(c_void_p, c_void_p, c_void_p, c_void_p)
_TimerFree = CFUNCTYPE(None, c_void_p, c_void_p)
_TimerModify = CFUNCTYPE(None, c_void_p, c_int64, c_void_p)
_Descriptor = CFUNCTYPE(None, c_int, c_void_p)
_Notify = CFUNCTYPE(None, c_void_p)
_TimerRun = CFUNCTYPE(None, c_void_p)
_AddPoll = CFUNCTYPE(c_int, c_int, c_int, c_void_p)
_Revents = CFUNCTYPE(c_int, c_int, c_void_p)


class InAddr(Structure):
    """`struct in_addr`: in network order, aligned as a word."""

    _fields_ = [("word", c_uint32)]


class In6Addr(Structure):
    """`struct in6_addr`: in network order, aligned as a word."""

    _fields_ = [("words", c_uint32 * 4)]


def in_addr(text: str) -> InAddr:
    """An IPv4 address."""
    return InAddr.from_buffer_copy(socket.inet_pton(socket.AF_INET, text))


def in6_addr(text: str) -> In6Addr:
    """An IPv6 address."""
    return In6Addr.from_buffer_copy(socket.inet_pton(socket.AF_INET6, text))


class Config(Structure):
    """`SlirpConfig` up to version 3."""

    _fields_ = [
        ("version", c_uint32),
        ("restricted", c_int),
        ("in_enabled", c_bool),
        ("vnetwork", InAddr),
        ("vnetmask", InAddr),
        ("vhost", InAddr),
        ("in6_enabled", c_bool),
        ("vprefix_addr6", In6Addr),
        ("vprefix_len", c_uint8),
        ("vhost6", In6Addr),
        ("vhostname", c_char_p),
        ("tftp_server_name", c_char_p),
        ("tftp_path", c_char_p),
        ("bootfile", c_char_p),
        ("vdhcp_start", InAddr),
        ("vnameserver", InAddr),
        ("vnameserver6", In6Addr),
        ("vdnssearch", POINTER(c_char_p)),
        ("vdomainname", c_char_p),
        ("if_mtu", c_size_t),
        ("if_mru", c_size_t),
        ("disable_host_loopback", c_bool),
        ("enable_emu", c_bool),
        ("outbound_addr", c_void_p),
        ("outbound_addr6", c_void_p),
        ("disable_dns", c_bool),
    ]


class _Callbacks(Structure):
    """`SlirpCb` before version 4; the two members that came then stay empty."""

    _fields_ = [
        ("send_packet", _Send),
        ("guest_error", _Complain),
        ("clock_get_ns", _Now),
        ("timer_new", _TimerNew),
        ("timer_free", _TimerFree),
        ("timer_mod", _TimerModify),
        ("register_poll_fd", _Descriptor),
        ("unregister_poll_fd", _Descriptor),
        ("notify", _Notify),
        ("init_completed", c_void_p),
        ("timer_new_opaque", c_void_p),
    ]


class Owner(Protocol):
    """Who runs a stack."""

    def send_packet(self, frame: bytes) -> None:
        """A frame for the guest."""

    def guest_error(self, message: str) -> None:
        """The guest did something wrong."""

    def now(self) -> int:
        """The time in nanoseconds."""

    def timer_changed(self) -> None:
        """`Stack.deadline` may be another now."""

    def descriptor_closed(self, fd: int) -> None:
        """`fd` is about to be closed; another may get its number."""

    def notify(self) -> None:
        """Look again what to poll."""


@functools.cache
def load() -> CDLL:
    """The library. Raises OSError where it is not installed."""
    library = CDLL(LIBRARY)
    library.slirp_new.restype = c_void_p
    library.slirp_new.argtypes = [POINTER(Config), POINTER(_Callbacks), c_void_p]
    library.slirp_cleanup.argtypes = [c_void_p]
    library.slirp_cleanup.restype = None
    library.slirp_input.argtypes = [c_void_p, c_char_p, c_int]
    library.slirp_input.restype = None
    library.slirp_pollfds_fill.argtypes = [c_void_p, POINTER(c_uint32), _AddPoll, c_void_p]
    library.slirp_pollfds_fill.restype = None
    library.slirp_pollfds_poll.argtypes = [c_void_p, c_int, _Revents, c_void_p]
    library.slirp_pollfds_poll.restype = None
    forward: list[Any] = [c_void_p, c_int, InAddr, c_int]
    library.slirp_add_hostfwd.argtypes = [*forward, InAddr, c_int]
    library.slirp_remove_hostfwd.argtypes = forward
    guest_end: list[Any] = [POINTER(InAddr), c_int]
    library.slirp_add_exec.argtypes = [c_void_p, c_char_p, *guest_end]
    library.slirp_add_unix.argtypes = [c_void_p, c_char_p, *guest_end]
    library.slirp_connection_info.argtypes = [c_void_p]
    library.slirp_connection_info.restype = c_void_p
    return library


class Stack:
    """One TCP/IP stack. All calls come from one thread; the library calls its owner back from inside them."""

    def __init__(self, config: Config, owner: Owner) -> None:
        """Raises OSError where the library is missing or refuses the configuration."""
        self._library = load()
        self._owner = owner
        self._timers: dict[int, tuple[Callable[[int], Any], int]] = {}
        self._due: dict[int, int] = {}
        self._callbacks = self._make_callbacks()
        self._config = config
        config.version = _VERSION
        self._handle = self._library.slirp_new(byref(config), byref(self._callbacks), None)
        if not self._handle:
            raise OSError(0, "libslirp refuses the configuration")

    def _make_callbacks(self) -> _Callbacks:
        owner = self._owner

        def send(data: Any, length: int, _opaque: int) -> int:
            owner.send_packet(ctypes.string_at(data, length))
            return length

        return _Callbacks(
            _Send(send),
            _Complain(lambda message, _opaque: owner.guest_error(message.decode(errors="replace"))),
            _Now(lambda _opaque: owner.now()),
            _TimerNew(self._new_timer),
            _TimerFree(self._free_timer),
            _TimerModify(self._modify_timer),
            _Descriptor(lambda _fd, _opaque: None),
            _Descriptor(lambda fd, _opaque: owner.descriptor_closed(fd)),
            _Notify(lambda _opaque: owner.notify()),
        )

    def _new_timer(self, run: int, argument: int | None, _opaque: int) -> int:
        number = max(self._timers, default=0) + 1
        self._timers[number] = (_TimerRun(run), argument or 0)
        return number

    def _free_timer(self, number: int, _opaque: int) -> None:
        self._timers.pop(number, None)
        self._due.pop(number, None)

    def _modify_timer(self, number: int, milliseconds: int, _opaque: int) -> None:
        self._due[number] = milliseconds * 1_000_000
        self._owner.timer_changed()

    @property
    def deadline(self) -> int | None:
        """When the next timer is due, in nanoseconds of the owner's clock."""
        return min(self._due.values(), default=None)

    def run_timers(self) -> None:
        """Run the timers that are due."""
        now = self._owner.now()
        for number in [number for number, due in self._due.items() if due <= now]:
            del self._due[number]
            run, argument = self._timers[number]
            run(argument)

    def input(self, frame: bytes) -> None:
        """A frame from the guest."""
        self._library.slirp_input(self._handle, frame, len(frame))

    def fill(self) -> tuple[list[tuple[int, int]], int]:
        """What to poll, as (descriptor, POLL_ bits), and for how many milliseconds at most (FOREVER: any time)."""
        wanted: list[tuple[int, int]] = []

        def add(fd: int, events: int, _opaque: int) -> int:
            wanted.append((fd, events))
            return len(wanted) - 1

        timeout = c_uint32(FOREVER)
        self._library.slirp_pollfds_fill(self._handle, byref(timeout), _AddPoll(add), None)
        return wanted, timeout.value

    def poll(self, ready: list[int]) -> None:
        """Serve the descriptors of the last `fill`: `ready` has POLL_ bits for each."""
        self._library.slirp_pollfds_poll(self._handle, 0, _Revents(lambda index, _opaque: ready[index]), None)

    def add_host_forward(self, udp: bool, host: str, port: int, guest: str, guest_port: int) -> bool:
        """Have connections to a port of the host go to the guest."""
        failed = self._library.slirp_add_hostfwd(self._handle, udp, in_addr(host), port, in_addr(guest), guest_port)
        return not failed

    def remove_host_forward(self, udp: bool, host: str, port: int) -> bool:
        """Undo `add_host_forward`."""
        return not self._library.slirp_remove_hostfwd(self._handle, udp, in_addr(host), port)

    def add_command(self, command: str, server: str, port: int) -> bool:
        """Have the guest's connections to `server` run a command of the host's."""
        return not self._library.slirp_add_exec(self._handle, command.encode(), byref(in_addr(server)), port)

    def add_unix(self, path: str, server: str, port: int) -> bool:
        """Have the guest's connections to `server` go to a Unix socket of the host."""
        return not self._library.slirp_add_unix(self._handle, path.encode(), byref(in_addr(server)), port)

    def connections(self) -> str:
        """A table of the connections."""
        pointer = self._library.slirp_connection_info(self._handle)
        text = ctypes.string_at(pointer).decode(errors="replace")
        _free(pointer)
        return text

    def close(self) -> None:
        """Release everything. May be called twice."""
        handle, self._handle = self._handle, None
        if handle:
            self._library.slirp_cleanup(handle)


def _free(pointer: int) -> None:
    free = CDLL(None).free
    free.argtypes = [c_void_p]
    free.restype = None
    free(pointer)
