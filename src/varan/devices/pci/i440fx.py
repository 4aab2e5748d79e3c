"""The 82441FX (PMC): function 0 of slot 0, the host bridge as a device on its own bus (data sheet 290549, section 3.2).

What the PAM and SMRAM registers gate is not modelled: memory below 1 MiB is always RAM, readable and writable.
"""

from __future__ import annotations

from varan.devices.environment import Environment
from varan.devices.pci import registers as r
from varan.devices.pci.device import PciDevice
from varan.devices.pci.function import PciFunction
from varan.devices.pci.layout import Identity

IDENTITY = Identity(vendor=0x8086, device=0x1237, class_code=0x060000, revision=0x02)
PAM0 = 0x59
"""Programmable attribute map: the first of seven registers with a nibble for each 16 KiB of C0000h to FFFFFh."""
PAM_REGISTERS = 7
PAM_BITS = 0x33
"""Read and write enable of two areas."""
SMRAM = 0x72
SMRAM_BITS = 0x78
SMRAM_BASE = 0x02
"""Read-only: system management RAM lies at A0000h."""


class I440Fx(PciDevice):
    """The host bridge."""

    type_name = "i440FX"
    abstract = False
    description = "Host bridge"
    hotpluggable = False
    user_creatable = False

    def make_function(self, environment: Environment) -> PciFunction:
        function = PciFunction(IDENTITY, name=self.type_name)
        memory_and_master = r.COMMAND_MEMORY | r.COMMAND_MASTER
        function.add_register(r.COMMAND, 2, memory_and_master, writable=r.COMMAND_SERR | r.COMMAND_PARITY)
        status = r.STATUS_MEDIUM_DEVSEL | r.STATUS_FAST_BACK_TO_BACK
        function.add_register(r.STATUS, 2, status, clearable=r.STATUS_ERRORS)
        for number in range(PAM_REGISTERS):
            function.add_register(PAM0 + number, 1, writable=PAM_BITS & 0x30 if number == 0 else PAM_BITS)
        function.add_register(SMRAM, 1, SMRAM_BASE, writable=SMRAM_BITS)
        return function
