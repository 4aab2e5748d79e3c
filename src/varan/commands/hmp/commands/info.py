"""`info`: what there is to know about the machine."""

from __future__ import annotations

import msgspec

from varan.commands import char, control, misc, run_state
from varan.commands import machine as handlers
from varan.commands.hmp import registers
from varan.commands.hmp.errors import HmpError
from varan.commands.hmp.registry import INFO, command
from varan.commands.hmp.session import HmpSession


@command("status", help="whether the guest runs, and if not, why", group=INFO)
async def status(session: HmpSession) -> str:
    """In the words that scripts look for."""
    answer = await run_state.query_status(session.machine)
    shown = "running" if answer.running else "paused"
    state = answer.status.value
    reason = "" if state in ("running", "paused") else f" ({state})"
    return f"VM status: {shown}{reason}\n"


@command("version", help="the protocol's version and Varan's", group=INFO)
async def version(session: HmpSession) -> str:
    """`7.0.0 (varan-...)`."""
    answer = await control.query_version(session.machine)
    numbers = answer.qemu
    return f"{numbers.major}.{numbers.minor}.{numbers.micro} ({answer.package})\n"


@command("name", help="the machine's name", group=INFO)
async def name(session: HmpSession) -> str:
    """Nothing for a machine without a name."""
    answer = await handlers.query_name(session.machine)
    return f"{answer.name}\n" if answer.name else ""


@command("uuid", help="the machine's UUID", group=INFO)
async def uuid(session: HmpSession) -> str:
    """All zeros for a machine without one."""
    return f"{(await handlers.query_uuid(session.machine)).UUID}\n"


@command("kvm", help="whether the machine uses KVM, and whether it could", group=INFO)
async def kvm(session: HmpSession) -> str:
    """In the words that scripts look for."""
    answer = await handlers.query_kvm(session.machine)
    if answer.enabled:
        return "kvm support: enabled\n"
    return f"kvm support: {'disabled' if answer.present else 'not available'}\n"


@command("accelerator", help="what runs the guest", group=INFO)
async def accelerator(session: HmpSession) -> str:
    """Its name and what it is."""
    chosen = session.machine.accelerator
    return f"{chosen.name}: {chosen.description}\n" if chosen else "none\n"


@command("cpus", help="the CPUs: instruction pointer, whether halted, host thread; * marks the chosen one", group=INFO)
async def cpus(session: HmpSession) -> str:
    """One line per vCPU."""
    lines = []
    for cpu in await handlers.query_cpus(session.machine):
        mark = "*" if session.cpu_index == cpu.CPU else " "
        halted = " (halted)" if cpu.halted else ""
        pc = (cpu.pc or 0) & (1 << 64) - 1
        lines.append(f"{mark} CPU #{cpu.CPU}: pc={pc:#018x}{halted} thread_id={cpu.thread_id}\n")
    return "".join(lines)


@command("registers", "-a:all", help="the chosen CPU's registers, or with -a all registers of all CPUs", group=INFO)
async def info_registers(session: HmpSession, all: bool = False) -> str:
    """Each CPU's are taken at one moment."""
    vcpus = session.machine.vcpus if all else [session.vcpu()]
    if not vcpus:
        raise HmpError("this machine has no CPU")
    shown: list[str] = []
    for vcpu in vcpus:
        if shown:
            shown.append("")
        shown += [f"CPU#{vcpu.index}", *registers.lines(await vcpu.get_state(), everything=all)]
    return "".join(f"{line}\n" for line in shown)


@command("memory_size_summary", help="how much memory the guest has", group=INFO)
async def memory_size_summary(session: HmpSession) -> str:
    """In bytes."""
    sizes = await handlers.query_memory_size_summary(session.machine)
    return f"base memory: {sizes.base_memory}\nplugged memory: {sizes.plugged_memory}\n"


@command("memdev", help="the memory backends", group=INFO)
async def memdev(session: HmpSession) -> str:
    """A line for each setting."""
    lines = []
    for backend in await handlers.query_memdev(session.machine):
        lines += [f"memory backend: {backend.id}", f"  size:  {backend.size}"]
        for name in ("merge", "dump", "prealloc", "share", "reserve"):
            lines.append(f"  {name}: {'true' if getattr(backend, name) else 'false'}")
        nodes = " ".join(map(str, backend.host_nodes))
        lines += [f"  policy: {backend.policy.value}", f"  host nodes: {nodes}"]
    return "".join(f"{line}\n" for line in [*lines, ""])


@command("iothreads", help="the threads that serve disks", group=INFO)
async def iothreads(session: HmpSession) -> str:
    """A line for each value."""
    lines = []
    for thread in await misc.query_iothreads(session.machine):
        lines += [f"{thread.id}:", f"  thread_id={thread.thread_id}", f"  poll-max-ns={thread.poll_max_ns}"]
        lines += [f"  poll-grow={thread.poll_grow}", f"  poll-shrink={thread.poll_shrink}"]
        lines.append(f"  aio-max-batch={thread.aio_max_batch}")
    return "".join(f"{line}\n" for line in lines)


@command("hotpluggable-cpus", help="the places where CPUs are", group=INFO)
async def hotpluggable_cpus(session: HmpSession) -> str:
    """A line for each value."""
    lines = ["Hotpluggable CPUs:"]
    for place in await handlers.query_hotpluggable_cpus(session.machine):
        lines += [f'  type: "{place.type}"', f'  vcpus_count: "{place.vcpus_count}"']
        if place.qom_path is not msgspec.UNSET:
            lines.append(f'  qom_path: "{place.qom_path}"')
        lines.append("  CPUInstance Properties:")
        where = msgspec.to_builtins(place.props)
        lines += [f'    {name}: "{where[name]}"' for name in where]
    return "".join(f"{line}\n" for line in lines)


@command("mtree", "-f:flat", help="what is at which memory addresses and ports; with -f as flat views", group=INFO)
async def mtree(session: HmpSession, flat: bool = False) -> str:
    """Both address spaces, lowest address first; what is not listed is unassigned."""
    memory = []
    for region in session.machine.memory:
        kind = "i/o" if region.ram is None else "rom" if region.readonly else "ram"
        at = f" @{region.offset:016x}" if region.ram is not None and (region.offset or not flat) else ""
        memory.append(f"  {region.start:016x}-{region.end - 1:016x} ({kind}): {region.name}{at}")
    ports = [f"  {run.base:016x}-{run.base + run.length - 1:016x} (i/o): {run.name}" for run in session.machine.ports]
    lines: list[str] = []
    for number, (name, root, runs) in enumerate((("memory", "system", memory), ("I/O", "io", ports))):
        if flat:
            lines += [f"FlatView #{number}", f' AS "{name}", root: {root}', f" Root memory region: {root}"]
        else:
            lines.append(f"address-space: {name}")
        lines += [*runs, ""]
    return "".join(f"{line}\n" for line in (lines if flat else lines[:-1]))


@command("chardev", help="the character devices", group=INFO)
async def chardev(session: HmpSession) -> str:
    """`id: filename=...`, one per line."""
    return "".join(
        f"{device.label}: filename={device.filename}\n" for device in await char.query_chardev(session.machine)
    )
