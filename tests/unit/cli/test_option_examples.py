"""Every option of the table, at least once: what it does to the machine or the process."""

from __future__ import annotations

import shlex
import uuid
from typing import Any

import pytest

from varan.api.values import BlockdevOnError, PanicAction, RebootAction, ShutdownAction, WatchdogAction
from varan.board.bootorder import BootOrder
from varan.cli.builder import Configuration
from varan.cli.option import HelpRequested, UsageError
from varan.cli.options import OPTIONS, parse_command_line
from varan.cli.process import InheritedFd
from varan.cli.refused import REFUSED
from varan.machine.spec import (
    MIB,
    BlockdevSpec,
    BootSpec,
    ChardevSpec,
    DeviceSpec,
    DriveSpec,
    MonitorMode,
    MonitorSpec,
    NetdevSpec,
    ObjectSpec,
    RtcSpec,
    Topology,
)

PROGRAM = "varan-system-x86_64"
NULL_SERIAL = ChardevSpec("serial0", "null")
CONTROL = MonitorMode.CONTROL

EXAMPLES: dict[str, list[tuple[str, str, Any]]] = {
    "name": [
        ("-name vm", "machine.name", "vm"),
        ("-name guest=a,,b,process=p,debug-threads=on", "machine.name", "a,b"),
        ("-name guest=a,process=p", "process.title", "p"),
        ("-name a -name process=p", "machine.name", "a"),
        ("-name a,debug-threads=on", "process.name_threads", True),
        ("", "machine.name", None),
    ],
    "uuid": [
        (
            "-uuid 550E8400-e29b-41d4-a716-446655440000",
            "machine.uuid",
            uuid.UUID("550e8400-e29b-41d4-a716-446655440000"),
        )
    ],
    "S": [("-S", "machine.autostart", False), ("", "machine.autostart", True)],
    "no-reboot": [("-no-reboot", "machine.actions.reboot", RebootAction.SHUTDOWN)],
    "no-shutdown": [("-no-shutdown", "machine.actions.shutdown", ShutdownAction.PAUSE)],
    "watchdog-action": [("-watchdog-action pause", "machine.actions.watchdog", WatchdogAction.PAUSE)],
    "action": [
        ("-action panic=exit-failure", "machine.actions.panic", PanicAction.EXIT_FAILURE),
        ("-action reboot=shutdown,shutdown=pause", "machine.actions.shutdown", ShutdownAction.PAUSE),
        ("-action watchdog=inject-nmi", "machine.actions.watchdog", WatchdogAction.INJECT_NMI),
        ("-no-reboot -action reboot=reset", "machine.actions.reboot", RebootAction.RESET),
    ],
    "machine": [
        ("-machine pc", "machine.machine", "pc"),
        ("-M none", "machine.machine", "none"),
        ("-machine type=pc,accel=kvm:tcg", "machine.accelerators", (("kvm", {}), ("unicorn", {}))),
        ("-machine pc -machine accel=tcg", "machine.accelerators", (("unicorn", {}),)),
        ("-machine pc,acpi=off", "machine.acpi", False),
        ("-machine pc,hpet=off", "machine.hpet", False),
        ("-machine pc,usb=off,vmport=off,dump-guest-core=off", "process.dump_guest_memory", False),
    ],
    "accel": [
        (
            "-accel kvm -accel tcg,tb-size=64",
            "machine.accelerators",
            (("kvm", {}), ("unicorn", {"tb-size": "64"})),
        ),
        ("-accel unicorn", "process.announce_accelerator", False),
        ("", "process.announce_accelerator", True),
    ],
    "enable-kvm": [("-enable-kvm", "machine.accelerators", (("kvm", {}),))],
    "mem-path": [("-mem-path /dev/hugepages", "machine.memory_settings", {"mem-path": "/dev/hugepages"})],
    "mem-prealloc": [
        ("-mem-prealloc -machine mem-merge=on", "machine.memory_settings", {"prealloc": True, "merge": True}),
        ("-object memory-backend-ram,id=r,size=2G -M memory-backend=r", "machine.memory_backend", "r"),
        ("-object memory-backend-ram,id=r,size=2G -M memory-backend=r", "machine.memory", 2 << 30),
        ("-object memory-backend-ram,id=r,size=2G -M memory-backend=r -m 64", "machine.memory", 64 << 20),
    ],
    "m": [
        ("-m 256", "machine.memory", 256 * MIB),
        ("-m 1.5G", "machine.memory", 1536 * MIB),
        ("-m size=262144k", "machine.memory", 256 * MIB),
        ("--m 1048577b", "machine.memory", MIB + 4096),
        ("", "machine.memory", 128 * MIB),
    ],
    "smp": [
        ("-smp 4", "machine.topology", Topology(1, 4, 1)),
        ("-smp 4", "machine.cpus", 4),
        ("-smp cpus=8,sockets=2,threads=2", "machine.topology", Topology(2, 2, 2)),
        ("-smp 8,cores=2", "machine.topology", Topology(4, 2, 1)),
        ("-smp 8,sockets=2,cores=2", "machine.topology", Topology(2, 2, 2)),
        ("-smp sockets=2,cores=2", "machine.cpus", 4),
        ("-smp 1,sockets=1,dies=1,cores=1,threads=1,maxcpus=1", "machine.cpus", 1),
    ],
    "cpu": [("-cpu max", "machine.cpu_model", "max"), ("", "machine.cpu_model", None)],
    "rtc": [
        ("-rtc base=localtime,clock=vm", "machine.rtc", RtcSpec("localtime", "vm")),
        ("-rtc base=2026-06-17T16:01:21", "machine.rtc", RtcSpec("2026-06-17T16:01:21", "host")),
        ("-rtc 2026-06-17 -rtc clock=rt,driftfix=none", "machine.rtc", RtcSpec("2026-06-17", "rt")),
    ],
    "global": [
        ("-global isa-debugcon.iobase=0x402", "machine.globals", (("isa-debugcon", "iobase", "0x402"),)),
        ("-global isa-debugcon.iobase=0x402", "warnings", ()),
        ("-global isa-device.iobase=0x402", "warnings", ()),
        ("-global x.y=z", "warnings", ("-global x.y=z has no effect: no device here has such a property",)),
        ("-global driver=a.b,property=c,value=d", "machine.globals", (("a.b", "c", "d"),)),
    ],
    "kernel": [("-kernel k", "machine.boot", BootSpec(kernel="k"))],
    "initrd": [("-kernel k -initrd i", "machine.boot", BootSpec(kernel="k", initrd="i"))],
    "append": [("-append 'a b,c' -kernel k", "machine.boot", BootSpec(kernel="k", append="a b,c"))],
    "bios": [
        ("-bios b.bin", "machine.boot", BootSpec(firmware="b.bin")),
        ("-bios b.bin -kernel k -append a", "machine.boot", BootSpec(kernel="k", append="a", firmware="b.bin")),
    ],
    "demo": [("-demo", "machine.boot", BootSpec(demo=True))],
    "boot": [
        ("-boot dn", "machine.boot_order", BootOrder("dn")),
        ("-boot strict=on,menu=off", "machine.boot_order", BootOrder(menu=False, strict=True)),
        (
            "-boot once=d -boot order=c,splash-time=5,reboot-timeout=-1",
            "machine.boot_order",
            BootOrder("c", "d", menu_milliseconds=5, retry_milliseconds=-1),
        ),
    ],
    "fw_cfg": [
        (
            "-fw_cfg opt/a,string=x,,y -fw_cfg name=opt/b,string=",
            "machine.firmware_files",
            (("opt/a", b"x,y"), ("opt/b", b"")),
        ),
    ],
    "netdev": [
        (
            "-netdev user,id=n0,hostfwd=tcp::8022-:22,hostfwd=tcp::8080-:80",
            "machine.netdevs",
            (NetdevSpec("n0", "user", (("hostfwd", "tcp::8022-:22"), ("hostfwd", "tcp::8080-:80"))),),
        ),
    ],
    "chardev": [
        (
            "-nodefaults -chardev socket,id=c0,path=/tmp/a,,b,server,nowait,mux=on",
            "machine.chardevs",
            (ChardevSpec("c0", "socket", {"path": "/tmp/a,b", "server": "on", "wait": "off"}, True),),
        ),
        ("-nodefaults -chardev null,id=n", "machine.chardevs", (ChardevSpec("n", "null"),)),
    ],
    "serial": [
        ("-serial none", "machine.serials", (None,)),
        ("-serial null -serial null", "machine.serials", ("serial0", "serial1")),
        ("-serial mon:stdio", "machine.chardevs", (ChardevSpec("serial0", "stdio", {"signal": "off"}, True),)),
        ("-serial mon:stdio", "machine.monitors", (MonitorSpec("serial0"),)),
        ("-chardev null,id=n -serial chardev:n", "machine.serials", ("n",)),
        ("-serial file:/tmp/x", "machine.chardevs", (ChardevSpec("serial0", "file", {"path": "/tmp/x"}),)),
        ("", "machine.serials", ("serial0",)),
        ("", "machine.chardevs", (NULL_SERIAL,)),
    ],
    "monitor": [
        ("-monitor none", "machine.monitors", ()),
        ("-monitor stdio", "machine.monitors", (MonitorSpec("compat_monitor0", id="compat_monitor0"),)),
    ],
    "qmp": [
        (
            "-qmp unix:vm.sock,server=on,wait=off",
            "machine.chardevs",
            (
                ChardevSpec("compat_monitor0", "socket", {"path": "vm.sock", "server": "on", "wait": "off"}),
                NULL_SERIAL,
            ),
        ),
        (
            "-qmp stdio -qmp tcp:localhost:4444,server,nowait",
            "machine.monitors",
            (
                MonitorSpec("compat_monitor0", CONTROL, id="compat_monitor0"),
                MonitorSpec("compat_monitor1", CONTROL, id="compat_monitor1"),
            ),
        ),
    ],
    "qmp-pretty": [
        ("-qmp-pretty stdio", "machine.monitors", (MonitorSpec("compat_monitor0", CONTROL, True, "compat_monitor0"),))
    ],
    "mon": [
        (
            "-chardev stdio,id=c -mon chardev=c,mode=control,pretty=on,id=m",
            "machine.monitors",
            (MonitorSpec("c", CONTROL, True, "m"),),
        ),
        ("-mon c -chardev stdio,id=c", "machine.monitors", (MonitorSpec("c"),)),
    ],
    "debugcon": [
        ("-debugcon file:d.log", "machine.debug_console", "debugcon"),
        ("-chardev null,id=d -debugcon chardev:d", "machine.debug_console", "d"),
    ],
    "parallel": [("-parallel none", "machine.serials", ("serial0",))],
    "nographic": [
        ("-nographic", "machine.chardevs", (ChardevSpec("serial0", "stdio", {"signal": "off"}, True),)),
        ("-nographic", "machine.monitors", (MonitorSpec("serial0"),)),
        ("-nographic", "machine.serials", ("serial0",)),
        ("-nographic -monitor none", "machine.chardevs", (ChardevSpec("serial0", "stdio"),)),
        ("-nographic -serial null", "machine.monitors", (MonitorSpec("compat_monitor0"),)),
        ("-nographic -nodefaults", "machine.chardevs", ()),
    ],
    "display": [("-display none", "machine.monitors", ())],
    "vga": [("-vga none", "machine.monitors", ())],
    "nodefaults": [
        ("-nodefaults", "machine.serials", ()),
        ("-nodefaults -serial null", "machine.serials", ("serial0",)),
    ],
    "daemonize": [("-daemonize", "process.daemonize", True)],
    "pidfile": [("-pidfile /run/x.pid", "process.pidfile", "/run/x.pid")],
    "add-fd": [
        ("-add-fd fd=7,set=2,opaque=rw:/x", "process.inherited_fds", (InheritedFd(7, 2, "rw:/x"),)),
        ("-kernel /dev/fdset/2 -add-fd fd=7,set=2", "machine.boot", BootSpec(kernel="/dev/fd/7")),
        (
            "-nodefaults -chardev file,id=f,path=/dev/fdset/3 -add-fd fd=8,set=3",
            "machine.chardevs",
            (ChardevSpec("f", "file", {"path": "/dev/fd/8"}),),
        ),
    ],
    "msg": [
        ("-msg timestamp=on", "process.timestamps", True),
        ("-msg timestamp,guest-name=on -name x", "process.label", "x"),
        ("-msg timestamp=off", "process.timestamps", False),
    ],
    "d": [("-d accel,qmp", "process.log_items", ("accel", "qmp"))],
    "D": [("-D /tmp/log", "process.log_file", "/tmp/log")],
    "no-user-config": [("-no-user-config", "machine.machine", "pc")],
    "no-hpet": [("-no-hpet", "machine.hpet", False)],
    "no-acpi": [("-no-acpi", "machine.acpi", False)],
    **{
        f"hd{letter}": [(f"-hd{letter} a,b", "machine.drives", (DriveSpec(f"ide{bus}-hd{unit}", {"filename": "a,b"}),))]
        for letter, bus, unit in (("a", 0, 0), ("b", 0, 1), ("c", 1, 0), ("d", 1, 1))
    },
    "cdrom": [
        ("-cdrom a", "machine.drives", (DriveSpec("ide1-cd0", {"read-only": True, "filename": "a"}),)),
        (
            "-cdrom a",
            "machine.devices",
            (DeviceSpec("ide-cd", bus="ide.1", settings={"drive": "ide1-cd0", "unit": "0"}, on_board=True),),
        ),
    ],
    "drive": [
        (
            "-drive file=a,if=virtio -drive file=b,if=virtio",
            "machine.drives",
            (DriveSpec("virtio0", {"filename": "a"}), DriveSpec("virtio1", {"filename": "b"})),
        ),
        (
            "-drive file=a,if=virtio,index=3 -device ib700",
            "machine.devices",
            (DeviceSpec("ib700"), DeviceSpec("virtio-blk-pci", settings={"drive": "virtio3"})),
        ),
        (
            "-drive file=a,if=none,id=d,format=raw,readonly=on,cache=none,serial=S,aio=native,discard=unmap",
            "machine.drives",
            (
                DriveSpec(
                    "d",
                    {
                        "cache.direct": True,
                        "cache.no-flush": False,
                        "read-only": True,
                        "filename": "a",
                        "discard": "unmap",
                    },
                    "raw",
                    serial="S",
                ),
            ),
        ),
        (
            "-drive if=none,id=d,driver=qcow2,file.filename=a,cache.writeback=off",
            "machine.drives",
            (DriveSpec("d", {"file.filename": "a"}, "qcow2", writeback=False),),
        ),
        (
            "-drive if=none,file=a,format=qcow2,copy-on-read=on",
            "machine.drives",
            (
                DriveSpec(
                    "none0",
                    {"driver": "copy-on-read", "file.filename": "a", "file.driver": "qcow2"},
                    copy_on_read=True,
                ),
            ),
        ),
        (
            "-drive if=none,id=d,file=a,bps=1000,iops_rd_max=9,throttling.iops-read=3,iops_size=512,group=g",
            "machine.drives",
            (
                DriveSpec(
                    "d",
                    {"filename": "a"},
                    limits={"bps-total": 1000, "iops-read": 3, "iops-read-max": 9, "iops-size": 512},
                    throttle_group="g",
                ),
            ),
        ),
        (
            "-drive if=none,file=a,rerror=stop,werror=ignore -drive if=none,file=b,werror=enospc",
            "machine.drives",
            (
                DriveSpec("none0", {"filename": "a"}, rerror=BlockdevOnError.STOP, werror=BlockdevOnError.IGNORE),
                DriveSpec("none1", {"filename": "b"}, werror=BlockdevOnError.ENOSPC),
            ),
        ),
        (
            "-drive if=none,file=a,stats-account-invalid=off,stats-intervals.0=60,stats-intervals.1=5 "
            "-drive if=none,file=b,stats-account-failed=off",
            "machine.drives",
            (
                DriveSpec("none0", {"filename": "a"}, account_invalid=False, intervals=(60, 5)),
                DriveSpec("none1", {"filename": "b"}, account_failed=False),
            ),
        ),
        (
            "-drive if=none,file=a,snapshot=on -drive if=none,file=b",
            "machine.drives",
            (DriveSpec("none0", {"filename": "a"}, snapshot=True), DriveSpec("none1", {"filename": "b"})),
        ),
        ("-drive if=none,id=empty", "machine.drives", (DriveSpec("empty", None),)),
        (
            "-drive if=none,id=empty,media=cdrom,cache=none",
            "machine.drives",
            (DriveSpec("empty", None, retained={"read-only": True, "cache.direct": True, "cache.no-flush": False}),),
        ),
        (
            "-drive file=a -drive file=b,bus=1,unit=1 -drive media=cdrom -device ib700",
            "machine.devices",
            (
                DeviceSpec("ide-hd", bus="ide.0", settings={"drive": "ide0-hd0", "unit": "0"}, on_board=True),
                DeviceSpec("ide-hd", bus="ide.1", settings={"drive": "ide1-hd1", "unit": "1"}, on_board=True),
                DeviceSpec("ide-cd", bus="ide.0", settings={"drive": "ide0-cd1", "unit": "1"}, on_board=True),
                DeviceSpec("ib700"),
            ),
        ),
        ("-drive if=none,file=a -drive if=none,id=d", "machine.devices", ()),
    ],
    "snapshot": [
        (
            "-drive if=none,file=a,snapshot=off -snapshot -drive if=none,file=b",
            "machine.drives",
            (DriveSpec("none0", {"filename": "a"}), DriveSpec("none1", {"filename": "b"}, snapshot=True)),
        ),
    ],
    "fda": [
        ("-fda a,b", "machine.drives", (DriveSpec("floppy0", {"filename": "a,b"}),)),
        (
            "-fda a -drive if=floppy,id=x",
            "machine.devices",
            (
                DeviceSpec("floppy", settings={"unit": "0", "drive": "floppy0"}, on_board=True),
                DeviceSpec("floppy", settings={"unit": "1", "drive": "x"}, on_board=True),
            ),
        ),
    ],
    "fdb": [
        (
            "-fdb a",
            "machine.devices",
            (DeviceSpec("floppy", settings={"unit": "1", "drive": "floppy1"}, on_board=True),),
        )
    ],
    "blockdev": [
        (
            "-blockdev qcow2,node-name=n,file.driver=file,file.filename=a",
            "machine.blockdevs",
            (BlockdevSpec({"driver": "qcow2", "node-name": "n", "file.driver": "file", "file.filename": "a"}),),
        ),
        (
            """-blockdev '{"driver": "raw", "node-name": "n", "file": {"driver": "file", "filename": "a"}}'""",
            "machine.blockdevs",
            (BlockdevSpec({"driver": "raw", "node-name": "n", "file": {"driver": "file", "filename": "a"}}),),
        ),
        (
            "-add-fd fd=7,set=2 -drive if=none,id=d,file=/dev/fdset/2",
            "machine.drives",
            (DriveSpec("d", {"filename": "/dev/fd/7"}),),
        ),
    ],
    "device": [
        ("-device ib700", "machine.devices", (DeviceSpec("ib700"),)),
        (
            "-device isa-serial,id=s,bus=isa.0,chardev=c",
            "machine.devices",
            (DeviceSpec("isa-serial", "s", "isa.0", {"chardev": "c"}),),
        ),
        (
            """-device '{"driver": "isa-debugcon", "id": "d", "iobase": 233}'""",
            "machine.devices",
            (DeviceSpec("isa-debugcon", "d", None, {"iobase": 233}),),
        ),
    ],
    "object": [
        ("-object secret,id=s,data=x", "machine.objects", (ObjectSpec("secret", "s", {"data": "x"}),)),
        (
            """-object '{"qom-type": "rng-builtin", "id": "r"}'""",
            "machine.objects",
            (ObjectSpec("rng-builtin", "r"),),
        ),
    ],
    "net": [
        ("-net none", "machine.netdevs", ()),
        (
            "-net nic -net user",
            "machine.netdevs",
            (
                NetdevSpec("#hub0port0", "hubport", (("hubid", "0"),)),
                NetdevSpec("#net1", "user"),
                NetdevSpec("#hub0port1", "hubport", (("hubid", "0"), ("netdev", "#net1"))),
            ),
        ),
        (
            "-net nic,macaddr=52:54:00:00:00:01,netdev=n",
            "machine.devices",
            (DeviceSpec("virtio-net-pci", None, None, {"netdev": "n", "mac": "52:54:00:00:00:01"}),),
        ),
    ],
    "nic": [
        ("-nic none", "machine.devices", ()),
        (
            "-nic user,hostfwd=tcp::22-:22,model=virtio,mac=52:54:00:00:00:01",
            "machine.netdevs",
            (NetdevSpec("#nic0", "user", (("hostfwd", "tcp::22-:22"),)),),
        ),
        (
            "-nic user,id=a -nic user",
            "machine.devices",
            (
                DeviceSpec("virtio-net-pci", "a", None, {"netdev": "#nic-a"}),
                DeviceSpec("virtio-net-pci", None, None, {"netdev": "#nic1"}),
            ),
        ),
    ],
    "overcommit": [("-overcommit mem-lock=off,cpu-pm=off", "machine.machine", "pc")],
    "sandbox": [("-sandbox off", "machine.machine", "pc")],
}
"""Option: command lines that use it, and what each leads to."""

