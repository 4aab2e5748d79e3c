from __future__ import annotations

import base64

import pytest
from tests.support.fake_machine import FakeMachine

from varan.api.values import DataFormat
from varan.chardev.registry import create, kinds
from varan.commands import char
from varan.errors import DeviceNotFound, GenericError, InvalidParameterValue


@pytest.fixture(autouse=True)
def devices(machine: FakeMachine) -> None:
    machine.chardevs["ring"] = create("ringbuf", "ring", {"size": "16"})
    machine.chardevs["nothing"] = create("null", "nothing", {})


async def test_query_chardev_lists_label_filename_and_use(machine: FakeMachine) -> None:
    answers = await char.query_chardev(machine)
    assert [(answer.label, answer.filename, answer.frontend_open) for answer in answers] == [
        ("ring", "ringbuf", False),
        ("nothing", "null", False),
    ]


async def test_query_chardev_backends_lists_every_kind(machine: FakeMachine) -> None:
    assert [answer.name for answer in await char.query_chardev_backends(machine)] == kinds()


async def test_ring_buffer_gives_back_the_newest_text(machine: FakeMachine) -> None:
    await char.ringbuf_write(machine, "ring", "lost" + "x" * 12 + "kept")
    assert await char.ringbuf_read(machine, "ring", 100) == "x" * 12 + "kept"
    assert await char.ringbuf_read(machine, "ring", 100) == ""


async def test_ring_buffer_takes_and_gives_base64(machine: FakeMachine) -> None:
    data = bytes([0, 255, 128, 7])
    await char.ringbuf_write(machine, "ring", base64.b64encode(data).decode(), DataFormat.BASE64)
    answer = await char.ringbuf_read(machine, "ring", 4, DataFormat.BASE64)
    assert base64.b64decode(answer) == data


async def test_ring_buffer_does_not_cut_a_character(machine: FakeMachine) -> None:
    await char.ringbuf_write(machine, "ring", "aäb")
    assert await char.ringbuf_read(machine, "ring", 2) == "aä"
    assert await char.ringbuf_read(machine, "ring", 10) == "b"


async def test_ring_buffer_shows_bytes_that_are_no_text(machine: FakeMachine) -> None:
    await char.ringbuf_write(machine, "ring", base64.b64encode(b"a\xffb").decode(), DataFormat.BASE64)
    assert await char.ringbuf_read(machine, "ring", 10) == "a�b"


async def test_bad_base64_is_refused_and_nothing_written(machine: FakeMachine) -> None:
    with pytest.raises(GenericError, match="base64"):
        await char.ringbuf_write(machine, "ring", "AAA", DataFormat.BASE64)
    assert await char.ringbuf_read(machine, "ring", 10) == ""


async def test_an_unknown_device_is_not_found(machine: FakeMachine) -> None:
    with pytest.raises(DeviceNotFound):
        await char.ringbuf_read(machine, "ringo", 1)
    with pytest.raises(DeviceNotFound):
        await char.ringbuf_write(machine, "ringo", "x")


async def test_a_device_that_is_no_ring_buffer_is_refused(machine: FakeMachine) -> None:
    with pytest.raises(GenericError, match="'nothing' is not a ring buffer"):
        await char.ringbuf_write(machine, "nothing", "x")


@pytest.mark.parametrize("size", [0, -1])
async def test_a_size_that_is_not_positive_is_refused(machine: FakeMachine, size: int) -> None:
    with pytest.raises(InvalidParameterValue):
        await char.ringbuf_read(machine, "ring", size)
