"""What the command line says about the process rather than the machine."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class InheritedFd:
    """`-add-fd`: a descriptor the process was started with, as a member of descriptor set `set`."""

    fd: int
    set: int
    opaque: str | None = None


@dataclass(frozen=True, slots=True)
class ProcessSpec:
    """How the process behaves that runs one machine."""

    daemonize: bool = False
    """Leave the terminal; the parent returns when the machine is reachable."""
    pidfile: str | None = None
    log_items: tuple[str, ...] = ()
    """Subjects to log in detail; see `varan.cli.logs.ITEMS`."""
    log_file: str | None = None
    """Where the log goes instead of the standard error output."""
    timestamps: bool = False
    """Messages and log lines begin with the time."""
    label: str | None = None
    """A name that messages and log lines carry."""
    announce_accelerator: bool = True
    """Say which accelerator was chosen and why; off when the user chose one."""
    title: str | None = None
    """The process's name, as process listings show it."""
    name_threads: bool = False
    """Name the vCPU threads, as thread listings show them."""
    dump_guest_memory: bool = True
    """Whether a core dump of the process holds the guest's memory."""
    inherited_fds: tuple[InheritedFd, ...] = ()
