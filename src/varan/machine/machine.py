"""Machine: where a description becomes a running whole.

The composition root: it makes the accelerator's VM, the board, what boots, the character devices and the vCPU threads,
wires them to one another, and is what command handlers are given. Many machines live in one process; nothing here is
shared between them.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import uuid as uuid_module
from collections.abc import Callable, Iterator, Mapping

from varan.accel import registry as accelerators
from varan.accel.base import Accelerator, Vm
from varan.accel.executor import VcpuThread
from varan.accel.state import CpuState
from varan.api import events
from varan.api.values import CommandLineOptionInfo, ShutdownCause
from varan.chardev import registry as chardev_kinds
from varan.chardev.base import Chardev
from varan.chardev.mux import Mux
from varan.core.clock import HostClock, TimerQueue, VirtualClock
from varan.core.events import EventBus
from varan.core.input import Typist
from varan.core.memory import PAGE_SIZE, GuestRam, MemorySpace
from varan.core.ports import PortSpace
from varan.devices.backends.memory import MemoryBackend
from varan.devices.backends.userobject import UserObject
from varan.devices.environment import Environment, WakeCause
from varan.errors import DeviceEncrypted, VaranError
from varan.jobs.manager import JobManager
from varan.machine import boards, machinetypes
from varan.machine.chardevobjects import chardev_type
from varan.machine.cpus import X86Cpu, cpu_type
from varan.machine.drives import Drives
from varan.machine.ends import MachineEnds
from varan.machine.lifecycle import Lifecycle
from varan.machine.machinetypes import MachineObject
from varan.machine.peripherals import Peripherals
from varan.machine.runstate import NEEDS_RESET, RunStateMachine
from varan.machine.spec import Actions, DeviceSpec, MachineSpec
from varan.machine.tree import Tree
from varan.machine.userobjects import UserObjects
from varan.machine.vcpus import VcpuHandle
from varan.net.network import Network

log = logging.getLogger("varan.machine")

DEFAULT_MEMORY = "pc.ram"
"""The object that the memory is from where the user named none."""
NIL_UUID = uuid_module.UUID(int=0)


class Machine:
    """One virtual machine. `open` acquires, `start` runs it, `wait_closed` sees it end and releases everything.

    All methods are called on the loop that ran `open`, except where they say otherwise.
    """

    def __init__(self, spec: MachineSpec, chardevs: Mapping[str, Chardev] | None = None) -> None:
        """`chardevs`: character devices that exist already, by id, beside those that `spec` describes."""
        self.spec = spec
        self.name = spec.name
        self.uuid = spec.uuid or NIL_UUID
        self.lock = threading.RLock()
        """The machine lock: held by whoever touches device state, never across an await."""
        self.events = EventBus()
        self.lifecycle = Lifecycle(self, self.events, spec.actions)
        self.chardevs: dict[str, Chardev] = dict(chardevs or {})
        self.network = Network()
        self.jobs = JobManager(self.events.emit)
        """Long operations."""
        self.vcpus: list[VcpuHandle] = []
        self.virtual_clock = VirtualClock()
        self.host_clock = HostClock()
        self.timers = TimerQueue()
        self.accelerator: Accelerator | None = None
        self._threads: list[VcpuThread] = []
        self._vm: Vm | None = None
        self._on_chardevs: list[Callable[[], None]] = []
        self._closed = False
        self._loop: asyncio.AbstractEventLoop
        self.machine_object = self._make_machine_object()
        self.tree = Tree(self.machine_object)
        """Everything it is made of."""
        self._ends = MachineEnds(self)
        self.environment = self._make_environment()
        """What its devices are given."""
        self.typist = Typist(self.environment.input, self.virtual_clock, self.timers)
        """Who presses the keys of `send-key`."""
        self.cpu_objects: list[X86Cpu] = []
        """The vCPUs in the object tree."""
        self.drives = Drives(self._ends.secrets, self._ends.throttle_groups, self.lock)
        """Its disks."""
        self.drives.emit = self.events.emit
        self.drives.on_stop = self.lifecycle.io_error
        self.peripherals = Peripherals(self.tree, self.environment, spec.globals)
        """The devices that come beside the board's own."""
        for id in self.chardevs:
            self._show_chardev(id, "embedded")
        self.objects = UserObjects(self.tree, self.environment)
        """What users made beside devices."""
        self.command_line: Callable[[], list[CommandLineOptionInfo]] = list
        """Describes the options of the command line that this machine came from."""
        self.board: boards.Board
        self.ram: GuestRam | None = None
        """The guest's memory, where it has one."""
        self.memory_backend: MemoryBackend | None = None
        """The object that the memory is from."""

    def _make_machine_object(self) -> MachineObject:
        kind = machinetypes.find(self.spec.machine)
        if kind is None:
            known = ", ".join(cls.names[-1] for cls in machinetypes.TYPES)
            raise VaranError(f"there is no machine type '{self.spec.machine}'; known are {known}")
        return kind(self)

    def _make_environment(self) -> Environment:
        return Environment(
            memory=MemorySpace(),
            ports=PortSpace(),
            lock=self.lock,
            timers=self.timers,
            virtual=self.virtual_clock,
            host=self.host_clock,
            post=self._post,
            emit=lambda event: self._post(lambda: self.events.emit(event)),
            requests=self.lifecycle,
            machine=self.tree.machine,
            unattached=self.tree.unattached,
            ends=self._ends,
        )

    def _post(self, work: Callable[[], None]) -> None:
        """Run `work` on the machine's loop soon; not at all once that has closed."""
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(work)

    @property
    def threads(self) -> list[VcpuThread]:
        """The threads that run vCPUs."""
        return self._threads

    @property
    def memory(self) -> MemorySpace:
        """The guest-physical address space."""
        return self.environment.memory

    @property
    def ports(self) -> PortSpace:
        """The I/O port space."""
        return self.environment.ports

    @property
    def run_state(self) -> RunStateMachine:
        """The run state; ask, do not move it."""
        return self.lifecycle.run_state

    @property
    def actions(self) -> Actions:
        """What a guest's reset, shutdown or panic leads to; may be changed at any time."""
        return self.lifecycle.actions

    def on_chardevs(self, callback: Callable[[], None]) -> None:
        """Call `callback` when the character devices have been made, before they open. Raises what it raises."""
        self._on_chardevs.append(callback)

    def find_chardev(self, id: str) -> Chardev:
        """The character device called `id`. Raises VaranError when there is none."""
        chardev = self.chardevs.get(id)
        if chardev is None:
            raise VaranError(f"there is no chardev '{id}'")
        return chardev

    async def open(self) -> None:
        """Acquire everything the description names; the guest does not run yet.

        Raises VaranError (and has released everything again) when something cannot be had.
        """
        try:
            self._loop = asyncio.get_running_loop()
            self.lifecycle.open()
            await self._build()
            await self.restart()
            await self._open_chardevs()
        except BaseException:
            await self.close()
            raise

    async def _build(self) -> None:
        if self.machine_object.has_cpus:
            self.accelerator = accelerators.choose(self.spec.accelerators)
            self._add_cpus(self.spec.cpu_model or self.accelerator.cpu_models()[0])
        await self._add_objects(early=True)
        self.ram = await self._find_memory()
        self.board = boards.make(self)
        for cpu, lapic in zip(self.cpu_objects, self.board.lapics, strict=True):
            cpu.add_child("lapic", lapic)
        self.peripherals.plugged = self.board.plugged
        self.boot = boards.boot_program(self)
        if self.boot is not None and self.accelerator is not None:
            spec = self.spec
            self._vm = self.accelerator.create_vm(self.memory, self.ports, self.lock, spec.cpu_model, spec.arrangement)
            self._start_threads(self._vm)
        for chardev in self.spec.chardevs:
            made = chardev_kinds.create(chardev.kind, chardev.id, chardev.options)
            self._add_chardev(chardev.id, made, chardev.mux)
            self._show_chardev(chardev.id, "mux" if chardev.mux else chardev.kind)
        boards.connect_chardevs(self)
        for netdev in self.spec.netdevs:
            await self.network.add(netdev.kind, netdev.id, netdev.options)
        await self._add_devices()
        for callback in self._on_chardevs:
            callback()

    def _add_cpus(self, model: str) -> None:
        """Name the CPUs in the tree, where management tools look for the first: before all other devices."""
        kind = cpu_type(model.partition(",")[0])
        for index in range(self.spec.cpus):
            cpu = kind(index, self.spec.arrangement)
            self.tree.unattached.add_numbered_child("device", cpu)
            self.cpu_objects.append(cpu)

    async def _add_objects(self, early: bool) -> None:
        """Those that the board may need, or the others."""
        for made in self.spec.objects:
            with _blaming(made.origin):
                if self.objects.is_early(made.kind) == early:
                    await self.objects.add(made.kind, made.id, made.settings)

    async def _find_memory(self) -> GuestRam | None:
        """The guest's memory, from the object that it is to come from. Raises VaranError."""
        spec = self.spec
        if not self.machine_object.has_cpus:
            return None
        if spec.memory_backend is None:
            kind = "memory-backend-file" if "mem-path" in spec.memory_settings else "memory-backend-ram"
            settings = {"size": spec.memory, "reserve": False, **spec.memory_settings}
            backend: UserObject | None = await self.objects.add(kind, DEFAULT_MEMORY, settings)
        else:
            backend = self.objects.find(spec.memory_backend)
        if not isinstance(backend, MemoryBackend):
            raise VaranError(f"Memory backend '{spec.memory_backend}' not found")
        if backend.settings["size"] % PAGE_SIZE:
            raise VaranError(f"the size of memory backend '{backend.name}' is no multiple of {PAGE_SIZE}")
        if backend.settings["size"] != spec.memory:
            raise VaranError("Machine memory size does not match the size of the memory backend")
        if backend.in_use:
            raise VaranError(f"memory backend {backend.name} is used already")
        backend.users += 1
        self.memory_backend = backend
        return backend.ram

    async def _add_devices(self) -> None:
        await self._add_objects(early=False)
        for blockdev in self.spec.blockdevs:
            with _blaming(blockdev.origin):
                await self.drives.add_node(blockdev.options)
        for drive in self.spec.drives:
            with _blaming(drive.origin):
                await self.drives.open(drive)
        if self.spec.debug_console is not None:
            await self.peripherals.add(DeviceSpec("isa-debugcon", settings={"chardev": self.spec.debug_console}))
        for device in self.spec.devices:
            with _blaming(device.origin):
                await self.peripherals.add(device)

    def _add_chardev(self, id: str, chardev: Chardev, mux: bool) -> None:
        if id in self.chardevs:
            raise VaranError(f"chardev '{id}': there is one with this id already")
        self.chardevs[id] = Mux(chardev, on_exit=self._quit_key) if mux else chardev

    def _show_chardev(self, id: str, kind: str) -> None:
        self.tree.chardevs.add_child(id, chardev_type(kind)(self.chardevs[id]))

    def _quit_key(self) -> None:
        self.quit(ShutdownCause.HOST_UI)

    async def _open_chardevs(self) -> None:
        for chardev in self.chardevs.values():
            await chardev.open()

    def _start_threads(self, vm: Vm) -> None:
        indices = list(range(self.spec.cpus))
        groups = [indices] if vm.shares_thread else [[index] for index in indices]
        for group in groups:
            thread = VcpuThread(
                vm, group, self.lock, self.timers if 0 in group else None, self.lifecycle.vcpu_exit, f"vcpu{group[0]}"
            )
            self._threads.append(thread)
            self.vcpus.extend(VcpuHandle(thread, vcpu, self.memory) for vcpu in thread.vcpus)
        for cpu, handle in zip(self.cpu_objects, sorted(self.vcpus, key=lambda handle: handle.index), strict=True):
            cpu.vcpu = handle
        vcpus = [vcpu for thread in self._threads for vcpu in thread.vcpus]
        self.board.connect_cpus(vcpus, vm.apic_hertz)

    async def drain(self) -> None:
        """Wait for the disks' requests that are under way. The guest does not run."""
        await self.objects.drain()
        await self.drives.drain()

    def start_clock(self) -> None:
        """Let guest time advance."""
        with self.lock:
            self.virtual_clock.start()
        for resumed in list(self.environment.resumed):
            resumed()

    async def flush(self) -> None:
        """Put what is on disks into their images: whoever copies those of a stopped machine gets all of it."""
        await self.drives.flush()

    def retry(self) -> None:
        """Begin anew what disks failed to do and what has waited since."""
        self.drives.retry()
        for job in self.jobs.jobs.values():
            job.guest_resumed()

    def stop_clock(self) -> None:
        """Hold guest time."""
        with self.lock:
            self.virtual_clock.stop()

    async def restart(self) -> None:
        """Put all devices and vCPUs into reset state and load what boots; nothing may be running."""
        with self.lock:
            self.board.reset()
            if self.boot is not None and not self.boot.is_firmware:
                self.board.act_as_firmware()
            state = self.boot.install(self.memory) if self.boot else None
        await self._reset_cpus(state)

    async def _reset_cpus(self, first: CpuState | None) -> None:
        """Put all vCPUs into reset state, and then the first one into `first`."""
        for index, vcpu in enumerate(self.vcpus):
            await vcpu.reset(first if index == 0 else None)

    def pending_wake(self) -> WakeCause | None:
        """What ends a sleep that has just begun."""
        with self.lock:
            return self.board.pending_wake()

    async def wake(self, cause: WakeCause) -> bool:
        """Lead the guest out of its sleep: devices keep their state, vCPUs start anew where the guest wanted to wake.

        False when only a reset goes on from here.
        """
        state = self.boot.wake(self.memory) if self.boot else None
        if state is None:
            return False
        with self.lock:
            self.board.wake(cause)
        await self._reset_cpus(state)
        return True

    async def start(self) -> None:
        """Let the guest run, unless the description says to wait for `cont`, or a disk waits for its key."""
        if self.spec.autostart:
            try:
                await self.cont()
            except DeviceEncrypted as error:
                log.warning("the guest does not start: %s (block_passwd gives the key)", error)

    async def stop(self) -> None:
        """Pause the guest."""
        await self.lifecycle.stop()

    async def cont(self) -> None:
        """Let the guest run (on). Raises GenericError where only a reset helps, DeviceEncrypted where a disk's key."""
        if self.run_state.state not in NEEDS_RESET:
            self.drives.check_keys()
        await self.lifecycle.cont()

    async def system_reset(self) -> None:
        """Reset the machine as its reset button would."""
        await self.lifecycle.reset()

    async def system_wakeup(self) -> None:
        """End the guest's sleep. Raises GenericError for a guest that does not sleep."""
        await self.lifecycle.wakeup()

    @property
    def can_sleep(self) -> bool:
        """Whether the guest has a way to sleep (ACPI S3), and to be woken."""
        return self.board.can_sleep

    async def inject_nmi(self) -> None:
        """Raise a non-maskable interrupt on every vCPU, as far as its local APIC lets it pass (LINT1)."""
        with self.lock:
            self.board.inject_nmi()

    def press_power_button(self) -> None:
        """Tell the guest that it is wanted to shut down; whether it does is its own affair."""
        with self.lock:
            self.board.press_power_button()
        self.events.emit(events.Powerdown())

    def quit(self, cause: ShutdownCause = ShutdownCause.HOST_QMP_QUIT) -> None:
        """End the machine soon; `wait_closed` returns then."""
        self.lifecycle.request_shutdown(cause)

    async def wait_closed(self) -> ShutdownCause:
        """Wait until the machine ends, release everything, and say why it ended."""
        try:
            return await self.lifecycle.ended()
        finally:
            await self.close()

    async def close(self) -> None:
        """Release everything at once, without an event. May be called twice."""
        if self._closed:
            return
        self._closed = True
        for thread in self._threads:
            thread.hold()
        await self.lifecycle.close()
        for thread in self._threads:
            await asyncio.to_thread(thread.close)
        if self._vm is not None:
            self._vm.close()
        await self.jobs.close()
        await self.network.close()
        for chardev in self.chardevs.values():
            await chardev.close()
        await self.peripherals.close()
        await self.drives.close()
        if hasattr(self, "board"):
            self.board.close()
        await self.objects.close()


@contextlib.contextmanager
def _blaming(origin: str) -> Iterator[None]:
    """Errors name what asked for the device or object that cannot be made."""
    try:
        yield
    except VaranError as error:
        raise VaranError(f"{origin}: {error}" if origin else str(error)) from error
