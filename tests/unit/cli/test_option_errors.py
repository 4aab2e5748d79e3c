"""Command lines that cannot be understood: one line each, that says where and what."""

from __future__ import annotations

import shlex

import pytest

from varan.chardev import registry
from varan.cli.logs import ITEMS
from varan.cli.option import UsageError
from varan.cli.options import parse_command_line
from varan.cli.system import main

ERRORS = {
    "-foo": "-foo: invalid option",
    "--foo": "--foo: invalid option",
    "-m=256": "-m=256: invalid option",
    "-": "-: a disk image as an argument is not supported yet",
    "disk.img": "disk.img: a disk image as an argument is not supported yet",
    "-m": "-m: requires an argument",
    "-uuid x": "-uuid x: not a UUID; one looks like 550e8400-e29b-41d4-a716-446655440000",
    "-name a,b=c": "-name a,b=c: invalid parameter 'b' (column 3)",
    "-m lots": "-m lots: parameter 'size' expects a size such as 256M or 1.5G, below 2^64, not 'lots'",
    "-m 0": "-m 0: too little memory: a machine needs at least 1 MiB",
    "-m 512k": "-m 512k: too little memory: a machine needs at least 1 MiB",
    "-m 1G,slots=2": "-m 1G,slots=2: 'slots' is not supported yet: memory cannot be plugged into a running machine "
    "(column 10)",
    "-m 1G,maxmem=2G": "-m 1G,maxmem=2G: 'maxmem' is not supported yet: memory cannot be plugged into a running "
    "machine (column 11)",
    "-smp 0": "-smp 0: parameter 'cpus' must be greater than zero",
    "-smp cpus=two": "-smp cpus=two: parameter 'cpus' expects a number, not 'two' (column 6)",
    "-smp 4,sockets=3": "-smp 4,sockets=3: invalid CPU topology: sockets (3) * cores (1) * threads (1) is not the "
    "number of CPUs (4)",
    "-smp 2,maxcpus=1": "-smp 2,maxcpus=1: invalid CPU topology: maxcpus (1) is less than the number of CPUs (2)",
    "-smp 2,maxcpus=4": "-smp 2,maxcpus=4: maxcpus above the number of CPUs is not supported yet: CPUs cannot be "
    "plugged in later",
    "-smp 300": "-smp 300: 300 CPUs are too many; a machine has up to 255",
    "-smp 4,dies=2": "-smp 4,dies=2: the machine has no dies",
    "-cpu max,+sse4": "-cpu max,+sse4: Property 'max-x86_64-cpu.sse4' not found",
    "-cpu max,sse4=off": "-cpu max,sse4=off: Property 'max-x86_64-cpu.sse4' not found",
    "-M q36": "-M q36: unsupported machine type 'q36'; known are pc-i440fx-7.0, pc, none",
    "-machine pc,usb=on": "-machine pc,usb=on: usb=on is not supported yet",
    "-machine accel=xen": "-machine accel=xen: invalid accelerator xen; known are kvm, unicorn",
    "-accel zz": "-accel zz: invalid accelerator zz; known are kvm, unicorn",
    "-accel kvm -machine accel=tcg": 'The -accel and "-machine accel=" options are incompatible',
    "-accel kvm -enable-kvm": 'The -accel and "-machine accel=" options are incompatible',
    "-append x": "-append only allowed with -kernel option",
    "-demo -append x": "-append only allowed with -kernel option",
    "-initrd x": "-initrd only allowed with -kernel option",
    "-demo -bios b": "-demo and -bios cannot be used together",
    "-kernel k -demo": "-kernel and -demo cannot be used together",
    "-M none -kernel k": "-kernel is not supported by the machine 'none', which has no CPU",
    "-chardev floppy,id=a": "-chardev floppy,id=a: 'floppy' is not a valid char driver name; known are "
    + ", ".join(registry.kinds()),
    "-chardev null": "-chardev null: parameter 'id' is missing",
    "-chardev null,id=": "-chardev null,id=: parameter 'id' is missing",
    "-chardev null,id=a,mux=maybe": "-chardev null,id=a,mux=maybe: parameter 'mux' expects 'on' or 'off', not 'maybe' "
    "(column 15)",
    "-chardev null,id=a -chardev null,id=a": "-chardev null,id=a: duplicate ID 'a' for chardev",
    "-chardev null,id=serial0 -serial null": "-serial null: duplicate ID 'serial0' for chardev",
    "-serial vc": "-serial vc: 'vc': there are no displays yet to show it on; use stdio, pty or unix:PATH,server=on",
    "-serial null -serial null -serial null -serial null -serial null": "-serial null: too many serial ports: a "
    "machine has 4",
    "-serial chardev:x": '-serial chardev:x: chardev "x" not found',
    "-mon chardev=x": '-mon chardev=x: chardev "x" not found',
    "-mon mode=control": "-mon mode=control: parameter 'chardev' is missing",
    "-mon x,mode=web": "-mon x,mode=web: parameter 'mode' expects one of readline, control, not 'web' (column 8)",
    "-mon x,pretty=on": "-mon x,pretty=on: pretty=on goes with mode=control only",
    "-chardev null,id=c -serial chardev:c -mon c": "chardev 'c' has 2 users; give it mux=on to let them share it",
    "-serial stdio -monitor stdio": "cannot use stdio by multiple character devices",
    "-debugcon null -debugcon null": "-debugcon null: there is only one debug console",
    "-parallel stdio": "-parallel stdio: not supported yet: there are no parallel ports",
    "-display gtk": "-display gtk: 'gtk' is not supported yet; only none is",
    "-vga std": "-vga std: 'std' is not supported yet; only none is",
    "-net pigeon": "-net pigeon: parameter 'type' expects one of dgram, hubport, socket, stream, tap, user, "
    "not 'pigeon'",
    "-overcommit mem-lock=on": "-overcommit mem-lock=on: mem-lock=on is not supported yet",
    "-sandbox on": "-sandbox on: 'on' is not supported yet; only off is",
    "-mem-path a -machine memory-backend=r": "'-mem-path' can't be used together with '-machine memory-backend'",
    "-mem-path ''": "-mem-path : PATH is empty",
    "-boot cc": "-boot cc: Boot device 'c' was given twice",
    "-boot order=zz": "-boot order=zz: Invalid boot device 'z'",
    "-boot e": "-boot e: Invalid boot device for PC: 'e'",
    "-boot once=abcd": "-boot once=abcd: Too many boot devices for PC",
    "-boot menu=maybe": "-boot menu=maybe: parameter 'menu' expects 'on' or 'off', not 'maybe' (column 6)",
    "-boot splash-time=99999": (
        "-boot splash-time=99999: splash-time is invalid, it should be a value between 0 and 65535"
    ),
    "-boot reboot-timeout=-2": (
        "-boot reboot-timeout=-2: reboot-timeout is invalid, it should be a value between -1 and 65535"
    ),
    "-boot splash=a.bmp": (
        "-boot splash=a.bmp: 'splash' is not supported yet: the machine has no display to show it on (column 8)"
    ),
    "-fw_cfg opt/x": "-fw_cfg opt/x: name, plus exactly one of file and string, are needed",
    "-fw_cfg string=x": "-fw_cfg string=x: name, plus exactly one of file and string, are needed",
    "-fw_cfg opt/x,file=/nowhere": "-fw_cfg opt/x,file=/nowhere: can't load /nowhere: No such file or directory",
    "-fw_cfg opt/x,string=1 -fw_cfg opt/x,string=2": "-fw_cfg opt/x,string=2: duplicate fw_cfg file name: opt/x",
    f"-fw_cfg {'n' * 56},string=1": f"-fw_cfg {'n' * 56},string=1: name too long (max. 55 char)",
    "-fw_cfg o,gen_id=s": "-fw_cfg o,gen_id=s: 'gen_id' is not supported yet: no object makes such a file (column 10)",
    "-drive if=floppy,index=2": "-drive if=floppy,index=2: machine type does not support if=floppy,bus=0,unit=2",
    "-drive if=floppy,unit=2": "-drive if=floppy,unit=2: machine type does not support if=floppy,bus=0,unit=2",
    "-fda a -fda b": "-fda b: drive with bus=0, unit=0 (index=0) exists",
    "-drive index=4": "-drive index=4: machine type does not support if=ide,bus=2,unit=0",
    "-drive unit=2": "-drive unit=2: unit 2 too big (max is 1)",
    "-drive bus=1,index=1": "-drive bus=1,index=1: index cannot be used with bus and unit",
    "-hdc a -cdrom b": "-cdrom b: drive with bus=1, unit=0 (index=2) exists",
    "-drive if=scsi": "-drive if=scsi: if=scsi is not supported yet: there are no SCSI controllers; if=virtio makes a "
    "virtio disk",
    "-drive if=usb": "-drive if=usb: parameter 'if' expects one of none, virtio, ide, scsi, floppy, sd, mtd, pflash, "
    "xen, not 'usb' (column 4)",
    "-drive if=virtio,index=1,file=a -drive if=virtio,index=1,file=b": "-drive if=virtio,index=1,file=b: drive with "
    "bus=0, unit=1 (index=1) exists",
    "-drive if=none,id=9x": "-drive if=none,id=9x: Parameter 'id' expects an identifier (letters, digits, '-', "
    "'.', '_', a letter first), not '9x'",
    "-drive if=none,rerror=enospc": "-drive if=none,rerror=enospc: 'enospc' invalid read error action",
    "-drive if=none,stats-intervals.0=0": "-drive if=none,stats-intervals.0=0: Invalid interval length: 0",
    "-drive if=none,stats-intervals.0=4294967296": (
        "-drive if=none,stats-intervals.0=4294967296: Invalid interval length: 4294967296"
    ),
    "-drive if=virtio,werror=auto": "-drive if=virtio,werror=auto: 'auto' invalid write error action",
    "-drive if=none,file=a,aio=native": "-drive if=none,file=a,aio=native: aio=native was specified, but it requires "
    "cache.direct=on, which was not specified.",
    "-drive if=none,file=a,file.filename=b": "-drive if=none,file=a,file.filename=b: Can't specify 'file' and "
    "'filename' options at the same time",
    "-drive if=none,file=a,copy-on-read=on,readonly=on": "-drive if=none,file=a,copy-on-read=on,readonly=on: "
    "copy-on-read=on and readonly=on contradict each other: what is read would have to be written",
    "-drive if=floppy,werror=stop": "-drive if=floppy,werror=stop: werror is not supported by this bus type",
    "-drive if=none,id=d -drive if=none,id=d": "-drive if=none,id=d: Duplicate ID 'd' for drive",
    "-drive if=none,readonly=on,read-only=on": "-drive if=none,readonly=on,read-only=on: 'read-only' and its alias "
    "'readonly' can't be used at the same time",
    "-drive if=none,driver=raw,format=raw": "-drive if=none,driver=raw,format=raw: Cannot specify both 'driver' and "
    "'format'",
    "-drive if=none,bps=5,throttling.bps-total=5": "-drive if=none,bps=5,throttling.bps-total=5: "
    "'throttling.bps-total' and its alias 'bps' can't be used at the same time",
    "-drive if=none,iops_rd_max=x": "-drive if=none,iops_rd_max=x: parameter 'iops_rd_max' expects a number, not 'x' "
    "(column 21)",
    "-blockdev node-name=n": "-blockdev node-name=n: Parameter 'driver' is missing",
    "-object id=a": "-object id=a: Parameter 'qom-type' is missing",
    "-object secret": "-object secret: Parameter 'id' is missing",
    "-device id=a": "-device id=a: Parameter 'driver' is missing",
    "-device ib700,id=a -device ib700,id=a": "-device ib700,id=a: Duplicate device ID 'a'",
    "-device {]": "-device {]: JSON parse error, Expecting property name enclosed in double quotes: line 1 column 2 "
    "(char 1)",
    "-action panic=run": "-action panic=run: parameter 'panic' expects one of pause, shutdown, exit-failure, none, "
    "not 'run' (column 7)",
    "-rtc base=noon": "-rtc base=noon: 'noon' is neither utc nor localtime nor a date like 2026-06-17T16:01:21 or "
    "2026-06-17",
    "-rtc clock=sun": "-rtc clock=sun: parameter 'clock' expects one of host, rt, vm, not 'sun' (column 7)",
    "-rtc driftfix=slew": "-rtc driftfix=slew: driftfix=slew is not supported yet",
    "-global a": "-global a: expected DRIVER.PROPERTY=VALUE",
    "-global driver=a,property=b": "-global driver=a,property=b: parameter 'value' is missing",
    "-add-fd fd=2,set=1": "-add-fd fd=2,set=1: fd cannot be a standard I/O stream",
    "-add-fd set=1": "-add-fd set=1: parameter 'fd' is missing",
    "-add-fd fd=5": "-add-fd fd=5: parameter 'set' is missing",
    "-add-fd fd=5,set=1 -add-fd fd=5,set=2": "-add-fd fd=5,set=2: fd is already in use",
    "-kernel /dev/fdset/9": "could not open '/dev/fdset/9': no -add-fd put a descriptor into set 9",
    "-msg colour=on": "-msg colour=on: invalid parameter 'colour'",
    "-d disk": "-d disk: unknown log item 'disk'; known are " + ", ".join(ITEMS),
    "-nographic -daemonize": "-nographic cannot be used with -daemonize",
    "-serial stdio -daemonize": "chardev 'serial0': stdio cannot be used with -daemonize",
}


@pytest.mark.parametrize(("line", "message"), ERRORS.items())
def test_error_is_one_line_that_quotes_the_option(line: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_command_line(shlex.split(line), "varan-system-x86_64")
    assert str(caught.value) == message


def test_program_prints_the_line_and_returns_1(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["-foo"]) == 1
    streams = capsys.readouterr()
    assert (streams.out, streams.err) == ("", "varan-system-x86_64: -foo: invalid option\n")


def test_help_and_version_go_to_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["-version"]) == 0
    assert capsys.readouterr().out.startswith("Varan version ")
    assert main(["-h"]) == 0
    assert capsys.readouterr().out.startswith("usage: varan-system-x86_64 [options]\n")


@pytest.mark.parametrize("line", ["-foo\nbar", "-m '1\n2'", "-name 'x\n,y=1'"])
def test_newlines_in_arguments_stay_on_one_line(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(shlex.split(line)) == 1
    assert capsys.readouterr().err.count("\n") == 1
