"""-machine, -accel, -m, -smp, -cpu, -rtc, -global and what else describes the hardware."""

from __future__ import annotations

import datetime
import re
import uuid

from varan.accel import cpuid
from varan.accel import registry as accelerators
from varan.accel.base import Topology
from varan.cli import catalogue
from varan.cli.builder import Builder
from varan.cli.folds.common import HELP_WORDS, take_off
from varan.cli.option import HelpRequested, UsageError
from varan.core.keyval import Arguments
from varan.machine.spec import MIB, RtcSpec

PAGE = 4096
MAX_CPUS = 255
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_ABSENT_PARTS = ("usb", "vmport", "smm", "graphics", "nvdimm", "hmat")


def fold_machine(builder: Builder, value: str) -> None:
    """-machine [type=]NAME[,accel=A:B]..."""
    arguments = Arguments(value, "type")
    kind = arguments.take("type")
    if kind in HELP_WORDS:
        raise HelpRequested(catalogue.machines())
    if kind is not None:
        if kind not in catalogue.machine_types():
            known = ", ".join(catalogue.machine_types())
            raise UsageError(f"unsupported machine type '{kind}'; known are {known}")
        builder.machine = kind
    accel = arguments.take("accel")
    if accel is not None:
        builder.machine_accelerators = [_accelerator(name) for name in accel.split(":")]
    dump = arguments.take_bool("dump-guest-core")
    if dump is not None:
        builder.process.dump_guest_memory = dump
    merge = arguments.take_bool("mem-merge")
    if merge is not None:
        builder.memory_settings["merge"] = merge
    builder.memory_backend = arguments.take("memory-backend") or builder.memory_backend
    acpi = arguments.take_bool("acpi")
    if acpi is not None:
        builder.acpi = acpi
    hpet = arguments.take_bool("hpet")
    if hpet is not None:
        builder.hpet = hpet
    for part in _ABSENT_PARTS:
        take_off(arguments, part)
    arguments.finish()


def fold_no_acpi(builder: Builder, value: str) -> None:
    """-no-acpi: the short form of -machine acpi=off."""
    builder.acpi = False


def fold_no_hpet(builder: Builder, value: str) -> None:
    """-no-hpet: the short form of -machine hpet=off."""
    builder.hpet = False


def fold_accel(builder: Builder, value: str) -> None:
    """-accel NAME[,option=value]..."""
    arguments = Arguments(value, "accel")
    name = arguments.take_required("accel")
    if name in HELP_WORDS:
        raise HelpRequested(catalogue.accelerators())
    builder.accelerators.append((_accelerator(name), arguments.rest()))


def fold_enable_kvm(builder: Builder, value: str) -> None:
    """-enable-kvm: the short form of -machine accel=kvm."""
    builder.machine_accelerators = ["kvm"]


def _accelerator(name: str) -> str:
    canonical = accelerators.canonical(name)
    if canonical is None:
        raise UsageError(f"invalid accelerator {name}; known are {', '.join(accelerators.names())}")
    return canonical


