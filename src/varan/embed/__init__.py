"""A machine as a Python object: composition of machine, commands and monitors, and the class users start from."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from varan.machine.machine import Machine
    from varan.machine.spec import MachineSpec


def compose(spec: MachineSpec) -> Machine:
    """The machine that `spec` describes, with its monitors, not open yet."""
    from varan.embed.monitors import attach_monitors
    from varan.machine.machine import Machine

    machine = Machine(spec)
    attach_monitors(machine)
    return machine
