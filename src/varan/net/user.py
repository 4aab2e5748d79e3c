"""`user`: a network of the guest's own behind the host's sockets, by libslirp; it needs no rights on the host."""

from __future__ import annotations

import asyncio
import ctypes
import logging
import select
import time
from typing import TYPE_CHECKING

from varan.net import slirp
from varan.net.base import Netdev
from varan.net.params import Params
from varan.net.user_options import GuestForward, HostForward, UserOptions, parse, parse_host_forward

if TYPE_CHECKING:
    from varan.net.network import Network
    from varan.net.registry import Options

log = logging.getLogger("varan.net")

_MILLISECOND = 0.001
_HOST_EVENTS = {
    slirp.POLL_IN: select.POLLIN,
    slirp.POLL_OUT: select.POLLOUT,
    slirp.POLL_URGENT: select.POLLPRI,
    slirp.POLL_ERROR: select.POLLERR,
    slirp.POLL_HANGUP: select.POLLHUP,
}


class UserNetdev(Netdev):
    """The stack, driven from the machine's loop: descriptors it wants to hear of are watched there."""

    kind = "user"

    def __init__(self, id: str, options: UserOptions) -> None:
        super().__init__(id)
        self.options = options
        self._stack: slirp.Stack | None = None
        self._loop: asyncio.AbstractEventLoop
        self._polled: list[tuple[int, int]] = []
        """What the last fill asked for."""
        self._watched: dict[int, int] = {}
        self._closed: set[int] = set()
        """Descriptors that went since the last fill."""
        self._alarm: asyncio.TimerHandle | None = None
        self._turn_due = False

    @property
    def description(self) -> str:
        restrict = "on" if self.options.restrict else "off"
        return f"type=user,net={self.options.network.network_address},restrict={restrict}"

    async def open(self) -> None:
        self._loop = asyncio.get_running_loop()
        try:
            self._stack = slirp.Stack(self._configure(), self)
        except OSError as error:
            raise self.error(
                f"{slirp.LIBRARY} cannot be used ({error}); install the package libslirp0, or use another kind"
            ) from error
        try:
            for forward in self.options.host_forwards:
                self._forward(forward)
            for service in self.options.guest_forwards:
                self._serve(service)
        except BaseException:
            await self.close()
            raise
        self.notify()

    def _configure(self) -> slirp.Config:
        options = self.options
        search = (ctypes.c_char_p * (len(options.search) + 1))(*(name.encode() for name in options.search), None)
        return slirp.Config(
            restricted=options.restrict,
            in_enabled=options.ipv4,
            vnetwork=slirp.in_addr(str(options.network.network_address)),
            vnetmask=slirp.in_addr(str(options.network.netmask)),
            vhost=slirp.in_addr(options.host),
            in6_enabled=options.ipv6,
            vprefix_addr6=slirp.in6_addr(options.prefix6),
            vprefix_len=options.prefix6_length,
            vhost6=slirp.in6_addr(options.host6),
            vhostname=_bytes(options.hostname),
            tftp_server_name=_bytes(options.tftp_server),
            tftp_path=_bytes(options.tftp),
            bootfile=_bytes(options.bootfile),
            vdhcp_start=slirp.in_addr(options.dhcp_start),
            vnameserver=slirp.in_addr(options.dns),
            vnameserver6=slirp.in6_addr(options.dns6),
            vdnssearch=search if options.search else None,
            vdomainname=_bytes(options.domain),
        )

    def _forward(self, forward: HostForward) -> None:
        assert self._stack is not None
        if not self._stack.add_host_forward(forward.udp, forward.host, forward.port, forward.guest, forward.guest_port):
            kind = "udp" if forward.udp else "tcp"
            raise self.error(f"the host gives no {kind} port {forward.host}:{forward.port} to forward; is it in use?")

    def _serve(self, service: GuestForward) -> None:
        assert self._stack is not None
        add = self._stack.add_command if service.kind == "cmd" else self._stack.add_unix
        if not add(service.target, service.server, service.port):
            raise self.error(f"guestfwd: {service.server}:{service.port} is taken by another or by the gateway")

    def add_forward(self, text: str) -> None:
        """Forward a port of the host from now on (`hostfwd_add`). Raises NetdevError."""
        self._forward(parse_host_forward(Params(self.id, {}), text))
        self.notify()

    def remove_forward(self, udp: bool, host: str, port: int) -> bool:
        """End a forward; False when there is none."""
        assert self._stack is not None
        removed = self._stack.remove_host_forward(udp, host, port)
        self.notify()
        return removed

    def connections(self) -> str:
        """A table of the connections (`info usernet`)."""
        return "" if self._stack is None else self._stack.connections()

    def transmit(self, frame: bytes) -> None:
        if self._stack is not None:
            self._stack.input(frame)
            self.notify()

    # What the stack calls, from inside a call of ours.

    def send_packet(self, frame: bytes) -> None:
        self.deliver(frame)

    def guest_error(self, message: str) -> None:
        log.info("netdev '%s': %s", self.id, message)

    def now(self) -> int:
        return time.monotonic_ns()

    def timer_changed(self) -> None:
        self.notify()

    def descriptor_closed(self, fd: int) -> None:
        self._unwatch(fd)
        self._closed.add(fd)

    def notify(self) -> None:
        """Have the loop take a turn soon."""
        if not self._turn_due and self._stack is not None:
            self._turn_due = True
            self._loop.call_soon(self._turn)

    def _turn(self) -> None:
        """Serve what is ready, run timers, and find out what to wait for next."""
        self._turn_due = False
        stack = self._stack
        if stack is None:
            return
        stack.poll(self._ready())
        stack.run_timers()
        self._polled, timeout = stack.fill()
        self._closed.clear()
        self._watch()
        self._set_alarm(stack, timeout)

    def _ready(self) -> list[int]:
        """POLL_ bits of each descriptor of the last fill as they are now; what the loop saw may have been served since.

        The stack would wait for ever in an accept that has nobody to accept.
        """
        poll = select.poll()
        for fd, events in self._polled:
            if fd not in self._closed:
                poll.register(fd, sum(host for bit, host in _HOST_EVENTS.items() if events & bit))
        now = dict(poll.poll(0))
        return [sum(bit for bit, host in _HOST_EVENTS.items() if now.get(fd, 0) & host) for fd, _ in self._polled]

    def _watch(self) -> None:
        wanted: dict[int, int] = {}
        for fd, events in self._polled:
            wanted[fd] = wanted.get(fd, 0) | events
        for fd in self._watched.keys() - wanted.keys():
            self._unwatch(fd)
        for fd, events in wanted.items():
            if self._watched.get(fd) != events:
                self._unwatch(fd)
                if events & (slirp.POLL_IN | slirp.POLL_URGENT):
                    self._loop.add_reader(fd, self.notify)
                if events & slirp.POLL_OUT:
                    self._loop.add_writer(fd, self.notify)
                self._watched[fd] = events

    def _unwatch(self, fd: int) -> None:
        if self._watched.pop(fd, 0):
            self._loop.remove_reader(fd)
            self._loop.remove_writer(fd)

    def _set_alarm(self, stack: slirp.Stack, timeout: int) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        waits = [] if timeout == slirp.FOREVER else [timeout * _MILLISECOND]
        if stack.deadline is not None:
            waits.append(max(stack.deadline - self.now(), 0) / 1e9)
        if waits:
            self._alarm = self._loop.call_later(min(waits), self.notify)

    async def close(self) -> None:
        stack, self._stack = self._stack, None
        if stack is None:
            return
        if self._alarm is not None:
            self._alarm.cancel()
        for fd in list(self._watched):
            self._unwatch(fd)
        stack.close()


def _bytes(text: str | None) -> bytes | None:
    return None if text is None else text.encode()


def create(id: str, options: Options, network: Network) -> UserNetdev:
    """A user back end. Raises NetdevError for a bad option."""
    return UserNetdev(id, parse(id, options))
