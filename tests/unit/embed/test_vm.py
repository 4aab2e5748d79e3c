"""The machine object before, during and after its life."""

from __future__ import annotations

import pytest

import varan
from varan.api.values import RunState
from varan.errors import GenericError, VaranError


def test_the_package_lists_what_it_has_for_users() -> None:
    assert {"Machine", "VaranError", "connect"} <= set(dir(varan))
    for name in varan.__all__:
        assert getattr(varan, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'Nonsense'"):
        _ = varan.Nonsense


def test_a_machine_tells_its_name_and_state() -> None:
    assert repr(varan.Machine(name="first")) == "<varan.Machine 'first': prelaunch>"
    assert repr(varan.Machine()) == "<varan.Machine: prelaunch>"


@pytest.mark.parametrize("memory", ["lots", "256 MB", ""])
def test_memory_that_is_no_size_is_refused_with_an_example(memory: str) -> None:
    with pytest.raises(ValueError, match="such as '256M'"):
        varan.Machine(memory=memory)


@pytest.mark.parametrize("address", ["vm.sock", "unix:", "tcp:4444", "telnet:a:1"])
def test_an_address_that_is_none_is_refused_with_its_forms(address: str) -> None:
    with pytest.raises(ValueError, match="unix:PATH or tcp:HOST:PORT"):
        varan.Machine(qmp=address)


async def test_memory_is_there_once_the_machine_is_open() -> None:
    vm = varan.Machine(memory="16M", accel="unicorn")
    with pytest.raises(VaranError, match="async with"):
        _ = vm.memory
    async with vm:
        vm.memory[0x1000:0x1004] = b"abcd"
        assert vm.memory.read_int(0x1000, 4) == int.from_bytes(b"abcd", "little")
        with pytest.raises(ValueError, match="do not lie in RAM"):
            vm.memory.write(16 << 20, b"x")


async def test_commands_after_the_end_say_that_it_has_ended() -> None:
    async with varan.Machine(memory="16M", accel="unicorn") as vm:
        assert (await vm.qmp.query_status()).status is RunState.PRELAUNCH
    with pytest.raises(GenericError, match="has ended"):
        await vm.qmp.query_status()
    with pytest.raises(GenericError, match="has ended"):
        await vm.qmp.execute("query-status")
