from __future__ import annotations

from tests.support.pci import PciRig

from varan.devices.environment import NoRequests
from varan.devices.panic.pvpanic import PANICKED
from varan.devices.panic.pvpanic_pci import PvpanicPci
from varan.devices.pci import registers as r

BASE = 0xFE000000
DEVFN = 3 << 3


class Requests(NoRequests):
    panics = 0

    def guest_panicked(self) -> None:
        self.panics += 1


def test_the_register_is_the_first_byte_of_the_bar() -> None:
    requests = Requests()
    rig = PciRig(requests=requests)
    rig.bus.plug(PvpanicPci("panic", {"addr": "3", "events": 1}), rig.environment)
    assert rig.read(DEVFN, 0, 4) == 0x00111B36
    rig.write(DEVFN, r.BAR0, 4, BASE)
    rig.command(DEVFN, r.COMMAND_MEMORY)
    assert [rig.memory.read(BASE + offset, 1) for offset in range(3)] == [1, 0, 0]
    rig.memory.write(BASE + 1, 1, PANICKED)
    assert requests.panics == 0
    rig.memory.write(BASE, 1, PANICKED)
    assert requests.panics == 1
