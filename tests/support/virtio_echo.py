"""A virtio device for tests, alone and as a type of PCI device."""

from __future__ import annotations

from tests.support.virtio_driver import CountingTransport
from varan.core.memory import MemorySpace
from varan.devices.environment import Environment
from varan.devices.virtio.backend import VirtioBackend
from varan.devices.virtio.chain import Chain
from varan.devices.virtio.device import Transport, VirtioDevice, VirtioState
from varan.devices.virtio.features import RING_EVENT_IDX, RING_INDIRECT_DESC, RING_PACKED
from varan.devices.virtio.pci import VirtioPciDevice
from varan.devices.virtio.queue import VirtQueue

ALL = RING_INDIRECT_DESC | RING_PACKED | RING_EVENT_IDX


class Echo(VirtioDevice[VirtioState]):
    """Keeps what arrives until told to give it back."""

    device_number = 42
    state_type = VirtioState

    def __init__(self, memory: MemorySpace, features: int = ALL, size: int = 8, queues: int = 1) -> None:
        super().__init__(memory, [size] * queues, features)
        self.transport: Transport = CountingTransport()
        self.settings = bytearray(b"configuration space")
        self.kept: list[Chain] = []
        self.came_by: dict[Chain, VirtQueue] = {}

    @property
    def queue(self) -> VirtQueue:
        return self.queues[0]

    def handle_queue(self, queue: VirtQueue) -> None:
        while (found := queue.pop()) is not None:
            self.kept.append(found)
            self.came_by[found] = queue

    def config(self) -> bytes:
        return bytes(self.settings)

    def write_config(self, offset: int, data: bytes) -> None:
        self.settings[offset : offset + len(data)] = data

    def answer(self, position: int = 0) -> None:
        """Give one chain back with its own bytes reversed."""
        found = self.kept.pop(position)
        queue = self.came_by.pop(found)
        queue.push(found, found.scatter(found.gather(1 << 20)[::-1]))
        queue.notify()


class EchoDevice(VirtioBackend):
    """An `Echo` for a virtio bus."""

    type_name = "virtio-echo-device"
    abstract = False
    core: Echo

    def make_core(self, environment: Environment) -> Echo:
        return Echo(environment.memory, self.ring_features, queues=2)


class EchoPci(VirtioPciDevice):
    """An `Echo` on PCI."""

    type_name = "virtio-echo-pci"
    abstract = False
    class_code = 0xFF0000
    transitional_id = 0x103F
    backend_type = EchoDevice

    @property
    def core(self) -> Echo:
        core = super().core
        assert isinstance(core, Echo)
        return core
