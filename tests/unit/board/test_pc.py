"""The PC's wiring, on a clock that tests move."""

from __future__ import annotations

import pytest
from tests.support.bus import Bus

from varan.board.pc import GIB, Pc, PcConfig
from varan.board.rtc import RtcSetting
from varan.core.clock import ManualClock
from varan.core.state import StateError
from varan.devices.char.isa_serial import IsaSerial
from varan.devices.environment import NoRequests, WakeCause
from varan.devices.panic.pvpanic import PvpanicDevice

MIB = 1 << 20
EPOCH = 1_330_000_000


class CountedResets(NoRequests):
    resets = 0

    def guest_reset(self) -> None:
        self.resets += 1


class Rig:
    def __init__(self, config: PcConfig | None = None) -> None:
        self.bus = Bus()
        self.requests = CountedResets()
        self.pc = Pc(
            config or PcConfig(memory=16 * MIB, serial_ports=4),
            self.bus.environment(host=ManualClock(EPOCH * 1_000_000_000), requests=self.requests),
        )

    def start_pic(self) -> None:
        self.bus.outb(0x20, 0x11)
        self.bus.outb(0x21, 0x20, 0x04, 0x01)
        self.bus.outb(0xA0, 0x11)
        self.bus.outb(0xA1, 0x28, 0x02, 0x01)

    def end(self) -> None:
        """End of interrupt at both controllers."""
        self.bus.outb(0xA0, 0x20)
        self.bus.outb(0x20, 0x20)

    def cmos(self, index: int, count: int = 1) -> int:
        value = 0
        for at in range(count):
            self.bus.outb(0x70, index + at)
            value |= self.bus.inb(0x71) << (8 * at)
        return value


@pytest.fixture
def rig() -> Rig:
    rig = Rig()
    rig.start_pic()
    return rig


def regions(pc: Pc) -> list[tuple[int, int, int]]:
    return [(region.start, region.end, region.offset) for region in pc.memory if region.ram is not None]


