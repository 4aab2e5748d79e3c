"""The option table of QEMU's grammar: the parser, -help and docs/command-line.md all come from it."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from varan.cli.builder import Builder, Configuration
from varan.cli.folds import boot, chardevs, devices, disks, machine, network, process
from varan.cli.folds.common import nothing, only, only_off, refuse
from varan.cli.option import Group, HelpRequested, Option, parse_arguments
from varan.cli.refused import REFUSED


def _fold_help(builder: Builder, value: str) -> None:
    raise HelpRequested(render_help(builder.program))


_GENERAL = (
    Option("help", None, Group.GENERAL, "Print this text.", _fold_help, aliases=("h", "?")),
    Option("version", None, Group.GENERAL, "Print the version.", process.fold_version),
    Option(
        "name",
        "[guest=]NAME[,process=NAME][,debug-threads=on|off]",
        Group.GENERAL,
        "The machine's name; the name of the process in process listings; whether vCPU threads get names there too.",
        process.fold_name,
        repeatable=True,
    ),
    Option("uuid", "UUID", Group.GENERAL, "The machine's UUID.", machine.fold_uuid),
    Option("S", None, Group.GENERAL, "Do not run the guest until a monitor says `cont`.", process.fold_stopped),
    Option(
        "no-reboot",
        None,
        Group.GENERAL,
        "End when the guest resets the machine. Short for -action reboot=shutdown.",
        process.fold_no_reboot,
    ),
    Option(
        "no-shutdown",
        None,
        Group.GENERAL,
        "Pause when the guest switches the machine off. Short for -action shutdown=pause.",
        process.fold_no_shutdown,
    ),
    Option(
        "action",
        "[reboot=reset|shutdown][,shutdown=poweroff|pause][,panic=pause|shutdown|exit-failure|none]"
        "[,watchdog=reset|shutdown|poweroff|inject-nmi|pause|debug|none]",
        Group.GENERAL,
        "What a reset, a shutdown or a panic of the guest, or a watchdog that it did not feed, leads to.",
        process.fold_action,
        repeatable=True,
    ),
    Option(
        "watchdog-action",
        "ACTION",
        Group.GENERAL,
        "Short for -action watchdog=ACTION.",
        process.fold_watchdog_action,
    ),
)

_MACHINE = (
    Option(
        "machine",
        "[type=]NAME[,accel=A[:B]...][,acpi=on|off][,hpet=on|off][,memory-backend=ID][,mem-merge=on|off]"
        "[,dump-guest-core=on|off]",
        Group.MACHINE,
        "The machine: `pc` or `none`; `help` lists them. `accel` names accelerators in order of preference. "
        "acpi=off leaves power management and its tables out, hpet=off the high-precision event timers. "
        "memory-backend takes the memory from that -object; with mem-merge=on the host may merge equal pages. With "
        "dump-guest-core=off a core dump of the process leaves the guest's memory out.",
        machine.fold_machine,
        aliases=("M",),
        repeatable=True,
    ),
    Option("no-acpi", None, Group.MACHINE, "Short for -machine acpi=off.", machine.fold_no_acpi),
    Option("no-hpet", None, Group.MACHINE, "Short for -machine hpet=off.", machine.fold_no_hpet),
    Option(
        "accel",
        "NAME[,option=value]...",
        Group.MACHINE,
        "Who runs the CPUs: `kvm` or `unicorn` (also called `tcg`); `help` lists what works here. Given several times, "
        "the first that works is taken. Without it, KVM where the host has hardware virtualization, else Unicorn.",
        machine.fold_accel,
        repeatable=True,
    ),
    Option("enable-kvm", None, Group.MACHINE, "Short for -machine accel=kvm.", machine.fold_enable_kvm),
    Option(
        "m",
        "[size=]SIZE",
        Group.MACHINE,
        "The guest's memory: a number of MiB, or a size with a suffix k, M, G, T. 128 MiB unless given.",
        machine.fold_memory,
    ),
    Option(
        "mem-path",
        "PATH",
        Group.MACHINE,
        "Take the guest's memory from a file: PATH, or one without a name in the folder PATH (huge pages).",
        machine.fold_mem_path,
    ),
    Option("mem-prealloc", None, Group.MACHINE, "Have the host give all of it at once.", machine.fold_mem_prealloc),
    Option(
        "smp",
        "[cpus=]N[,sockets=N][,cores=N][,threads=N][,maxcpus=N]",
        Group.MACHINE,
        "The number of CPUs and how they are arranged; what is left out follows from the rest.",
        machine.fold_smp,
    ),
    Option(
        "cpu",
        "MODEL[,+FEATURE][,-FEATURE][,FEATURE=on|off]...[,enforce]",
        Group.MACHINE,
        "The CPU model, and features that it shall have or not; `help` lists the models. A feature that is not to be "
        "had is warned about, or with `enforce` an error.",
        machine.fold_cpu,
    ),
    Option(
        "rtc",
        "[base=utc|localtime|DATE][,clock=host|rt|vm][,driftfix=none]",
        Group.MACHINE,
        "Where the real-time clock starts (DATE is like 2026-06-17 or 2026-06-17T16:01:21) and which clock drives it.",
        machine.fold_rtc,
        repeatable=True,
    ),
    Option(
        "global",
        "DRIVER.PROPERTY=VALUE",
        Group.MACHINE,
        "Another default for a setting of all devices of one driver, or of the drivers that derive from it.",
        machine.fold_global,
        repeatable=True,
    ),
    Option(
        "device",
        "DRIVER[,id=ID][,bus=BUS][,setting=value]...",
        Group.MACHINE,
        "A further device; `help` lists the drivers, and `DRIVER,help` a driver's settings. Also as a JSON object.",
        devices.fold_device,
        repeatable=True,
    ),
)

_OBJECTS = (
    Option(
        "object",
        "TYPE,id=ID[,setting=value]...",
        Group.MACHINE,
        "What devices, images and servers name: secrets, sources of random bytes... `help` lists the types, and "
        "`TYPE,help` a type's settings. Also as a JSON object.",
        devices.fold_object,
        repeatable=True,
    ),
)

_BOOT = (
    Option("kernel", "FILE", Group.BOOT, "A Linux kernel: bzImage or 64-bit ELF.", boot.fold_kernel),
    Option("initrd", "FILE", Group.BOOT, "The kernel's initial RAM disk.", boot.fold_initrd),
    Option("append", "TEXT", Group.BOOT, "The kernel's command line.", boot.fold_append),
    Option("bios", "FILE", Group.BOOT, "A firmware image; with -kernel it starts that kernel.", boot.fold_bios),
    Option("demo", None, Group.BOOT, "The built-in demonstration guest (Varan's own option).", boot.fold_demo),
    Option(
        "boot",
        "[order=LETTERS][,once=LETTERS][,menu=on|off][,strict=on|off][,splash-time=MS][,reboot-timeout=MS]",
        Group.BOOT,
        "What firmware (-bios) is told to boot from. Up to three LETTERS: a or b floppy disks, c hard disks, d optical "
        "drives, n the network; once= holds until the first reset. A device's bootindex= goes before these; with "
        "strict=on nothing else is tried. menu=on lets the user choose within splash-time milliseconds; firmware that "
        "has found nothing starts again after reboot-timeout milliseconds (-1: never).",
        boot.fold_boot,
        repeatable=True,
    ),
    Option(
        "fw_cfg",
        "[name=]NAME,file=FILE|string=TEXT",
        Group.BOOT,
        "A further file for firmware and guests (Linux: /sys/firmware/qemu_fw_cfg); NAME should start with opt/.",
        boot.fold_fw_cfg,
        repeatable=True,
    ),
)

_DISKS = (
    Option(
        "drive",
        "[file=FILE][,if=ide|virtio|floppy|none][,format=FORMAT][,id=ID][,index=N|,bus=N,unit=N][,media=disk|cdrom]"
        "[,readonly=on|off][,cache=MODE]"
        "[,discard=ignore|unmap][,detect-zeroes=on|off|unmap][,copy-on-read=on|off][,aio=KIND][,serial=TEXT]"
        "[,snapshot=on|off]"
        "[,rerror=ignore|report|stop][,werror=ignore|report|stop|enospc][,throttling.LIMIT=N][,throttling.group=NAME]"
        "[,stats-account-invalid=on|off][,stats-account-failed=on|off][,stats-intervals.0=SECONDS...][,option=value]...",
        Group.DISK,
        "A drive: the image FILE, and an IDE disk that shows it (with media=cdrom an optical drive, which may do "
        "without FILE), with if=virtio a virtio disk, with if=floppy a floppy disk drive; with if=none a -device "
        "uses it by ID. MODE is writeback (as without it), none, writethrough, directsync or unsafe. rerror and "
        "werror say what follows from failed reads and writes: the guest is told (report; as without rerror), it "
        "is not (ignore), or the machine stops until cont tries again (stop; enospc: only for want of space, as "
        "without werror). LIMIT is bps-total, bps-read, bps-write, iops-total, iops-read or iops-write, each also "
        "with -max and -max-length for bursts, or iops-size (short: bps, bps_rd, iops_wr_max...); drives with the "
        "same group share it. What query-blockstats tells: latencies of the last SECONDS (stats-intervals.1 for "
        "more), and with off idle times without regard to requests that are invalid or that failed, whose own time "
        "does not count then. Further options are those of the format and, as file.NAME, of what is below it; "
        "docs/block.md has them.",
        disks.fold_drive,
        repeatable=True,
    ),
    *(
        Option(
            f"hd{letter}",
            "FILE",
            Group.DISK,
            f"IDE disk {unit}: short for -drive index={unit},media=disk,file=FILE.",
            disks.fold_disk(unit),
        )
        for unit, letter in enumerate("abcd")
    ),
    Option(
        "cdrom",
        "FILE",
        Group.DISK,
        "Optical drive with the image FILE: short for -drive index=2,media=cdrom,file=FILE.",
        disks.fold_cdrom,
    ),
    *(
        Option(
            f"fd{letter}",
            "FILE",
            Group.DISK,
            f"Floppy disk drive {unit}: short for -drive if=floppy,index={unit},file=FILE.",
            disks.fold_floppy(unit),
        )
        for unit, letter in enumerate("ab")
    ),
    Option(
        "snapshot",
        None,
        Group.DISK,
        "What is written to drives goes to temporary files (in TMPDIR or /var/tmp), and is lost at the end unless "
        "`commit` moves it into the images. snapshot=on or off of a -drive goes first.",
        disks.fold_snapshot,
    ),
    Option(
        "blockdev",
        "[driver=]DRIVER,node-name=NAME[,option=value]...",
        Group.DISK,
        "A block node, for the drive=NAME of a device or for other nodes. Also as a JSON object.",
        disks.fold_blockdev,
        repeatable=True,
    ),
)

_DEVICE_FORMS = (
    "none, null, stdio, pty, file:PATH, pipe:PATH, unix:PATH[,server=on][,wait=off], tcp:HOST:PORT[,...], "
    "telnet:HOST:PORT[,...], or chardev:ID"
)

_CHARDEVS = (
    Option(
        "chardev",
        "BACKEND,id=ID[,mux=on|off][,option=value]...",
        Group.CHARDEV,
        "A character device; `help` lists the backends. With mux=on several users share it: Ctrl-A h shows the keys.",
        chardevs.fold_chardev,
        repeatable=True,
    ),
    Option(
        "serial",
        "DEVICE",
        Group.CHARDEV,
        f"Where the next of up to four serial ports leads. DEVICE: {_DEVICE_FORMS}. `mon:` before it shares it with a "
        "monitor.",
        chardevs.fold_serial,
        repeatable=True,
    ),
    Option(
        "monitor",
        "DEVICE",
        Group.CHARDEV,
        "A human monitor there; DEVICE as for -serial.",
        chardevs.fold_monitor,
        repeatable=True,
    ),
    Option(
        "qmp",
        "DEVICE",
        Group.CHARDEV,
        "A QMP monitor there; DEVICE as for -serial.",
        chardevs.fold_qmp,
        repeatable=True,
    ),
    Option(
        "qmp-pretty",
        "DEVICE",
        Group.CHARDEV,
        "Like -qmp, with replies laid out for reading.",
        chardevs.fold_qmp_pretty,
        repeatable=True,
    ),
    Option(
        "mon",
        "[chardev=]ID[,mode=readline|control][,pretty=on|off]",
        Group.CHARDEV,
        "A monitor on a character device: the human one, or QMP with mode=control.",
        chardevs.fold_mon,
        repeatable=True,
    ),
    Option(
        "debugcon",
        "DEVICE",
        Group.CHARDEV,
        "A debug console (an `isa-debugcon`, at port 0xe9 unless -global says otherwise); DEVICE as for -serial.",
        chardevs.fold_debugcon,
    ),
    Option("parallel", "none", Group.CHARDEV, "There are no parallel ports.", chardevs.fold_parallel),
)

_NETWORK = (
    Option(
        "netdev",
        "KIND,id=ID[,option=value]...",
        Group.NETWORK,
        "A network back end for an adapter to use (its netdev=ID): `user` needs no rights on the host, `tap` is an "
        "interface of the host, `socket`, `stream` and `dgram` lead to another machine, `hubport` to a hub. `help` "
        "lists them, docs/network.md has their options.",
        network.fold_netdev,
        repeatable=True,
    ),
    Option(
        "nic",
        "KIND[,model=virtio-net-pci][,mac=MAC][,option=value]...",
        Group.NETWORK,
        "A network adapter with a back end of its own, options as for -netdev; `none` for none, as without it.",
        network.fold_nic,
        repeatable=True,
    ),
    Option(
        "net",
        "nic[,model=MODEL][,macaddr=MAC] or KIND[,option=value]...",
        Group.NETWORK,
        "The older spelling: an adapter or a back end at hub 0; `none` for none, as without it.",
        network.fold_net,
        repeatable=True,
    ),
)

_DISPLAY = (
    Option(
        "nographic",
        None,
        Group.DISPLAY,
        "The first serial port and a monitor share this terminal, unless options lead them elsewhere.",
        process.fold_nographic,
    ),
    Option("display", "none", Group.DISPLAY, "No display; others are not supported yet.", only("none")),
    Option("vga", "none", Group.DISPLAY, "No display adapter; others are not supported yet.", only("none")),
)

_PROCESS = (
    Option(
        "nodefaults",
        None,
        Group.PROCESS,
        "No serial port, monitor, CD-ROM drive or floppy drive beside those that options ask for.",
        process.fold_nodefaults,
    ),
    Option(
        "daemonize",
        None,
        Group.PROCESS,
        "Run in the background: the command returns when sockets and the pid file exist.",
        process.fold_daemonize,
    ),
    Option("pidfile", "FILE", Group.PROCESS, "Write the process's number there.", process.fold_pidfile),
    Option(
        "add-fd",
        "fd=FD,set=SET[,opaque=TEXT]",
        Group.PROCESS,
        "Put an inherited file descriptor into a set; /dev/fdset/SET as a file name means it.",
        process.fold_add_fd,
        repeatable=True,
    ),
    Option(
        "msg",
        "[timestamp=on|off][,guest-name=on|off]",
        Group.PROCESS,
        "Messages begin with the time, with the machine's name.",
        process.fold_msg,
        repeatable=True,
    ),
    Option("d", "ITEM[,ITEM]...", Group.PROCESS, "Log these subjects; `help` lists them.", process.fold_log_items),
    Option("D", "FILE", Group.PROCESS, "Log there instead of to the terminal.", process.fold_log_file),
)

_ABSENT = (
    Option("no-user-config", None, Group.ABSENT, "Configuration files are never read.", nothing),
    Option(
        "overcommit",
        "[mem-lock=off][,cpu-pm=off]",
        Group.ABSENT,
        "Memory is not locked, the guest does not manage the host CPU's power.",
        only_off("mem-lock", "cpu-pm"),
    ),
    Option("sandbox", "off", Group.ABSENT, "System calls are not filtered.", only("off")),
)

_REFUSED = tuple(
    Option(name, argument, Group.REFUSED, f"There are no {what} yet.", refuse(what)) for name, argument, what in REFUSED
)

OPTIONS: tuple[Option, ...] = (
    *_GENERAL,
    *_MACHINE,
    *_OBJECTS,
    *_BOOT,
    *_DISKS,
    *_CHARDEVS,
    *_NETWORK,
    *_DISPLAY,
    *_PROCESS,
    *_ABSENT,
    *_REFUSED,
)


def parse_command_line(arguments: Sequence[str], program: str) -> Configuration:
    """What a command line in QEMU's grammar asks for.

    Raises UsageError for a bad one, and HelpRequested when it asks for a list.
    """
    builder = Builder(program)
    for occurrence in parse_arguments(arguments, OPTIONS):
        occurrence.apply(builder)
    disks.add_default_drives(builder)
    return builder.finish()


def render_help(program: str) -> str:
    """What -help prints: the options by group."""
    lines = [f"usage: {program} [options]"]
    for group in Group:
        members = [option for option in OPTIONS if option.group is group]
        lines += ["", f"{group.value}:"]
        if group is Group.REFUSED:
            lines += textwrap.wrap(
                " ".join(f"-{option.name}" for option in members),
                78,
                initial_indent="  ",
                subsequent_indent="  ",
                break_on_hyphens=False,
            )
            continue
        for option in members:
            also = "".join(f", -{alias}" for alias in option.aliases)
            lines.append(f"  {option.synopsis}{also}")
            lines += textwrap.wrap(option.help, 78, initial_indent=" " * 8, subsequent_indent=" " * 8)
    return "\n".join(lines)