HELP_EXAMPLES = {
    "help": ("-help", "Machine and CPU:"),
    "version": ("-version", "Varan version "),
    "machine": ("-machine help", "  none  "),
    "accel": ("-accel help", "unicorn"),
    "cpu": ("-cpu help", "Available CPUs:"),
    "chardev": ("-chardev help", "  ringbuf"),
    "device": ("-device help", "isa-serial"),
    "object": ("-object help", "rng-random"),
    "netdev": ("-netdev help", "  user"),
    "d": ("-d help", "chardev"),
}
"""Option: a command line that asks for a list, and something the list holds."""


def configuration(line: str) -> Configuration:
    return parse_command_line(shlex.split(line), PROGRAM)


def attribute(whole: object, path: str) -> object:
    for name in path.split("."):
        whole = getattr(whole, name)
    return whole


def test_every_option_has_an_example() -> None:
    shown = EXAMPLES.keys() | HELP_EXAMPLES.keys() | {name for name, _, _ in REFUSED}
    assert shown == {option.name for option in OPTIONS}


def test_names_and_aliases_are_unique() -> None:
    names = [name for option in OPTIONS for name in (option.name, *option.aliases)]
    assert sorted(set(names)) == sorted(names)


@pytest.mark.parametrize(
    ("line", "path", "expected"), [example for examples in EXAMPLES.values() for example in examples]
)
def test_option_leads_to(line: str, path: str, expected: object) -> None:
    if path in ("machine.devices", "machine.drives"):
        # Without the drives that every PC has.
        line = f"-nodefaults {line}"
    assert attribute(configuration(line), path) == expected


