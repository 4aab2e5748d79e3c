"""Random bytes for the guest, as types of `-device`."""

from __future__ import annotations

import asyncio
import logging

from varan.core.properties import Property
from varan.devices.backends.rng import RngBackend, RngBuiltin
from varan.devices.environment import Environment
from varan.devices.virtio.backend import VirtioBackend
from varan.devices.virtio.pci import VirtioPciDevice
from varan.devices.virtio.rng import VirtioRng
from varan.errors import GenericError, InvalidParameterValue

log = logging.getLogger("varan.virtio")

UNLIMITED = (1 << 63) - 1


class VirtioRngDevice(VirtioBackend):
    """An entropy device over a user-made source, or over the host's generator where none is named."""

    type_name = "virtio-rng-device"
    abstract = False
    description = "virtio source of random bytes, on a virtio bus"
    properties = (
        Property("rng", "str", "ID of a source of random bytes (default: the host's kernel)", default=""),
        Property("max-bytes", "uint64", "bytes that the guest gets in a period", default=UNLIMITED),
        Property("period", "uint32", "milliseconds", default=1 << 16),
    )
    core: VirtioRng
    _source: RngBackend
    _task: asyncio.Task[None] | None = None

    async def acquire(self, environment: Environment) -> None:
        await super().acquire(environment)
        if self.settings["max-bytes"] > UNLIMITED:
            raise InvalidParameterValue("max-bytes", f"a number up to {UNLIMITED}")
        if not self.settings["period"]:
            raise InvalidParameterValue("period", "a positive number")
        source = self.find_end(environment, "rng", "object")
        if source is not None and not isinstance(source, RngBackend):
            raise GenericError(f"Invalid parameter type for 'rng', expected: {RngBackend.type_name}")
        self._source = source or RngBuiltin({})
        self._source.users += 1

    def make_core(self, environment: Environment) -> VirtioRng:
        most = self.settings["max-bytes"]
        self._environment = environment
        return VirtioRng(
            environment.memory,
            environment.virtual,
            environment.timers,
            lambda count: environment.post(lambda: self._start(count)),
            max_bytes=None if most == UNLIMITED else most,
            period=self.settings["period"],
            features=self.ring_features,
        )

    def _start(self, count: int) -> None:
        if self.realized:
            self._task = asyncio.get_running_loop().create_task(self._fetch(count))

    async def _fetch(self, count: int) -> None:
        try:
            data = await self._source.read(count)
        except OSError as error:
            log.warning("%s: no random bytes for the guest: %s", self.type_name, error)
            data = b""
        with self._environment.lock:
            if self.realized:
                self.core.deliver(data)

    def unrealize(self) -> None:
        self.core.close()
        super().unrealize()

    async def release(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        self._source.users -= 1
        await super().release()


class VirtioRngPci(VirtioPciDevice):
    """Random bytes by PCI."""

    type_name = "virtio-rng-pci"
    abstract = False
    description = "virtio source of random bytes"
    class_code = 0x00FF00
    transitional_id = 0x1005
    backend_type = VirtioRngDevice


class VirtioRngPciTransitional(VirtioRngPci):
    """The same thing by its exact name."""

    type_name = "virtio-rng-pci-transitional"


class VirtioRngPciNonTransitional(VirtioRngPci):
    """Without the legacy interface."""

    type_name = "virtio-rng-pci-non-transitional"
    modern_only = True
