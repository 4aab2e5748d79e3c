"""A PC run by an accelerator without the control plane: its serial port and debug console lead into memory."""

from __future__ import annotations

import threading
import time

import pytest

from varan.accel import registry
from varan.accel.base import Exit, Vcpu
from varan.accel.executor import VcpuThread
from varan.board.boot.choose import boot_program
from varan.board.pc import Pc, PcConfig
from varan.core.clock import HostClock, TimerQueue, VirtualClock
from varan.core.memory import MemorySpace
from varan.core.ports import PortSpace
from varan.devices.char.debugcon import DebugConsole
from varan.devices.char.uart16550 import Uart16550
from varan.devices.environment import Environment, NoRequests

UART_PORT, UART_IRQ = 0x3F8, 4
PATIENCE = 60.0
DEBUG_PORT = 0x402
"""Where the guest programs of the tests print."""
"""Seconds to wait for output before a test fails."""


class BareMachine(NoRequests):
    """Boots in the constructor. Use it in `with`.

    `accelerator` is a name, perhaps with options as on the command line. `kernel`, `demo`... are `boot_program`'s.
    """

    def __init__(self, accelerator: str, memory: int = 16 << 20, **boot: str | bool) -> None:
        kind, *words = accelerator.split(",")
        options = {key: value for key, _, value in (word.partition("=") for word in words)}
        availability = registry.load(kind).availability()
        if not availability.usable:
            pytest.skip(f"accelerator {kind}: {availability.reason}")
        self.lock = threading.RLock()
        self.clock, self.timers = VirtualClock(), TimerQueue()
        self.exits: list[Exit] = []
        self.resets = 0
        self._changed = threading.Condition()
        self._output, self._debug, self._input = bytearray(), bytearray(), bytearray()
        self.board = Pc(
            PcConfig(memory, serial_ports=0),
            Environment(MemorySpace(), PortSpace(), self.lock, self.timers, self.clock, HostClock(), requests=self),
        )
        self.memory = self.board.memory
        self._add_consoles()
        self.boot = boot_program(self.memory, acpi=self.board.acpi_tables, **boot)  # type: ignore[arg-type]
        self._vm = registry.choose([(kind, options)]).create_vm(self.memory, self.board.ports, self.lock)
        self.thread = VcpuThread(self._vm, [0], self.lock, self.timers, self._exit, "vcpu0")
        self.vcpu = self.thread.vcpus[0]
        self.board.connect_cpus(self.thread.vcpus, self._vm.apic_hertz)
        self.reset()

    def __enter__(self) -> BareMachine:
        return self

    def __exit__(self, *error: object) -> None:
        self.thread.close()
        self._vm.close()
        self.board.close()

    def reset(self) -> None:
        """Reset and start from the beginning."""
        self.thread.pause().result()
        with self.lock:
            self.board.reset()
            if not self.boot.is_firmware:
                self.board.act_as_firmware()
            self.uart.reset()
            state = self.boot.install(self.memory)
        self.thread.call(self.vcpu.reset).result()
        self.thread.call(lambda: self.vcpu.set_state(state)).result()
        self.clock.start()
        self.thread.resume()

    def type(self, text: str) -> None:
        """Send `text` to the serial port."""
        with self.lock:
            self._input += text.encode()
            self._feed()

    def expect(self, text: str) -> str:
        """Wait for `text` on the serial port; all up to its end, newlines without carriage returns."""
        wanted = text.replace("\n", "\r\n").encode()
        deadline = time.monotonic() + PATIENCE
        with self._changed:
            while wanted not in self._output:
                if not self._changed.wait(max(deadline - time.monotonic(), 0)):
                    raise AssertionError(f"no {text!r} in {bytes(self._output)!r}; exits {self.exits}")
            end = self._output.index(wanted) + len(wanted)
            seen = bytes(self._output[:end])
            del self._output[:end]
        return seen.decode().replace("\r\n", "\n")

    def command(self, line: str) -> str:
        """Type a command at the demonstration guest's prompt; what it prints."""
        self.type(line + "\r")
        self.expect(line + "\n")
        return self.expect("varan> ").removesuffix("varan> ").rstrip("\n")

    def wait(self, reached: str) -> None:
        """Wait until the attribute `reached` (`exits`, `resets`) is no longer empty or zero."""
        with self._changed:
            assert self._changed.wait_for(lambda: getattr(self, reached), PATIENCE), reached

    def wait_debug(self, text: str) -> None:
        """Wait until exactly `text` has come to the debug console."""
        with self._changed:
            assert self._changed.wait_for(lambda: self.debug_text == text, PATIENCE), self.debug_text

    def wait_halted(self) -> None:
        """Wait until the vCPU is halted."""
        deadline = time.monotonic() + PATIENCE
        while not self.halted:
            assert time.monotonic() < deadline, "the guest did not halt"
            time.sleep(0.002)

    @property
    def debug_text(self) -> str:
        """What the guest has written to the debug console."""
        return self._debug.decode().replace("\r\n", "\n")

    @property
    def halted(self) -> bool:
        """Whether the vCPU is halted."""
        return self.thread.call(lambda: self.vcpu.halted).result()

    def inject_nmi(self) -> None:
        """Raise the vCPU's NMI."""
        self.thread.call(self.vcpu.inject_nmi).result()

    def counter(self, address: int) -> int:
        """A 64-bit counter in guest memory."""
        return self.memory.read(address, 8)

    def _add_consoles(self) -> None:
        self.uart = Uart16550(self.clock, self.timers, self._put, self.board.environment.gsi(UART_IRQ))
        self.uart.on_drained = self._feed
        self.board.ports.map(UART_PORT, 8, self.uart.read, self.uart.write, name="serial1")
        console = DebugConsole(self._put_debug)
        self.board.ports.map(DEBUG_PORT, 1, console.read, console.write, name="debug-console")

    def _feed(self) -> None:
        del self._input[: self.uart.receive(self._input)]

    def _put(self, value: int) -> None:
        with self._changed:
            self._output.append(value)
            self._changed.notify_all()

    def _put_debug(self, value: int) -> None:
        with self._changed:
            self._debug.append(value)
            self._changed.notify_all()

    def guest_reset(self) -> None:
        self.thread.hold()
        with self._changed:
            self.resets += 1
            self._changed.notify_all()

    def _exit(self, vcpu: Vcpu, exit: Exit) -> None:
        with self._changed:
            self.exits.append(exit)
            self._changed.notify_all()
