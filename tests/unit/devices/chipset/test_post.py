from __future__ import annotations

from tests.support.bus import Bus

from varan.devices.chipset.post import PostPort


def test_last_progress_code_is_kept_and_the_delay_port_takes_anything() -> None:
    bus, post = Bus(), PostPort()
    post.map(bus.ports)
    bus.outb(0x80, 0x12, 0x34)
    bus.outb(0xED, 0x55)
    assert post.state.code == bus.inb(0x80) == 0x34
    assert bus.inb(0xED) == 0xFF
