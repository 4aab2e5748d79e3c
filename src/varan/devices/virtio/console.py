"""The virtio console (VIRTIO 1.2, 5.3): byte streams between guest and host, each a port with a queue each way.

The core moves bytes between guest buffers and who asks for them; a `Port` is told when asking is worth while. Output
stays in the guest's buffers until somebody has taken it, and input is taken only as far as there are buffers: that is
the back-pressure, both ways.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import Annotated, Protocol

import msgspec
from msgspec import Meta

from varan.core.memory import MemorySpace
from varan.core.state import StateError
from varan.devices.fields import Word
from varan.devices.virtio.chain import Chain
from varan.devices.virtio.device import VirtioDevice, VirtioState
from varan.devices.virtio.features import DEFAULT
from varan.devices.virtio.queue import VirtQueue

F_MULTIPORT = 1 << 1
F_EMERGENCY_WRITE = 1 << 2

CONTROL_IN, CONTROL_OUT = 2, 3
"""Queues of control messages, to and from the driver; those of ports are at 0 and 1 and from 4 on."""
QUEUE_SIZE = 128
MOST_PORTS = 511

CONFIG = struct.Struct("<HHII")
"""cols, rows, max_nr_ports, emerg_wr."""
EMERGENCY_OFFSET = 8

CONTROL = struct.Struct("<IHH")
"""Port, event, value."""
DEVICE_READY, PORT_ADD, PORT_REMOVE, PORT_READY, CONSOLE_PORT, RESIZE, PORT_OPEN, PORT_NAME = range(8)
MOST_MESSAGES = 4096
"""Control messages that wait for a driver which takes none; further ones are lost."""
MOST_OUTPUT = 64 << 10
"""Bytes that one look at the output shows."""

PortNumber = Annotated[int, Meta(ge=0, lt=MOST_PORTS)]


class PortState(msgspec.Struct, kw_only=True):
    """One port, as the driver has it."""

    number: PortNumber
    guest_open: bool = False
    taken: Annotated[int, Meta(ge=0)] = 0
    """Bytes of the oldest chain of output that the host has taken."""


class Message(msgspec.Struct, array_like=True):
    """A control message to the driver. A name is looked up when it goes out."""

    port: PortNumber
    event: Word
    value: Word


class ConsoleState(VirtioState, kw_only=True):
    """Ports, and control messages for which the driver had no buffer yet."""

    ports: Annotated[list[PortState], Meta(max_length=MOST_PORTS)] = msgspec.field(default_factory=list)
    messages: Annotated[list[Message], Meta(max_length=MOST_MESSAGES)] = msgspec.field(default_factory=list)


class PortUser(Protocol):
    """Who is at the host's end of a port. Told under the machine lock, on any thread."""

    def output_ready(self) -> None:
        """There is output that was not there before."""

    def input_wanted(self) -> None:
        """Input may be taken that was not taken before."""

    def guest_opened(self, opened: bool) -> None:
        """A program in the guest has opened or closed the port."""

    def emergency(self, byte: int) -> None:
        """A byte that does not go through the queues."""


class Port:
    """One port: `is_console` for one that the guest may use as its console."""

    def __init__(self, number: int, user: PortUser, *, name: str = "", is_console: bool = False) -> None:
        self.number = number
        self.user = user
        self.name = name
        self.is_console = is_console
        self.host_open = is_console
        """Whether anybody listens at the host's end; a console counts as open always."""
        self.chain: Chain | None = None
        """The oldest output."""
        self.told_open = False