def test_a_pc_has_an_optical_and_a_floppy_drive_unless_they_are_asked_for_otherwise() -> None:
    def drives(line: str) -> list[str]:
        return [drive.id for drive in attribute(configuration(line), "machine.drives")]

    assert drives("") == ["ide1-cd0", "floppy0"]
    assert drives("-cdrom a -fda b") == ["ide1-cd0", "floppy0"]
    assert drives("-hdc a") == ["ide1-hd0", "floppy0"]
    assert drives("-drive if=none,id=d,file=a -device ide-cd,drive=d -device floppy") == ["d"]
    assert drives("-nodefaults") == drives("-machine none") == []


@pytest.mark.parametrize("name", EXAMPLES)
def test_example_uses_its_option(name: str) -> None:
    option = next(option for option in OPTIONS if option.name == name)
    words = {word for line, _, _ in EXAMPLES[name] for word in shlex.split(line)}
    assert words & {f"{dashes}{spelled}" for spelled in (option.name, *option.aliases) for dashes in ("-", "--")}


@pytest.mark.parametrize(("line", "part"), HELP_EXAMPLES.values())
def test_help_lists(line: str, part: str) -> None:
    with pytest.raises(HelpRequested) as caught:
        configuration(line)
    assert part in caught.value.text


@pytest.mark.parametrize(("name", "argument", "what"), REFUSED)
def test_absent_feature_is_refused_by_name(name: str, argument: str | None, what: str) -> None:
    with pytest.raises(UsageError) as caught:
        configuration(f"-{name} x" if argument else f"-{name}")
    quoted = f"-{name} x" if argument else f"-{name}"
    assert str(caught.value) == f"{quoted}: not supported yet: there are no {what}"
