"""A session of the human monitor: it remembers the chosen vCPU, and turns lines into text."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from varan.accel.state import CpuState
from varan.commands.hmp import registers
from varan.commands.hmp.errors import HmpError
from varan.commands.hmp.expression import Expression
from varan.commands.hmp.line import MAX_LINE, parse_arguments, split_name
from varan.commands.hmp.registry import INFO, HmpCommand, registry
from varan.commands.machine import find_vcpu
from varan.errors import VaranError
from varan.machine.machine import Machine
from varan.machine.vcpus import VcpuHandle

log = logging.getLogger("varan.hmp")


class HmpSession:
    """One user of the human monitor of `machine`; `cpu_index` is the vCPU that commands mean."""

    def __init__(self, machine: Machine, cpu_index: int = 0) -> None:
        self.machine = machine
        self.cpu_index = cpu_index

    async def execute(self, line: str) -> str:
        """Carry out one line. Returns what to show: nothing, or lines that each end with a newline. Never raises."""
        log.debug("executing %r", line)
        try:
            return await self._execute(line)
        except VaranError as error:
            return f"Error: {error}\n"
        except Exception as error:
            log.exception("the human monitor failed at %r", line)
            return f"Error: internal error: {type(error).__name__}: {error}\n"

    async def _execute(self, line: str) -> str:
        if len(line) > MAX_LINE:
            raise HmpError(f"line too long: more than {MAX_LINE} characters")
        line = " ".join(line.splitlines())
        name, position = split_name(line)
        if not name:
            return "" if not line.strip() else _unknown(line.strip())
        command = registry().top.get(name)
        if command is None:
            return _unknown(name)
        if name == INFO and (shown := split_name(line[position:]))[0]:
            command = registry().info.get(shown[0])
            if command is None:
                return _unknown(f"info {shown[0]}")
            position += shown[1]
        arguments = await self._arguments(command, line, position)
        return await command.run(self, **arguments)

    async def _arguments(self, command: HmpCommand, line: str, position: int) -> Mapping[str, Any]:
        try:
            parsed = parse_arguments(command.arguments, line, position)
        except HmpError as error:
            raise HmpError(f"{error}\nUsage: {command.usage()}") from None
        arguments: dict[str, Any] = {}
        expressions = [value for value in parsed.values() if isinstance(value, Expression)]
        # One look at the CPU for the whole line, and none when the line names no register.
        state = await self.vcpu().get_state() if any(value.registers for value in expressions) else CpuState()
        for name, value in parsed.items():
            if isinstance(value, Expression):
                arguments[name] = value.evaluate(lambda register: registers.read(state, register))
            else:
                arguments[name] = value
        return arguments

    def vcpu(self) -> VcpuHandle:
        """The chosen vCPU. Raises HmpError on a machine without any."""
        if not self.machine.vcpus:
            raise HmpError("this machine has no CPU")
        return find_vcpu(self.machine, self.cpu_index)


def complete(text: str) -> list[str]:
    """What the last word of `text` may become: a command's name, or what `info` and `help` take."""
    words = text.split(" ")
    known = registry()
    if len(words) == 1:
        return sorted(known.top)
    if words[0] == INFO and len(words) == 2:
        return sorted(known.info)
    if words[0] in ("help", "?"):
        if len(words) == 2:
            return sorted(known.top)
        if words[1] == INFO and len(words) == 3:
            return sorted(known.info)
    return []


def _unknown(name: str) -> str:
    return f"unknown command: '{name[:80]}'; 'help' lists the commands\n"
