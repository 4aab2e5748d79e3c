"""Help, and what concerns the monitor itself."""

from __future__ import annotations

from collections.abc import Iterable

from varan.api.values import WatchdogAction
from varan.commands import control, run_state
from varan.commands.hmp.errors import HmpError
from varan.commands.hmp.expression import wrap
from varan.commands.hmp.format import Format, character
from varan.commands.hmp.registry import INFO, HmpCommand, command, registry
from varan.commands.hmp.session import HmpSession
from varan.commands.machine import find_vcpu


@command("help", "command:rest?", help="list the commands, or explain one", aliases=("?",))
async def help(session: HmpSession, command: str = "") -> str:
    """All commands, one, or those under `info`."""
    known = registry()
    words = command.split()
    if not words:
        return _list([entry for entry in _entries(known.top.values()) if entry.name != INFO]) + _list([known.top[INFO]])
    if words == [INFO]:
        return _list(_entries(known.info.values()))
    entry = known.info.get(words[1]) if words[0] == INFO and len(words) == 2 else known.top.get(command.strip())
    if entry is None:
        raise HmpError(f"there is no command '{command.strip()}'")
    return _list([entry])


def _entries(commands: Iterable[HmpCommand]) -> list[HmpCommand]:
    """Each command once, by name."""
    return sorted(set(commands), key=lambda entry: entry.name)


def _list(entries: list[HmpCommand]) -> str:
    return "".join(f"{entry.usage()} -- {entry.help}\n" for entry in entries)


@command("info", "subject:string?", help="show something about the machine; without a subject, list the subjects")
async def info(session: HmpSession, subject: str = "") -> str:
    """Reached without a subject only: the session sends `info SUBJECT` to the subject's own command."""
    return _list(_entries(registry().info.values()))


@command(
    "print",
    "/format value:integer",
    help="show the value of an expression; of the format only the notation (x d u o c) counts",
    aliases=("p",),
)
async def print_value(session: HmpSession, value: int, format: Format | None = None) -> str:
    """A 64-bit value without padding."""
    unsigned = value & (1 << 64) - 1
    match format.notation if format else None:
        case "d":
            return f"{wrap(value)}\n"
        case "u":
            return f"{unsigned}\n"
        case "o":
            return f"0{unsigned:o}\n"
        case "c":
            return f"{character(unsigned & 0xFF)}\n"
        case _:
            return f"{unsigned:#x}\n"


@command("cpu", "index:integer", help="choose the CPU that later commands of this session mean")
async def cpu(session: HmpSession, index: int) -> str:
    """The choice lasts as long as the session."""
    find_vcpu(session.machine, index, "index")
    session.cpu_index = index
    return ""


@command("quit", help="end the machine", aliases=("q",))
async def quit(session: HmpSession) -> str:
    """As the QMP command."""
    await control.quit(session.machine)
    return ""


@command("stop", help="pause the guest", aliases=("s",))
async def stop(session: HmpSession) -> str:
    """As the QMP command."""
    await run_state.stop(session.machine)
    return ""


@command("cont", help="let the guest run", aliases=("c",))
async def cont(session: HmpSession) -> str:
    """As the QMP command."""
    await run_state.cont(session.machine)
    return ""


@command("system_reset", help="press the reset button")
async def system_reset(session: HmpSession) -> str:
    """As the QMP command."""
    await run_state.system_reset(session.machine)
    return ""


@command("system_powerdown", help="press the power button")
async def system_powerdown(session: HmpSession) -> str:
    """As the QMP command."""
    await run_state.system_powerdown(session.machine)
    return ""


@command("system_wakeup", help="wake a guest that sleeps")
async def system_wakeup(session: HmpSession) -> str:
    """As the QMP command."""
    await run_state.system_wakeup(session.machine)
    return ""


@command("watchdog_action", "action:string", help="choose what a watchdog that runs out leads to")
async def watchdog_action(session: HmpSession, action: str) -> str:
    """As the QMP command."""
    known = [known.value for known in WatchdogAction]
    if action not in known:
        raise HmpError(f"there is no action '{action[:80]}'; known are {', '.join(known)}")
    await run_state.watchdog_set_action(session.machine, WatchdogAction(action))
    return ""
