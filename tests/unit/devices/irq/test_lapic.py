"""The local APIC against a bus and a clock that tests move (Intel SDM volume 3, the APIC's chapter)."""

from __future__ import annotations

import pytest

from varan.core.clock import ManualClock, TimerQueue
from varan.core.irq import PRIORITIZED, NoPin
from varan.devices.irq import messages
from varan.devices.irq.lapic import LocalApic
from varan.devices.irq.messages import Message, MessageBus

ID, VERSION, TPR, PPR, EOI, LDR, DFR, SVR = 0x20, 0x30, 0x80, 0xA0, 0xB0, 0xD0, 0xE0, 0xF0
ISR, TMR, IRR, ESR, ICR_LOW, ICR_HIGH = 0x100, 0x180, 0x200, 0x280, 0x300, 0x310
LVT_TIMER, LVT_LINT0, LVT_LINT1, LVT_ERROR = 0x320, 0x350, 0x360, 0x370
INITIAL, CURRENT, DIVIDE = 0x380, 0x390, 0x3E0
BY_ONE, BY_SIXTEEN = 0xB, 0x3
MASKED, PERIODIC = 1 << 16, 1 << 17
HERTZ = 500_000_000


class Cpu(NoPin):
    """What a local APIC does to its CPU, noted down."""

    def __init__(self) -> None:
        super().__init__()
        self.signals: list[str | int] = []

    def nmi(self) -> None:
        self.signals.append("nmi")

    def init(self) -> None:
        self.signals.append("init")

    def startup(self, vector: int) -> None:
        self.signals.append(vector)


class Pic:
    """An 8259 pair with at most one request."""

    def __init__(self) -> None:
        self.vector: int | None = None

    def peek(self) -> int | None:
        return self.vector

    def acknowledge(self) -> int:
        vector, self.vector = self.vector, None
        assert vector is not None
        return vector


class Setup:
    """Two local APICs, enabled by software, the first with an 8259 pair behind it."""

    def __init__(self) -> None:
        self.clock, self.timers, self.bus = ManualClock(), TimerQueue(), MessageBus()
        self.apics = [
            LocalApic(index, index == 0, self.bus, self.clock, self.timers, lambda: HERTZ) for index in range(2)
        ]
        self.cpus = [Cpu(), Cpu()]
        for apic, cpu in zip(self.apics, self.cpus, strict=True):
            apic.connect(cpu)
            apic.write(SVR, 4, 0x1FF)
        self.first, self.second = self.apics
        self.pic = Pic()
        self.lint0 = self.first.connect_pic(self.pic)
        self.ended: list[int] = []
        self.bus.origins.append(self)

    def end_of_interrupt(self, vector: int) -> None:
        self.ended.append(vector)

    def request(self, vector: int | None) -> None:
        """Change what the 8259 pair answers."""
        self.pic.vector = vector
        self.lint0.changed()

    def run(self, nanoseconds: int) -> None:
        """Let time pass, timers on time."""
        end = self.clock.now() + nanoseconds
        while (wait := self.timers.run_due()) is not None and self.clock.now() + wait <= end:
            self.clock.advance(wait)
        self.clock.advance(end - self.clock.now())
        self.timers.run_due()


@pytest.fixture
def setup() -> Setup:
    return Setup()


