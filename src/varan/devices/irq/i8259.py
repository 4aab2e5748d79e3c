"""The two cascaded 8259A interrupt controllers of a PC, with the ELCR that makes single inputs level-triggered.

A chip latches requests in IRR, blocks them with IMR and with what is in service (ISR), and resolves by a rotating
priority. The second chip's output is input 2 of the first. An edge-triggered request lasts only while its input stays
high (8259A data sheet, "Edge and level triggered modes"): a device that gives up before the acknowledge cycle leaves
nothing behind, and an acknowledge with nothing left answers with the spurious level 7.

The pair implements `varan.core.irq.InterruptController`. The answer to `peek` is computed when something changes, not
when it is asked for, because an accelerator asks before every entry into the guest.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from varan.core.irq import IntrPin, IrqLine, NoPin
from varan.core.ports import PortSpace
from varan.core.state import Device, State
from varan.devices.fields import Byte, Level

MASTER_PORT = 0x20
SLAVE_PORT = 0xA0
ELCR_PORT = 0x4D0
CASCADE = 2
"""The first chip's input that the second chip drives."""
INPUTS = 16

ICW1_IC4 = 0x01
ICW1_SNGL = 0x02
ICW1 = 0x10
ICW4_AEOI = 0x02
ICW4_SFNM = 0x10
OCW3 = 0x08
OCW3_RIS = 0x01
OCW3_RR = 0x02
OCW3_P = 0x04
OCW3_SMM = 0x20
OCW3_ESMM = 0x40
POLL_PENDING = 0x80

MASTER_ELCR_BITS = 0xF8
"""Inputs 0 to 2 are edge-triggered for good (timer, keyboard, cascade)."""
SLAVE_ELCR_BITS = 0xDE
"""Inputs 8 and 13 are edge-triggered for good (clock, coprocessor)."""


class ChipState(msgspec.Struct, kw_only=True):
    """One 8259A. Register names are the data sheet's."""

    irr: Byte = 0
    imr: Byte = 0
    isr: Byte = 0
    inputs: Byte = 0
    """Levels at IR0 to IR7."""
    elcr: Byte = 0
    """A set bit makes that input level-triggered."""
    base: Byte = 0
    """Vector of level 0 (T7-T3 of ICW2)."""
    lowest: Level = 7
    """The level of lowest priority."""
    icw: Level = 0
    """The initialisation word expected next at the odd port: 2, 3 or 4; 0 when initialised."""
    icw4_follows: bool = False
    single: bool = False
    aeoi: bool = False
    rotate_on_aeoi: bool = False
    special_fully_nested: bool = False
    special_mask: bool = False
    read_isr: bool = False
    poll: bool = False


class PicState(State, kw_only=True):
    """Both chips, the first one first."""

    master: ChipState = msgspec.field(default_factory=ChipState)
    slave: ChipState = msgspec.field(default_factory=ChipState)


def highest(bits: int, lowest: int) -> int:
    """The level of highest priority among `bits` (not zero), when `lowest` has the lowest."""
    shift = lowest + 1
    rotated = (bits >> shift | bits << (8 - shift)) & 0xFF
    return ((rotated & -rotated).bit_length() + lowest) & 7


def pending(chip: ChipState, cascade: int = 0) -> int:
    """The level that `chip` would answer an acknowledge with, -1 when its INT output is low.

    `cascade` is the bit of the input that a second chip drives, 0 for none.
    """
    requests = chip.irr & ~chip.imr
    if not requests:
        return -1
    level = highest(requests, chip.lowest)
    blocking = chip.isr
    if chip.special_mask:
        blocking &= ~chip.imr
    if chip.special_fully_nested:
        blocking &= ~cascade
    if not blocking:
        return level
    first = (chip.lowest + 1) & 7
    serving = highest(blocking, chip.lowest)
    return level if (level - first) & 7 < (serving - first) & 7 else -1