def test_memory_that_fits_below_4_gib_is_one_piece() -> None:
    assert regions(Rig(PcConfig(memory=16 * MIB)).pc) == [(0, 16 * MIB, 0)]
    assert regions(Rig(PcConfig(memory=7 * GIB // 2)).pc) == [(0, 7 * GIB // 2, 0)]


def test_larger_memory_is_split_at_3_gib() -> None:
    pc = Rig(PcConfig(memory=5 * GIB)).pc
    assert regions(pc) == [(0, 3 * GIB, 0), (4 * GIB, 6 * GIB, 3 * GIB)]
    assert (pc.low_memory, pc.high_memory) == (3 * GIB, 2 * GIB)


def test_cmos_tells_the_memory_size() -> None:
    rig = Rig(PcConfig(memory=5 * GIB, cpus=4))
    assert rig.cmos(0x15, 2) == 640
    assert rig.cmos(0x17, 2) == rig.cmos(0x30, 2) == 0xFFFF
    assert rig.cmos(0x34, 2) == (3 * GIB - 16 * MIB) >> 16
    assert rig.cmos(0x5B, 3) == 2 * GIB >> 16
    assert rig.cmos(0x5F) == 3
    assert Rig(PcConfig(memory=16 * MIB)).cmos(0x17, 2) == 15 * 1024


@pytest.mark.parametrize("count", [-1, 5])
def test_number_of_serial_ports_is_checked(count: int) -> None:
    with pytest.raises(ValueError, match="serial ports"):
        Rig(PcConfig(memory=MIB, serial_ports=count))


def test_timer_interrupts_on_irq_0(rig: Rig) -> None:
    rig.bus.outb(0x21, 0xFE)
    rig.bus.outb(0x43, 0x30)
    rig.bus.outb(0x40, 0x10, 0x00)
    assert rig.pc.pic.peek() is None
    rig.bus.run(1_000_000)
    assert rig.pc.pic.acknowledge() == 0x20


def test_keyboard_interrupts_on_irq_1_and_mouse_on_irq_12(rig: Rig) -> None:
    rig.bus.outb(0x64, 0x60)
    rig.bus.outb(0x60, 0x47)
    rig.pc.keyboard.press(b"\x1c")
    assert rig.pc.pic.acknowledge() == 0x21
    rig.end()
    assert rig.bus.inb(0x60) == 0x1E
    rig.bus.outb(0x64, 0xD4)
    rig.bus.outb(0x60, 0xF4)
    assert rig.pc.pic.acknowledge() == 0x2C


def test_clock_interrupts_on_irq_8() -> None:
    rig = Rig(PcConfig(memory=MIB, rtc=RtcSetting(virtual=True)))
    rig.start_pic()
    rig.bus.outb(0x70, 0x0B)
    rig.bus.outb(0x71, 0x12)
    rig.bus.run(1_000_000_000)
    assert rig.pc.pic.acknowledge() == 0x28


@pytest.mark.parametrize(("base", "vector"), [(0x3F8, 0x24), (0x2F8, 0x23), (0x3E8, 0x24), (0x2E8, 0x23)])
def test_serial_ports_interrupt_on_irq_4_and_3(rig: Rig, base: int, vector: int) -> None:
    rig.bus.outb(base + 4, 0x08)
    rig.bus.outb(base + 1, 0x02)
    assert rig.pc.pic.acknowledge() == vector


def test_serial_ports_that_share_a_line_keep_it_high_for_each_other(rig: Rig) -> None:
    rig.bus.outb(0x4D0, 0x10)
    for base in (0x3F8, 0x3E8):
        rig.bus.outb(base + 4, 0x08)
        rig.bus.outb(base + 1, 0x02)
    rig.bus.inb(0x3FA)
    assert rig.pc.pic.peek() == 0x24
    rig.bus.inb(0x3EA)
    assert rig.pc.pic.peek() is None


def test_transmit_interrupt_that_was_taken_comes_again_with_the_next_byte(rig: Rig) -> None:
    rig.bus.outb(0x3FC, 0x08)
    rig.bus.outb(0x3F9, 0x02)
    assert rig.pc.pic.acknowledge() == 0x24
    rig.bus.outb(0x3F8, 0x41, 0x42)
    rig.end()
    assert rig.pc.pic.acknowledge() == 0x24


def test_both_reset_switches_request_a_reset(rig: Rig) -> None:
    rig.bus.outb(0x64, 0xFE)
    rig.bus.outb(0x92, 0x03)
    assert rig.requests.resets == 2


def test_a20_is_open_at_first_and_closes_when_both_switches_do(rig: Rig) -> None:
    assert rig.pc.a20.enabled
    rig.bus.outb(0x64, 0xDD)
    assert rig.pc.a20.enabled
    rig.bus.outb(0x92, 0x00)
    assert not rig.pc.a20.enabled
    rig.pc.reset()
    assert rig.pc.a20.enabled


def test_reset_leaves_no_interrupt_and_no_timer_behind(rig: Rig) -> None:
    rig.bus.outb(0x43, 0x34)
    rig.bus.outb(0x40, 0x10, 0x00)
    rig.bus.outb(0x3FC, 0x08)
    rig.bus.outb(0x3F9, 0x03)
    rig.bus.run(1_000_000)
    assert rig.pc.pic.peek() is not None
    rig.pc.reset()
    assert rig.pc.pic.peek() is None
    assert rig.bus.timers.run_due() is None


def test_load_refuses_other_devices_and_bad_members_and_changes_nothing(rig: Rig) -> None:
    rig.bus.outb(0x80, 0x42)
    saved = rig.pc.save()
    other = Rig(PcConfig(memory=MIB, serial_ports=1))
    with pytest.raises(StateError, match="serial2"):
        other.pc.load(saved)
    saved["post"]["state"]["code"] = 1
    saved["serial4"]["state"]["ier"] = "x"
    with pytest.raises(StateError, match="device 'serial4'"):
        rig.pc.load(saved)
    assert rig.bus.inb(0x80) == 0x42


class WakeRequests(NoRequests):
    def __init__(self) -> None:
        self.causes: list[WakeCause] = []

    def wake(self, cause: WakeCause) -> None:
        self.causes.append(cause)


def test_keys_motion_and_an_enabled_alarm_ask_to_wake() -> None:
    bus, requests = Bus(), WakeRequests()
    pc = Pc(PcConfig(memory=MIB, rtc=RtcSetting(virtual=True)), bus.environment(requests=requests))
    pc.act_as_firmware()
    pc.keyboard.press(b"\x1c")
    pc.mouse.move(0, 0, 0, 0)
    pc.mouse.move(1, 0, 0, 0)
    assert requests.causes == [WakeCause.BUTTON] * 2
    for index, value in ((1, 2), (3, 0xFF), (5, 0xFF), (0x0B, 0x26)):
        pc.ports.write(0x70, 1, index)
        pc.ports.write(0x71, 1, value)
    pc.ports.write(0x602, 2, 0x0400)
    bus.run(3_000_000_000)
    assert requests.causes == [WakeCause.BUTTON] * 2 + [WakeCause.RTC]
    assert pc.ports.read(0x600, 2) & 0x0400


def test_what_was_asked_of_a_cpu_before_it_slept_is_forgotten() -> None:
    pc = Pc(PcConfig(memory=MIB), Bus().environment())
    pc.act_as_firmware()
    apic = pc.interrupts.apics[0]
    apic.write(0xF0, 4, 0x1FF)
    apic.accept(236, False)
    assert apic.peek() is not None
    pc.wake(WakeCause.BUTTON)
    apic.write(0xF0, 4, 0x1FF)
    assert apic.peek() is None


def test_the_tables_tell_of_the_isa_devices_that_are_there_now() -> None:
    rig = Rig(PcConfig(memory=MIB, serial_ports=1))

    def dsdt() -> bytes:
        return next(table.data for table in rig.pc.acpi_tables() if table.name == "DSDT")

    assert all(name in dsdt() for name in (b"RTC_", b"KBD_", b"MOU_", b"COM1"))
    assert b"COM2" not in dsdt() and b"QEMU0001" not in dsdt()
    for device in (IsaSerial(settings={"index": 1}), PvpanicDevice(), PvpanicDevice(settings={"ioport": 0x506})):
        rig.pc.isa.plug(device, rig.pc.environment)
    assert b"COM2" in dsdt()
    assert dsdt().count(b"QEMU0001") == 1
