"""Whole command lines as tools and people write them."""

from __future__ import annotations

import shlex
import uuid

from varan.api.values import ShutdownAction
from varan.cli.builder import Configuration
from varan.cli.options import parse_command_line
from varan.cli.process import ProcessSpec
from varan.machine.spec import (
    MIB,
    BootSpec,
    ChardevSpec,
    DeviceSpec,
    DriveSpec,
    MachineSpec,
    MonitorMode,
    MonitorSpec,
    Topology,
)


def configuration(line: str) -> Configuration:
    return parse_command_line(shlex.split(line), "varan-system-x86_64")


def test_linux_on_the_terminal() -> None:
    line = (
        "-m 256 -kernel vmlinuz -initrd initrd.img -append 'console=ttyS0 quiet' -nographic "
        "-qmp unix:vm.sock,server=on,wait=off"
    )
    assert configuration(line) == Configuration(
        MachineSpec(
            memory=256 * MIB,
            topology=Topology(),
            boot=BootSpec(kernel="vmlinuz", initrd="initrd.img", append="console=ttyS0 quiet"),
            chardevs=(
                ChardevSpec("compat_monitor0", "socket", {"path": "vm.sock", "server": "on", "wait": "off"}),
                ChardevSpec("serial0", "stdio"),
            ),
            serials=("serial0",),
            monitors=(MonitorSpec("compat_monitor0", MonitorMode.CONTROL, id="compat_monitor0"),),
            drives=(DriveSpec("ide1-cd0", None, retained={"read-only": True}), DriveSpec("floppy0", None)),
            devices=(
                DeviceSpec("ide-cd", bus="ide.1", settings={"drive": "ide1-cd0", "unit": "0"}, on_board=True),
                DeviceSpec("floppy", settings={"unit": "0", "drive": "floppy0"}, on_board=True),
            ),
        ),
        ProcessSpec(),
    )


def test_management_daemon_with_an_inherited_socket() -> None:
    line = (
        "-name guest=web,debug-threads=on -S -machine pc,usb=off,dump-guest-core=off -accel kvm -cpu host "
        "-m size=262144k -overcommit mem-lock=off -smp 2,sockets=2,cores=1,threads=1 "
        "-uuid c7a5fdbd-edaf-9455-926a-d65c16db1809 -display none -no-user-config -nodefaults "
        "-chardev socket,id=charmonitor,fd=22,server=on,wait=off -mon chardev=charmonitor,id=monitor,mode=control "
        "-rtc base=utc,driftfix=none -no-shutdown -boot strict=on "
        "-chardev pty,id=charserial0 -serial chardev:charserial0 -msg timestamp=on"
    )
    spec = configuration(line)
    machine, process = spec.machine, spec.process
    assert machine.name == "web"
    assert machine.uuid == uuid.UUID("c7a5fdbd-edaf-9455-926a-d65c16db1809")
    assert (machine.memory, machine.cpus, machine.topology) == (256 * MIB, 2, Topology(2, 1, 1))
    assert machine.chardevs == (
        ChardevSpec("charmonitor", "socket", {"fd": "22", "server": "on", "wait": "off"}),
        ChardevSpec("charserial0", "pty"),
    )
    assert machine.monitors == (MonitorSpec("charmonitor", MonitorMode.CONTROL, id="monitor"),)
    assert machine.serials == ("charserial0",)
    assert (machine.accelerators, machine.cpu_model) == ((("kvm", {}),), "host")
    assert (machine.actions.shutdown, machine.autostart) == (ShutdownAction.PAUSE, False)
    assert process == ProcessSpec(
        timestamps=True, announce_accelerator=False, name_threads=True, dump_guest_memory=False
    )


def test_capability_probe_of_a_machine_without_anything() -> None:
    line = "-S -no-user-config -nodefaults -nographic -machine none,accel=kvm:tcg -qmp unix:probe,server -pidfile p"
    spec = configuration(line)
    assert spec.machine.machine == "none"
    assert [chardev.id for chardev in spec.machine.chardevs] == ["compat_monitor0"]
    assert spec.machine.serials == ()
    assert spec.process.pidfile == "p"


def test_console_and_monitor_by_hand() -> None:
    line = "-display none -chardev stdio,mux=on,id=c,signal=off -serial chardev:c -mon chardev=c,mode=readline"
    machine = configuration(line).machine
    assert machine.chardevs == (ChardevSpec("c", "stdio", {"signal": "off"}, mux=True),)
    assert (machine.serials, machine.monitors) == (("c",), (MonitorSpec("c"),))