def accept(chip: ChipState, level: int) -> None:
    """The chip's part of an acknowledge cycle for `level`."""
    bit = 1 << level
    if not chip.elcr & bit:
        chip.irr &= ~bit
    if not chip.aeoi:
        chip.isr |= bit
    elif chip.rotate_on_aeoi:
        chip.lowest = level


def set_input(chip: ChipState, bit: int, level: int) -> None:
    """Drive the input `bit` (a mask) to `level`."""
    if level:
        if not chip.inputs & bit:
            chip.irr |= bit
        chip.inputs |= bit
    else:
        chip.inputs &= ~bit
        chip.irr &= ~bit


def write_icw1(chip: ChipState, value: int) -> None:
    """Begin initialisation: edge requests are forgotten, level ones stay with their inputs."""
    chip.irr = chip.inputs & chip.elcr
    chip.imr = chip.isr = 0
    chip.lowest = 7
    chip.aeoi = chip.rotate_on_aeoi = chip.special_fully_nested = False
    chip.special_mask = chip.read_isr = chip.poll = False
    chip.icw4_follows = bool(value & ICW1_IC4)
    chip.single = bool(value & ICW1_SNGL)
    chip.icw = 2


def write_ocw2(chip: ChipState, value: int) -> None:
    """End of interrupt and rotation (R, SL, EOI in bits 7 to 5)."""
    command = value >> 5
    level = value & 7
    if command in (0b001, 0b101):
        serving = chip.isr & ~chip.imr if chip.special_mask else chip.isr
        if not serving:
            return
        level = highest(serving, chip.lowest)
    if command & 0b001:
        chip.isr &= ~(1 << level)
    if command in (0b101, 0b110, 0b111):
        chip.lowest = level
    elif command in (0b000, 0b100):
        chip.rotate_on_aeoi = command == 0b100


def write_ocw3(chip: ChipState, value: int) -> None:
    """Choice of the register to read, poll command, special mask mode."""
    if value & OCW3_P:
        chip.poll = True
    elif value & OCW3_RR:
        chip.read_isr = bool(value & OCW3_RIS)
    if value & OCW3_ESMM:
        chip.special_mask = bool(value & OCW3_SMM)


def write_data(chip: ChipState, value: int) -> None:
    """A write to the odd port: ICW2 to ICW4 while initialising, OCW1 (the mask) otherwise."""
    if chip.icw == 0:
        chip.imr = value
    elif chip.icw == 2:
        chip.base = value & 0xF8
        if chip.single:
            chip.icw = 4 if chip.icw4_follows else 0
        else:
            chip.icw = 3
    elif chip.icw == 3:
        # The cascade is wired, whatever ICW3 says.
        chip.icw = 4 if chip.icw4_follows else 0
    else:
        chip.special_fully_nested = bool(value & ICW4_SFNM)
        chip.aeoi = bool(value & ICW4_AEOI)
        chip.icw = 0


