"""The server's side of a telnet connection (RFC 854, 855, 857, 858, 856), without the connection.

We offer to echo and to suppress go-ahead, which makes clients send each key as it is typed, and to go binary both ways.
Answers are given only to what changes something, so that two sides cannot chatter for ever (RFC 854, "The basic
strategy").
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

IAC = 0xFF
DONT, DO, WONT, WILL, SB = 0xFE, 0xFD, 0xFC, 0xFB, 0xFA
BRK = 0xF3
SE = 0xF0

BINARY, ECHO, SUPPRESS_GO_AHEAD = 0, 1, 3

CR, LF, NUL = 0x0D, 0x0A, 0x00

OURS = frozenset({BINARY, ECHO, SUPPRESS_GO_AHEAD})
"""Options that we perform."""
THEIRS = frozenset({BINARY, SUPPRESS_GO_AHEAD})
"""Options that we let the client perform."""

GREETING = bytes((IAC, WILL, ECHO, IAC, WILL, SUPPRESS_GO_AHEAD, IAC, WILL, BINARY, IAC, DO, BINARY))
"""What to send first."""


class _At(enum.Enum):
    DATA = enum.auto()
    RETURN = enum.auto()
    """After a carriage return of a client that is not binary."""
    COMMAND = enum.auto()
    OPTION = enum.auto()
    SUBNEGOTIATION = enum.auto()
    SUBNEGOTIATION_COMMAND = enum.auto()


@dataclass(slots=True)
class Received:
    """What some bytes meant: data, how many break commands, and what to answer."""

    data: bytes
    breaks: int
    reply: bytes


class Telnet:
    """One connection. Memory use does not depend on what the peer sends."""

    def __init__(self) -> None:
        self._at = _At.DATA
        self._verb = 0
        self._offered = set(OURS)
        self._asked = {BINARY}
        self._performed: set[int] = set()
        self._peer_performs: set[int] = set()
        self._sent_return = False

    @property
    def peer_is_binary(self) -> bool:
        """Whether the client sends bytes as they are."""
        return BINARY in self._peer_performs

    def receive(self, wire: bytes) -> Received:
        """Take bytes from the client."""
        if self._at is _At.DATA and IAC not in wire and (self.peer_is_binary or CR not in wire):
            return Received(wire, 0, b"")
        data, reply = bytearray(), bytearray()
        breaks = 0
        for byte in wire:
            match self._at:
                case _At.DATA | _At.RETURN:
                    self._receive_data(byte, data)
                case _At.COMMAND:
                    breaks += byte == BRK
                    self._receive_command(byte, data)
                case _At.OPTION:
                    self._negotiate(byte, reply)
                    self._at = _At.DATA
                case _At.SUBNEGOTIATION:
                    if byte == IAC:
                        self._at = _At.SUBNEGOTIATION_COMMAND
                case _At.SUBNEGOTIATION_COMMAND:
                    self._at = _At.DATA if byte == SE else _At.SUBNEGOTIATION
        return Received(bytes(data), breaks, bytes(reply))

    def send(self, data: bytes) -> bytes:
        """The bytes that carry `data` to the client."""
        wire = data.replace(b"\xff", b"\xff\xff")
        if BINARY in self._performed or not data:
            return wire
        # RFC 854: a carriage return is followed by a line feed or by NUL. What follows the last one shows next time.
        pending = self._sent_return and data[0] != LF
        self._sent_return = data[-1] == CR
        wire = wire.replace(b"\r", b"\r\0").replace(b"\r\0\n", b"\r\n")
        if self._sent_return:
            wire = wire[:-1]
        return b"\0" + wire if pending else wire

    def _receive_data(self, byte: int, data: bytearray) -> None:
        after_return = self._at is _At.RETURN
        self._at = _At.DATA
        if byte == IAC:
            self._at = _At.COMMAND
        elif after_return and byte in (LF, NUL):
            return  # end of line as a client in the network's own alphabet writes it; the return was delivered
        else:
            data.append(byte)
            if byte == CR and not self.peer_is_binary:
                self._at = _At.RETURN

    def _receive_command(self, byte: int, data: bytearray) -> None:
        self._at = _At.DATA
        if byte == IAC:
            data.append(IAC)
        elif byte == SB:
            self._at = _At.SUBNEGOTIATION
        elif byte in (DO, DONT, WILL, WONT):
            self._verb = byte
            self._at = _At.OPTION

    def _negotiate(self, option: int, reply: bytearray) -> None:
        if self._verb in (DO, DONT):
            self._agree(option, self._verb == DO, OURS, self._performed, self._offered, (WILL, WONT), reply)
        else:
            self._agree(option, self._verb == WILL, THEIRS, self._peer_performs, self._asked, (DO, DONT), reply)

    @staticmethod
    def _agree(
        option: int,
        wanted: bool,
        possible: frozenset[int],
        active: set[int],
        unanswered: set[int],
        answers: tuple[int, int],
        reply: bytearray,
    ) -> None:
        yes, no = answers
        expected = option in unanswered
        unanswered.discard(option)
        if wanted and option not in possible:
            reply += bytes((IAC, no, option))
        elif wanted and option not in active:
            active.add(option)
            if not expected:
                reply += bytes((IAC, yes, option))
        elif not wanted and option in active:
            active.remove(option)
            reply += bytes((IAC, no, option))