def vectors(apic: LocalApic, register: int) -> list[int]:
    """The vectors set in one of the three large registers."""
    words = [apic.read(register + 16 * place, 4) for place in range(8)]
    return [vector for vector in range(256) if words[vector // 32] >> vector % 32 & 1]


def test_number_and_version_are_read_only(setup: Setup) -> None:
    for register in (ID, VERSION, PPR):
        setup.second.write(register, 4, 0xFFFF_FFFF)
    assert setup.second.read(ID, 4) == 1 << 24
    assert setup.second.read(VERSION, 4) == 0x50014


def test_request_goes_into_service_and_ends(setup: Setup) -> None:
    apic = setup.first
    apic.accept(0x41, False)
    assert (vectors(apic, IRR), apic.peek()) == ([0x41], 0x41 | PRIORITIZED)
    assert apic.acknowledge() == 0x41
    assert (vectors(apic, IRR), vectors(apic, ISR), apic.peek()) == ([], [0x41], None)
    assert apic.read(PPR, 4) == 0x40
    apic.write(EOI, 4, 0)
    assert (vectors(apic, ISR), apic.read(PPR, 4)) == ([], 0)


def test_only_a_higher_class_interrupts_what_is_in_service(setup: Setup) -> None:
    apic = setup.first
    apic.accept(0x45, False)
    apic.acknowledge()
    apic.accept(0x4F, False)
    assert apic.peek() is None
    apic.accept(0x51, False)
    assert apic.acknowledge() == 0x51
    apic.write(EOI, 4, 0)
    assert apic.peek() is None
    apic.write(EOI, 4, 0)
    assert apic.acknowledge() == 0x4F


def test_task_priority_is_cr8(setup: Setup) -> None:
    apic, cpu = setup.first, setup.cpus[0]
    apic.write(TPR, 4, 0x57)
    assert (cpu.task_priority(), apic.read(TPR, 4), apic.read(PPR, 4)) == (5, 0x57, 0x57)
    cpu.set_task_priority(9)
    assert apic.read(TPR, 4) == 0x90


def test_end_of_a_level_triggered_interrupt_is_broadcast(setup: Setup) -> None:
    apic = setup.first
    for vector, level in ((0x31, True), (0x42, False)):
        apic.accept(vector, level)
    assert vectors(apic, TMR) == [0x31]
    assert [apic.acknowledge(), apic.peek()] == [0x42, None]
    apic.write(EOI, 4, 0)
    assert setup.ended == []
    apic.acknowledge()
    apic.write(EOI, 4, 0)
    assert setup.ended == [0x31]
    apic.write(EOI, 4, 0)
    assert setup.ended == [0x31]


def test_acknowledge_without_a_request_gives_the_spurious_vector(setup: Setup) -> None:
    assert setup.first.acknowledge() == 0xFF
    assert vectors(setup.first, ISR) == []


def test_apic_that_is_off_takes_no_interrupts_and_masks_its_sources(setup: Setup) -> None:
    apic = setup.second
    apic.write(LVT_TIMER, 4, 0x40)
    apic.write(SVR, 4, 0xFF)
    assert apic.read(LVT_TIMER, 4) == MASKED | 0x40
    apic.write(LVT_TIMER, 4, 0x40)
    assert apic.read(LVT_TIMER, 4) == MASKED | 0x40
    assert not setup.bus.send(Message(0x41, destination=1))
    assert apic.peek() is None


def test_apic_without_its_base_enabled_has_no_registers(setup: Setup) -> None:
    apic = setup.second
    apic.set_base(apic.base & ~0x800)
    assert apic.read(ID, 4) == 0xFFFF_FFFF
    apic.write(SVR, 4, 0x1AB)
    apic.set_base(apic.base | 0x800)
    assert apic.read(SVR, 4) == 0x1FF


def test_registers_are_written_as_whole_words_and_read_in_parts(setup: Setup) -> None:
    apic = setup.first
    apic.write(TPR, 1, 0x20)
    apic.write(TPR + 4, 4, 0x20)
    assert apic.read(TPR, 4) == 0
    assert [apic.read(VERSION, 1), apic.read(VERSION + 2, 2), apic.read(VERSION + 4, 4)] == [0x14, 5, 0]


def test_unknown_registers_are_errors_that_a_write_to_esr_shows(setup: Setup) -> None:
    apic = setup.first
    apic.write(LVT_ERROR, 4, 0xFE)
    assert apic.read(0x40, 4) == 0
    assert vectors(apic, IRR) == [0xFE]
    assert apic.read(ESR, 4) == 0
    apic.write(ESR, 4, 0)
    assert apic.read(ESR, 4) == 0x80
    apic.write(ESR, 4, 0)
    assert apic.read(ESR, 4) == 0


def test_vectors_below_16_are_errors_of_sender_or_receiver(setup: Setup) -> None:
    setup.first.write(ICR_LOW, 4, 0x4000F)
    setup.bus.send(Message(5, destination=1))
    for apic in setup.apics:
        apic.write(ESR, 4, 0)
        assert vectors(apic, IRR) == []
    assert [apic.read(ESR, 4) for apic in setup.apics] == [0x20, 0x40]


def test_error_entry_with_an_illegal_vector_ends(setup: Setup) -> None:
    setup.first.write(LVT_ERROR, 4, 3)
    setup.first.read(0x40, 4)
    setup.first.write(ESR, 4, 0)
    assert setup.first.read(ESR, 4) == 0xC0


@pytest.mark.parametrize(
    ("command", "takers"),
    [
        (0x00041, [1]),
        (0x40041, [0]),
        (0x80041, [0, 1]),
        (0xC0041, [1]),
    ],
    ids=["destination", "self", "all", "others"],
)
def test_commands_reach_whom_they_name(setup: Setup, command: int, takers: list[int]) -> None:
    setup.first.write(ICR_HIGH, 4, 1 << 24)
    setup.first.write(ICR_LOW, 4, command)
    assert [index for index, apic in enumerate(setup.apics) if vectors(apic, IRR) == [0x41]] == takers
    assert setup.first.read(ICR_LOW, 4) == command


def test_init_resets_the_other_apic_and_startup_starts_its_cpu(setup: Setup) -> None:
    setup.second.write(LDR, 4, 0x02000000)
    setup.first.write(ICR_LOW, 4, 0xC4500)
    setup.first.write(ICR_LOW, 4, 0xC8500)
    assert setup.cpus[1].signals == ["init"], "de-assert does nothing"
    assert (setup.second.read(SVR, 4), setup.second.read(LDR, 4), setup.second.read(ID, 4)) == (0xFF, 0, 1 << 24)
    setup.first.write(ICR_LOW, 4, 0xC4699)
    assert setup.cpus[1].signals == ["init", 0x99]
    assert setup.cpus[0].signals == []


def test_8259_pair_passes_as_external_interrupt(setup: Setup) -> None:
    apic = setup.first
    apic.write(LVT_LINT0, 4, 0x700)
    setup.request(0x21)
    assert apic.peek() == 0x21
    assert apic.acknowledge() == 0x21
    assert vectors(apic, ISR) == [], "it has its own end of interrupt"


def test_8259_pair_is_shut_out_by_a_masked_lint0_and_passes_an_apic_that_is_off(setup: Setup) -> None:
    apic = setup.first
    apic.write(LVT_LINT0, 4, MASKED | 0x700)
    setup.request(0x21)
    assert apic.peek() is None
    apic.write(SVR, 4, 0xFF)
    assert apic.peek() == 0x21
    apic.write(SVR, 4, 0x1FF)
    apic.set_base(apic.base & ~0x800)
    assert apic.peek() == 0x21


def test_after_reset_8259_pair_and_nmi_pass_to_the_boot_cpu_only(setup: Setup) -> None:
    for apic in setup.apics:
        apic.reset()
    assert [apic.read(LVT_LINT0, 4) for apic in setup.apics] == [0x700, MASKED]
    setup.request(0x21)
    assert [apic.peek() for apic in setup.apics] == [0x21, None]


def test_lint0_may_be_a_fixed_interrupt_or_an_nmi(setup: Setup) -> None:
    apic = setup.first
    apic.write(LVT_LINT0, 4, 0x51)
    setup.request(0x21)
    setup.request(0x22)
    assert vectors(apic, IRR) == [0x51]
    setup.request(None)
    apic.write(LVT_LINT0, 4, 0x400)
    setup.request(0x21)
    assert setup.cpus[0].signals == ["nmi"]


def test_external_interrupt_waits_for_a_prior_request_unless_that_is_held_back(setup: Setup) -> None:
    apic = setup.first
    apic.write(LVT_LINT0, 4, 0x700)
    setup.request(0x21)
    apic.accept(0x41, False)
    assert apic.peek() == 0x41 | PRIORITIZED
    apic.write(TPR, 4, 0x40)
    assert apic.acknowledge() == 0x21
    assert apic.acknowledge() == 0x41


def test_lint1_is_the_nmi_where_it_is_not_masked(setup: Setup) -> None:
    setup.first.write(LVT_LINT1, 4, 0x400)
    for apic in setup.apics:
        apic.pulse_lint1()
    assert [cpu.signals for cpu in setup.cpus] == [["nmi"], []]


def test_timer_counts_down_once(setup: Setup) -> None:
    apic = setup.first
    apic.write(LVT_TIMER, 4, 0x61)
    apic.write(DIVIDE, 4, BY_ONE)
    apic.write(INITIAL, 4, 1000)
    setup.run(999)
    assert apic.read(CURRENT, 4) == 1000 - 499
    setup.run(1000)
    assert (apic.read(CURRENT, 4), vectors(apic, IRR)) == (1, [])
    setup.run(1)
    assert (apic.read(CURRENT, 4), vectors(apic, IRR)) == (0, [0x61])
    apic.acknowledge()
    setup.run(10_000)
    assert vectors(apic, IRR) == []
    assert setup.timers.run_due() is None


def test_timer_that_is_over_before_it_is_armed_still_interrupts(setup: Setup) -> None:
    apic = setup.first
    now = setup.clock.now
    setup.clock.now = lambda: setup.clock.advance(500) or now()  # type: ignore[method-assign,func-returns-value]
    apic.write(LVT_TIMER, 4, 0x61)
    apic.write(DIVIDE, 4, BY_ONE)
    apic.write(INITIAL, 4, 10)
    setup.timers.run_due()
    assert vectors(apic, IRR) == [0x61]


def test_periodic_timer_does_not_drift(setup: Setup) -> None:
    apic = setup.first
    apic.write(LVT_TIMER, 4, PERIODIC | 0x61)
    apic.write(DIVIDE, 4, BY_SIXTEEN)
    apic.write(INITIAL, 4, 7)
    period = 7 * 16 * 2
    for round in range(1, 50):
        setup.clock.advance(period + (13 if round == 20 else 0))
        setup.timers.run_due()
        assert apic.acknowledge() == 0x61
        apic.write(EOI, 4, 0)
    assert apic.read(CURRENT, 4) == 7
    assert apic.read(INITIAL, 4) == 7


def test_timer_goes_on_at_another_rate_from_where_it_is(setup: Setup) -> None:
    apic = setup.first
    apic.write(DIVIDE, 4, BY_ONE)
    apic.write(INITIAL, 4, 1000)
    setup.run(1000)
    apic.write(DIVIDE, 4, BY_SIXTEEN)
    assert apic.read(CURRENT, 4) == 500
    setup.run(320)
    assert apic.read(CURRENT, 4) == 490


def test_masked_timer_counts_without_interrupting(setup: Setup) -> None:
    apic = setup.first
    apic.write(DIVIDE, 4, BY_ONE)
    apic.write(LVT_TIMER, 4, MASKED | 0x61)
    apic.write(INITIAL, 4, 1000)
    assert setup.timers.run_due() is None
    setup.run(3000)
    apic.write(LVT_TIMER, 4, 0x61)
    setup.run(3000)
    assert vectors(apic, IRR) == []


def test_zero_stops_the_timer(setup: Setup) -> None:
    apic = setup.first
    apic.write(LVT_TIMER, 4, 0x61)
    apic.write(INITIAL, 4, 1000)
    apic.write(INITIAL, 4, 0)
    assert (apic.read(CURRENT, 4), setup.timers.run_due()) == (0, None)


def test_register_page_of_one_apic_loads_into_another(setup: Setup) -> None:
    apic = setup.first
    for register, value in ((LDR, 0x01000000), (DFR, 0x0FFFFFFF), (LVT_TIMER, 0x61), (DIVIDE, BY_ONE), (INITIAL, 1000)):
        apic.write(register, 4, value)
    apic.accept(0x55, True)
    setup.run(500)
    page = apic.registers()
    other = LocalApic(0, True, MessageBus(), setup.clock, setup.timers, lambda: HERTZ)
    other.set_registers(page)
    assert other.registers() == page
    assert (other.peek(), other.read(CURRENT, 4)) == (0x55 | PRIORITIZED, 750)
    setup.run(1500)
    assert vectors(other, IRR) == [0x55, 0x61]
    with pytest.raises(ValueError, match="1024"):
        other.set_registers(b"short")


def test_logical_addresses_are_flat_or_clustered(setup: Setup) -> None:
    for apic, ldr in zip(setup.apics, (0x01, 0x12), strict=True):
        apic.write(LDR, 4, ldr << 24)
    addressed = [[apic.is_addressed(mda) for apic in setup.apics] for mda in (0x01, 0x12, 0x02, 0x13, 0xFF, 0x20)]
    assert addressed == [[True, False], [False, True], [False, True], [True, True], [True, True], [False, False]]
    for apic in setup.apics:
        apic.write(DFR, 4, 0x0FFFFFFF)
    addressed = [[apic.is_addressed(mda) for apic in setup.apics] for mda in (0x01, 0x12, 0x02, 0x13, 0xFF)]
    assert addressed == [[True, False], [False, True], [False, False], [False, True], [True, True]]


def test_lowest_priority_goes_to_the_least_busy(setup: Setup) -> None:
    setup.first.write(TPR, 4, 0x20)
    setup.bus.send(Message(0x41, messages.LOWEST_PRIORITY, 0xFF))
    assert [vectors(apic, IRR) for apic in setup.apics] == [[], [0x41]]
    setup.second.write(TPR, 4, 0x30)
    setup.bus.send(Message(0x42, messages.LOWEST_PRIORITY, 0xFF))
    assert vectors(setup.first, IRR) == [0x42]


def test_messages_of_devices(setup: Setup) -> None:
    setup.first.write(LDR, 4, 0x02000000)
    setup.bus.message(0xFEE01000, 0x45)
    setup.bus.message(0xFEE02004, 0xC046)
    setup.bus.message(0xFEE01000, 0x400)
    setup.bus.message(0xFEE01000, 0x645)
    setup.bus.message(0xFEF01000, 0x47)
    setup.bus.message(0xFEE07000, 0x48)
    assert [vectors(apic, IRR) for apic in setup.apics] == [[0x46], [0x45]]
    assert vectors(setup.first, TMR) == [0x46]
    assert setup.cpus[1].signals == ["nmi"]
