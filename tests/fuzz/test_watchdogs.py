"""Whatever a guest writes to the 6300ESB's watchdog, nothing raises, and whenever it is saved the loaded one goes on
alike."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.unit.devices.watchdog.test_i6300esb import BASE, DEVFN, Guest

from varan.core.state import decode, encode
from varan.devices.pci import registers as r
from varan.devices.watchdog import i6300esb as w

OFFSETS = st.one_of(st.sampled_from((w.PRELOAD_1, w.PRELOAD_2, w.INTERRUPT_STATUS, w.RELOAD)), st.integers(0, 15))
VALUES = st.one_of(
    st.sampled_from((*w.UNLOCK, 0, 1, 2, 3, 100, w.RELOAD_TIMER, w.TIMED_OUT)), st.integers(0, 0xFFFFFFFF)
)
SIZES = st.sampled_from((1, 2, 4))
CONFIG = st.one_of(st.sampled_from((w.CONFIGURATION, w.LOCK, r.COMMAND, r.BAR0)), st.integers(0, 255))
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("write"), OFFSETS, SIZES, VALUES),
        st.tuples(st.just("unlocked"), OFFSETS, SIZES, VALUES),
        st.tuples(st.just("config"), CONFIG, SIZES, VALUES),
        st.tuples(st.just("wait"), st.integers(0, 10**10)),
    ),
    max_size=40,
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(before=STEPS, after=STEPS)
def test_random_accesses(before: Any, after: Any) -> None:
    first, second = Guest(), Guest()
    play(first, before)
    clock: Any = second.environment.virtual
    clock.advance(first.environment.virtual.now())
    for name, part in first.device.parts().items():
        twin = second.device.parts()[name]
        twin.load(decode(twin.state_type, encode(part.save())))
    told = first.requests.expiries
    play(first, after)
    play(second, after)
    assert first.requests.expiries - told == second.requests.expiries
    for name, part in first.device.parts().items():
        assert encode(part.save()) == encode(second.device.parts()[name].save())


def play(guest: Guest, steps: Any) -> None:
    for step, *arguments in steps:
        match step:
            case "write":
                guest.put(*arguments)
            case "unlocked":
                guest.unlocked(*arguments)
            case "config":
                guest.rig.write(DEVFN, *arguments)
            case _:
                guest.environment.virtual.advance(*arguments)  # type: ignore[attr-defined]
                guest.environment.timers.run_due()
        assert 0 <= guest.environment.memory.read(BASE + 12, 4) <= 0xFFFFFFFF