class VirtioConsole(VirtioDevice[ConsoleState]):
    """See the module's text. Everything is called under the machine lock."""

    device_number = 3
    state_type = ConsoleState

    def __init__(self, memory: MemorySpace, max_ports: int, *, features: int = DEFAULT) -> None:
        """`features`: beside the queues' F_EMERGENCY_WRITE. `max_ports`: numbers of ports are lower."""
        self.ports: dict[int, Port] = {}
        self.max_ports = max_ports
        queues = 2
        if max_ports > 1:
            features |= F_MULTIPORT
            queues = 2 * max_ports + 2
        super().__init__(memory, [QUEUE_SIZE] * queues, features)

    # Ports come and go

    def add_port(self, port: Port) -> None:
        """Show a port whose number is free."""
        self.ports[port.number] = port
        self.state.ports.append(PortState(number=port.number))
        if self._multiport:
            self._tell(port.number, PORT_ADD, 1)

    def remove_port(self, number: int) -> None:
        """Take a port away; output in it is lost."""
        port = self.ports.pop(number)
        self.state.ports = [state for state in self.state.ports if state.number != number]
        if port.chain is not None:
            self._output(number).push(port.chain, 0)
            self._output(number).notify()
        if self._multiport:
            self._tell(number, PORT_REMOVE, 1)

    def set_host_open(self, number: int, opened: bool) -> None:
        """Somebody at the host's end has come or gone."""
        port = self.ports[number]
        if port.host_open != opened and not port.is_console:
            port.host_open = opened
            if self._multiport:
                self._tell(number, PORT_OPEN, int(opened))

    # Bytes

    def send_input(self, number: int, data: bytes | bytearray | memoryview) -> int:
        """Put bytes into the guest's buffers; returns how many. None go to a port that nobody has opened."""
        if not self.running or not self._takes_input(number):
            return 0
        queue, view, done = self._input(number), memoryview(data), 0
        with view:
            for chain in queue.chains():
                written = chain.scatter(view[done:])
                queue.push(chain, written)
                done += written
                if done == len(data):
                    break
        queue.notify()
        return done

    def peek_output(self, number: int) -> tuple[Chain, bytes] | None:
        """The oldest bytes of output, with the chain that they are in; None when there are none."""
        port, queue = self.ports[number], self._output(number)
        while True:
            if port.chain is None:
                port.chain = next(queue.chains(), None)
                if port.chain is None:
                    return None
            data = _slice(port.chain.readable, self._state(number).taken, MOST_OUTPUT)
            if data:
                return port.chain, data
            self._finish(port, queue)

    def take_output(self, number: int, chain: Chain, count: int) -> None:
        """`count` bytes of what `peek_output` gave are the host's now."""
        port = self.ports.get(number)
        if port is None or port.chain is not chain:
            return
        state = self._state(number)
        state.taken += count
        if state.taken >= sum(map(len, chain.readable)):
            self._finish(port, self._output(number))

    def _finish(self, port: Port, queue: VirtQueue) -> None:
        chain, port.chain = port.chain, None
        assert chain is not None
        self._state(port.number).taken = 0
        queue.push(chain, 0)
        queue.notify()

    # What the driver does

    def handle_queue(self, queue: VirtQueue) -> None:
        index = queue.index
        if index == CONTROL_OUT:
            for chain in queue.chains():
                message = chain.gather(CONTROL.size)
                queue.push(chain, 0)
                if len(message) == CONTROL.size:
                    self._control(*CONTROL.unpack(message))
            queue.notify()
        elif index == CONTROL_IN:
            self._send_messages()
        else:
            port = self.ports.get(_port_number(index))
            if port is not None and index & 1:
                port.user.output_ready()
            elif port is not None:
                port.user.input_wanted()

    def _control(self, number: int, event: int, value: int) -> None:
        if event == DEVICE_READY:
            if value:
                for known in self.ports:
                    self._tell(known, PORT_ADD, 1)
            return
        port = self.ports.get(number)
        if port is None:
            return
        if event == PORT_READY and value:
            if port.is_console:
                self._tell(number, CONSOLE_PORT, 1)
            if port.name:
                self._tell(number, PORT_NAME, 1)
            if port.host_open:
                self._tell(number, PORT_OPEN, 1)
        elif event == PORT_OPEN:
            self._state(number).guest_open = bool(value)
            self._tell_user(port)

    def _tell_user(self, port: Port) -> None:
        opened = self._takes_input(port.number) and self.running
        if opened != port.told_open:
            port.told_open = opened
            port.user.guest_opened(opened)
        if opened:
            port.user.input_wanted()

    def _tell(self, number: int, event: int, value: int) -> None:
        if len(self.state.messages) < MOST_MESSAGES:
            self.state.messages.append(Message(number, event, value))
        self._send_messages()

    def _send_messages(self) -> None:
        if not self._multiport:
            return
        messages, queue = self.state.messages, self.queues[CONTROL_IN]
        while messages:
            chain = next(queue.chains(), None)
            if chain is None:
                break
            message = messages.pop(0)
            data = CONTROL.pack(message.port, message.event, message.value)
            if message.event == PORT_NAME and message.port in self.ports:
                data += self.ports[message.port].name.encode()
            queue.push(chain, chain.scatter(data))
        queue.notify()

    def config(self) -> bytes:
        return CONFIG.pack(0, 0, self.max_ports, 0)

    def write_config(self, offset: int, data: bytes) -> None:
        at = EMERGENCY_OFFSET - offset
        first = self.ports.get(0)
        if self.offered & F_EMERGENCY_WRITE and 0 <= at < len(data) and first is not None and first.is_console:
            first.user.emergency(data[at])

    def driver_ready(self) -> None:
        self._send_messages()
        for port in self.ports.values():
            port.user.output_ready()
            self._tell_user(port)

    # What follows from numbers

    @property
    def _multiport(self) -> bool:
        return bool(self.features & F_MULTIPORT) and self.running

    def _takes_input(self, number: int) -> bool:
        return not self.features & F_MULTIPORT or self._state(number).guest_open

    def _state(self, number: int) -> PortState:
        return next(state for state in self.state.ports if state.number == number)

    def _input(self, number: int) -> VirtQueue:
        return self.queues[2 * number + 2 if number else 0]

    def _output(self, number: int) -> VirtQueue:
        return self.queues[2 * number + 3 if number else 1]

    # Reset, save and load

    def stopped(self) -> None:
        self.state.ports = [PortState(number=number) for number in self.ports]

    def load(self, state: ConsoleState) -> None:
        """Raises StateError when the state is of a device with other ports."""
        if {saved.number for saved in state.ports} != set(self.ports) or len(state.ports) != len(self.ports):
            raise StateError("the saved console has other ports than this one")
        super().load(state)

    def restored(self) -> None:
        for port in self.ports.values():
            if port.chain is not None:
                self._output(port.number).push(port.chain, 0)
                port.chain = None
        super().restored()
        for port in self.ports.values():
            self._tell_user(port)

    def tell_host_ends(self) -> None:
        """After a load: who listens at the host's ends may not be as it was."""
        if self._multiport:
            for number, port in self.ports.items():
                self._tell(number, PORT_OPEN, int(port.host_open))

    def forget_memory(self) -> None:
        for port in self.ports.values():
            port.chain = None
        super().forget_memory()


def _port_number(index: int) -> int:
    """Of the port that queue `index` belongs to."""
    return index // 2 - 1 if index > CONTROL_OUT else 0


def _slice(views: Iterable[memoryview], skip: int, limit: int) -> bytes:
    """Up to `limit` bytes of `views` behind their first `skip` bytes."""
    parts = []
    for view in views:
        if skip >= len(view):
            skip -= len(view)
            continue
        parts.append(bytes(view[skip : skip + limit]))
        limit -= len(parts[-1])
        skip = 0
        if not limit:
            break
    return b"".join(parts)