def fold_memory(builder: Builder, value: str) -> None:
    """-m [size=]SIZE, in MiB where it has no suffix."""
    arguments = Arguments(value, "size")
    for key in ("slots", "maxmem"):
        arguments.refuse(key, "is not supported yet: memory cannot be plugged into a running machine")
    size = arguments.take_size("size", unit=MIB)
    arguments.finish()
    if size is None:
        return
    if size < MIB:
        raise UsageError("too little memory: a machine needs at least 1 MiB")
    builder.memory = -(-size // PAGE) * PAGE


def fold_mem_path(builder: Builder, value: str) -> None:
    """-mem-path PATH"""
    if not value:
        raise UsageError("PATH is empty")
    builder.memory_settings["mem-path"] = value


def fold_mem_prealloc(builder: Builder, value: str) -> None:
    """-mem-prealloc"""
    builder.memory_settings["prealloc"] = True


def fold_smp(builder: Builder, value: str) -> None:
    """-smp [cpus=]N[,sockets=N][,cores=N][,threads=N][,maxcpus=N]"""
    arguments = Arguments(value, "cpus")
    given = {key: arguments.take_number(key) for key in ("cpus", "sockets", "cores", "threads", "maxcpus")}
    for level in ("books", "drawers", "dies", "clusters", "modules"):
        if arguments.take_number(level) not in (None, 1):
            raise UsageError(f"the machine has no {level}")
    arguments.finish()
    for key, number in given.items():
        if number == 0:
            raise UsageError(f"parameter '{key}' must be greater than zero")
    builder.topology = _topology(given)


def _topology(given: dict[str, int | None]) -> Topology:
    """Completes a topology: cores are preferred over sockets, and both over threads."""
    cpus, maximum = given["cpus"], given["maxcpus"]
    sockets, cores, threads = given["sockets"], given["cores"], given["threads"]
    total = maximum or cpus
    if total is not None:
        if cores is None:
            sockets, threads = sockets or 1, threads or 1
            cores = total // (sockets * threads)
        elif sockets is None:
            threads = threads or 1
            sockets = total // (cores * threads)
        elif threads is None:
            threads = total // (sockets * cores)
    topology = Topology(*(1 if number is None else number for number in (sockets, cores, threads)))
    product = topology.sockets * topology.cores * topology.threads
    if total is not None and product != total:
        raise UsageError(
            f"invalid CPU topology: sockets ({topology.sockets}) * cores ({topology.cores}) * "
            f"threads ({topology.threads}) is not the number of CPUs ({total})"
        )
    if cpus is not None and maximum is not None and maximum < cpus:
        raise UsageError(f"invalid CPU topology: maxcpus ({maximum}) is less than the number of CPUs ({cpus})")
    if cpus is not None and cpus < product:
        raise UsageError("maxcpus above the number of CPUs is not supported yet: CPUs cannot be plugged in later")
    if product > MAX_CPUS:
        raise UsageError(f"{product} CPUs are too many; a machine has up to {MAX_CPUS}")
    return topology


def fold_cpu(builder: Builder, value: str) -> None:
    """-cpu MODEL[,+feature][,-feature][,feature=on|off]..."""
    if value in HELP_WORDS:
        raise HelpRequested(catalogue.cpu_models())
    choice = cpuid.parse_model(value)
    if not choice.model:
        raise UsageError("parameter 'model' is missing")
    builder.cpu_model = value


def fold_uuid(builder: Builder, value: str) -> None:
    """-uuid UUID"""
    if not _UUID.fullmatch(value):
        raise UsageError("not a UUID; one looks like 550e8400-e29b-41d4-a716-446655440000")
    builder.uuid = uuid.UUID(value)


def fold_rtc(builder: Builder, value: str) -> None:
    """-rtc [base=utc|localtime|DATE][,clock=host|rt|vm]"""
    arguments = Arguments(value, "base")
    base = arguments.take("base") or builder.rtc.base
    clock = arguments.take_choice("clock", ("host", "rt", "vm")) or builder.rtc.clock
    driftfix = arguments.take_choice("driftfix", ("none", "slew"))
    arguments.finish()
    if driftfix == "slew":
        raise UsageError("driftfix=slew is not supported yet")
    if base not in ("utc", "localtime") and not _is_date(base):
        raise UsageError(f"'{base}' is neither utc nor localtime nor a date like 2026-06-17T16:01:21 or 2026-06-17")
    builder.rtc = RtcSpec(base, clock)


def _is_date(text: str) -> bool:
    for form in ("%Y-%m-%dT%H:%M:%S", "%Y-%m-%d"):
        try:
            datetime.datetime.strptime(text, form)
        except ValueError:
            continue
        return True
    return False


def fold_global(builder: Builder, value: str) -> None:
    """-global DRIVER.PROPERTY=VALUE, or driver=,property=,value="""
    if value.startswith("driver="):
        arguments = Arguments(value)
        setting = tuple(arguments.take_required(key) for key in ("driver", "property", "value"))
        arguments.finish()
    else:
        name, equals, text = value.partition("=")
        driver, dot, property_name = name.partition(".")
        if not (equals and dot and driver and property_name):
            raise UsageError("expected DRIVER.PROPERTY=VALUE")
        setting = (driver, property_name, text)
    driver, property_name, text = setting
    if not catalogue.has_setting(driver, property_name):
        builder.warnings.append(f"-global {value} has no effect: no device here has such a property")
    builder.globals.append((driver, property_name, text))
