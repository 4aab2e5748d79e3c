"""Handlers of schema/misc.json."""

from __future__ import annotations

from varan.api.values import CommandLineOptionInfo, IOThreadInfo
from varan.commands.machine import find_vcpu
from varan.commands.registry import handler
from varan.devices.backends.iothread import IoThread
from varan.errors import GenericError
from varan.machine.machine import Machine


@handler("human-monitor-command")
async def human_monitor_command(machine: Machine, command_line: str, cpu_index: int | None = None) -> str:
    """Lines end as a terminal wants them: carriage return, newline."""
    # Most machines never see a human: its parser and tables are not loaded with the other handlers.
    from varan.commands.hmp.session import HmpSession

    if cpu_index is not None:
        find_vcpu(machine, cpu_index)
    text = await HmpSession(machine, cpu_index or 0).execute(command_line)
    return text.replace("\n", "\r\n")


@handler("query-command-line-options")
async def query_command_line_options(machine: Machine, option: str | None = None) -> list[CommandLineOptionInfo]:
    """As whoever read the command line describes it."""
    described = machine.command_line()
    if option is None:
        return described
    found = [one for one in described if one.option == option]
    if not found:
        raise GenericError(f"invalid option name: {option}")
    return found


@handler("query-iothreads")
async def query_iothreads(machine: Machine) -> list[IOThreadInfo]:
    """In the order in which they were made."""
    threads = [found for found in machine.tree.objects.children.values() if isinstance(found, IoThread)]
    return [
        IOThreadInfo(
            id=thread.name,
            thread_id=thread.thread_id,
            poll_max_ns=thread.settings["poll-max-ns"],
            poll_grow=thread.settings["poll-grow"],
            poll_shrink=thread.settings["poll-shrink"],
            aio_max_batch=thread.settings["aio-max-batch"],
        )
        for thread in threads
    ]