class I8259Pair(Device[PicState]):
    """Both controllers: sixteen inputs, one INTR output. Callers hold the machine lock."""

    state_type = PicState

    def __init__(self) -> None:
        super().__init__()
        self.pin: IntrPin = NoPin()
        self.requests = [0] * INPUTS
        """How often each input has risen, for people who look."""
        self._vector: int | None = None

    def connect(self, pin: IntrPin) -> None:
        """Wire the INTR output to a CPU."""
        self.pin = pin
        pin.changed()

    def map(self, ports: PortSpace) -> None:
        """Answer at the standard ports."""
        ports.map(MASTER_PORT, 2, self._read_master, self._write_master, name="i8259-master")
        ports.map(SLAVE_PORT, 2, self._read_slave, self._write_slave, name="i8259-slave")
        ports.map(ELCR_PORT, 2, self._read_elcr, self._write_elcr, name="elcr")

    def line(self, irq: int) -> IrqLine:
        """Input `irq` (0 to 15, not 2) as a line."""
        if irq == CASCADE or not 0 <= irq < INPUTS:
            raise ValueError(f"the interrupt controllers have no free input {irq}")
        bit = 1 << (irq & 7)
        slave = irq > 7

        def drive(level: int) -> None:
            chip = self.state.slave if slave else self.state.master
            if bool(chip.inputs & bit) != bool(level):
                if level:
                    self.requests[irq] += 1
                self.pin.settle()
                set_input(chip, bit, level)
                self._resolve()

        return drive

    def pulse(self, irq: int) -> Callable[[], None]:
        """A function that drops a high input `irq` and raises it again: a new request unless one waits already.

        Does what two calls of the line do, and costs little while the request is not taken.
        """
        bit = 1 << (irq & 7)
        slave = irq > 7

        def pulse() -> None:
            self.pin.settle()
            chip = self.state.slave if slave else self.state.master
            if not chip.irr & bit:
                self.requests[irq] += 1
                set_input(chip, bit, 0)
                set_input(chip, bit, 1)
                self._resolve()

        return pulse

    def peek(self) -> int | None:
        """The vector that an acknowledge would return now, None while INTR is low."""
        return self._vector

    def acknowledge(self) -> int:
        """The INTA cycle. The caller looks at `peek` afterwards by itself: the pin is not told."""
        master, slave = self.state.master, self.state.slave
        level = pending(master, 1 << CASCADE)
        if level < 0:
            return master.base + 7
        accept(master, level)
        vector = master.base + level
        if level == CASCADE:
            inner = pending(slave)
            if inner >= 0:
                self._accept_slave(inner)
            vector = slave.base + (inner if inner >= 0 else 7)
        self._compute()
        return vector

    def restored(self) -> None:
        self._resolve()

    def _accept_slave(self, level: int) -> None:
        """The second chip's INT drops with every acknowledge, so that what waits behind gives the first an edge."""
        accept(self.state.slave, level)
        set_input(self.state.master, 1 << CASCADE, 0)

    def _compute(self) -> None:
        master, slave = self.state.master, self.state.slave
        inner = pending(slave)
        set_input(master, 1 << CASCADE, inner >= 0)
        level = pending(master, 1 << CASCADE)
        if level < 0 or master.icw:
            self._vector = None
        elif level == CASCADE:
            self._vector = slave.base + (inner if inner >= 0 else 7)
        else:
            self._vector = master.base + level

    def _resolve(self) -> None:
        before = self._vector
        self._compute()
        if self._vector != before:
            self.pin.changed()

    def _read_master(self, offset: int, size: int) -> int:
        return self._read(self.state.master, offset, 1 << CASCADE)

    def _read_slave(self, offset: int, size: int) -> int:
        return self._read(self.state.slave, offset, 0)

    def _read(self, chip: ChipState, offset: int, cascade: int) -> int:
        self.pin.settle()
        if chip.poll:
            chip.poll = False
            level = pending(chip, cascade)
            if level < 0:
                return 0
            if cascade:
                accept(chip, level)
            else:
                self._accept_slave(level)
            self._resolve()
            return POLL_PENDING | level
        if offset:
            return chip.imr
        return chip.isr if chip.read_isr else chip.irr

    def _write_master(self, offset: int, size: int, value: int) -> None:
        self._write(self.state.master, offset, value)

    def _write_slave(self, offset: int, size: int, value: int) -> None:
        self._write(self.state.slave, offset, value)

    def _write(self, chip: ChipState, offset: int, value: int) -> None:
        self.pin.settle()
        if offset:
            write_data(chip, value)
        elif value & ICW1:
            write_icw1(chip, value)
        elif value & OCW3:
            write_ocw3(chip, value)
        else:
            write_ocw2(chip, value)
        self._resolve()

    def _read_elcr(self, offset: int, size: int) -> int:
        return self.state.slave.elcr if offset else self.state.master.elcr

    def _write_elcr(self, offset: int, size: int, value: int) -> None:
        self.pin.settle()
        chip = self.state.slave if offset else self.state.master
        chip.elcr = value & (SLAVE_ELCR_BITS if offset else MASTER_ELCR_BITS)
        # A level-triggered request is its input; an input that becomes edge-triggered waits for an edge.
        chip.irr = (chip.irr & ~chip.elcr) | (chip.inputs & chip.elcr)
        self._resolve()
