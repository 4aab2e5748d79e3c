"""Whatever a client gives to the commands of the object tree, the answer is an error of the protocol or a result."""

from __future__ import annotations

import asyncio
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import varan
from varan.devices import registry
from varan.errors import QmpError
from varan.machine.spec import BootSpec, MachineSpec

WORDS = st.one_of(
    st.text(max_size=12),
    st.sampled_from(
        ("on", "off", "0x1f", "-1", "1.0", "9" * 50, "/", "//", "/machine", "", "isa.0", "pci.0", "a", "b")
    ),
)
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-(2**70), 2**70), st.floats(allow_nan=False), WORDS),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(WORDS, inner, max_size=3)),
    max_leaves=5,
)
SETTINGS = sorted(
    {
        name
        for driver in (*registry.DRIVERS, *registry.OBJECTS)
        for name in (registry.find(driver) or registry.find_object(driver) or registry.PluggableDevice).all_properties()
    }
)
PATHS = st.one_of(
    WORDS, st.sampled_from(("/machine/unattached/device[0]", "/machine/peripheral", "/objects", "device[1]"))
)
GIVEN = st.dictionaries(st.one_of(st.sampled_from(SETTINGS), WORDS), VALUES, max_size=4)
CALLS = st.one_of(
    st.tuples(st.just("qom-list"), st.fixed_dictionaries({"path": PATHS})),
    st.tuples(st.just("qom-get"), st.fixed_dictionaries({"path": PATHS, "property": st.sampled_from(SETTINGS)})),
    st.tuples(
        st.just("qom-set"),
        st.fixed_dictionaries({"path": PATHS, "property": st.sampled_from(SETTINGS), "value": VALUES}),
    ),
    st.tuples(
        st.just("device_add"),
        st.builds(
            lambda given, driver, id: {**given, "driver": driver, **({"id": id} if id is not None else {})},
            GIVEN,
            st.one_of(st.sampled_from(sorted(registry.DRIVERS)), VALUES),
            st.one_of(st.none(), VALUES),
        ),
    ),
    st.tuples(st.just("device_del"), st.fixed_dictionaries({"id": PATHS})),
    st.tuples(
        st.just("object-add"),
        st.builds(
            lambda given, kind, id: {**given, "qom-type": kind, "id": id},
            GIVEN,
            st.sampled_from(sorted(registry.OBJECTS)),
            WORDS,
        ),
    ),
    st.tuples(st.just("object-del"), st.fixed_dictionaries({"id": WORDS})),
    st.tuples(st.just("device-list-properties"), st.fixed_dictionaries({"typename": WORDS})),
)
UNFORESEEN = "Internal error"


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(CALLS, min_size=1, max_size=12))
def test_no_argument_is_unforeseen(calls: list[tuple[str, dict[str, Any]]]) -> None:
    asyncio.run(perform(calls))


async def perform(calls: list[tuple[str, dict[str, Any]]]) -> None:
    async with varan.Machine(spec=MachineSpec(memory=1 << 20, boot=BootSpec(demo=True))) as vm:
        for command, arguments in calls:
            try:
                await vm.qmp.execute(command, arguments)
            except QmpError as error:
                assert UNFORESEEN not in str(error), (command, arguments)
        await vm.qmp.execute("system_reset")
