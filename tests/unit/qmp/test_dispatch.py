"""From requests to handlers and back."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import msgspec
import pytest
from tests.support.qmp_service import VERSION, FakeMachine

from varan.api.commands import COMMANDS, CommandInfo
from varan.errors import CommandNotFound
from varan.qmp.dispatch import Dispatcher, Handler, Rest
from varan.qmp.profile import Profile
from varan.qmp.session import Session


async def outcome(
    dispatcher: Dispatcher, name: str, arguments: Any = None, raw: bytes | None = None
) -> tuple[Any, bool]:
    """The reply's value, and whether the command had to wait."""
    session = Session(VERSION)
    session.negotiate()
    text = raw if raw is not None else msgspec.json.encode(arguments)
    session.receive(
        b'{"execute": "' + name.encode() + b'"' + (b', "arguments": ' + text if text != b"null" else b"") + b"}"
    )
    request = session.next_request()
    assert request is not None
    result = dispatcher.begin(session, request)
    waited = not isinstance(result, bytes)
    data = await _finish(result)
    return msgspec.json.decode(data) if data else None, waited


async def _finish(result: bytes | Rest) -> bytes:
    return result if isinstance(result, bytes) else await result


async def error(dispatcher: Dispatcher, name: str, arguments: Any = None, raw: bytes | None = None) -> tuple[str, str]:
    reply, _ = await outcome(dispatcher, name, arguments, raw)
    return reply["error"]["class"], reply["error"]["desc"]


def dispatcher(**options: Any) -> Dispatcher:
    return Dispatcher(FakeMachine().handlers, **options)


async def test_command_that_needs_not_wait_is_answered_at_once() -> None:
    reply, waited = await outcome(dispatcher(), "query-status")
    assert reply == {"return": {"running": True, "singlestep": False, "status": "running"}}
    assert not waited


async def test_command_that_waits_is_answered_from_a_task() -> None:
    assert await outcome(dispatcher(), "cont") == ({"return": {}}, True)


async def test_waiting_handler_gets_results_and_exceptions_of_what_it_awaits() -> None:
    async def handler() -> Any:
        assert await asyncio.sleep(0, "slept") == "slept"
        future = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_soon(future.set_exception, KeyError("inner"))
        try:
            await future
        except KeyError as caught:
            return [{"name": str(caught)}]

    table = {"query-chardev-backends": handler}
    assert await outcome(Dispatcher(table), "query-chardev-backends") == ({"return": [{"name": "'inner'"}]}, True)


async def test_absent_optional_arguments_are_left_out() -> None:
    machine = FakeMachine()
    machine.release.set()
    await outcome(Dispatcher(machine.handlers), "memsave", {"val": 1, "size": 2, "filename": "x"})
    await outcome(Dispatcher(machine.handlers), "memsave", {"val": 1, "size": 2, "filename": "x", "cpu-index": 3})
    given = {"val": 1, "size": 2, "filename": "x"}
    assert machine.calls == [("memsave", given), ("memsave", {**given, "cpu_index": 3})]


GOOD = {"val": 1, "size": 2, "filename": "x"}


@pytest.mark.parametrize(
    ("name", "arguments", "desc"),
    [
        ("pmemsave", None, "Parameter 'val' is missing"),
        ("pmemsave", {"size": 1, "filename": "x"}, "Parameter 'val' is missing"),
        ("pmemsave", {**GOOD, "val": "1"}, "Invalid parameter type for 'val', expected: integer"),
        ("pmemsave", {**GOOD, "val": 1.5}, "Invalid parameter type for 'val', expected: integer"),
        ("pmemsave", {**GOOD, "val": True}, "Invalid parameter type for 'val', expected: integer"),
        ("pmemsave", {**GOOD, "val": 1 << 63}, "Invalid parameter type for 'val', expected: integer"),
        ("pmemsave", {**GOOD, "filename": 1}, "Invalid parameter type for 'filename', expected: string"),
        ("pmemsave", {**GOOD, "bogus": 1}, "Parameter 'bogus' is unexpected"),
        ("memsave", {**GOOD, "cpu-index": None}, "Invalid parameter type for 'cpu-index', expected: integer"),
        ("memsave", {**GOOD, "cpu_index": 1}, "Parameter 'cpu_index' is unexpected"),
        ("query-status", {"x": 1}, "Parameter 'x' is unexpected"),
    ],
)
async def test_bad_arguments_are_named(name: str, arguments: Any, desc: str) -> None:
    assert await error(dispatcher(), name, arguments) == ("GenericError", desc)


async def test_bad_arguments_of_protocol_1_1_have_their_class() -> None:
    profile = Profile.named("1.1")
    session = Session(VERSION, profile=profile)
    session.negotiate()
    session.receive(b'{"execute": "pmemsave", "arguments": {"val": 1, "size": "x"}}')
    request = session.next_request()
    assert request is not None
    reply = await _finish(Dispatcher(FakeMachine().handlers, profile=profile).begin(session, request))
    assert msgspec.json.decode(reply)["error"] == {
        "class": "InvalidParameterType",
        "data": {"name": "size", "expected": "integer"},
        "desc": "Invalid parameter type for 'size', expected: integer",
    }


async def test_empty_arguments_of_a_command_without_any_are_taken() -> None:
    assert (await outcome(dispatcher(), "query-name", {}))[0] == {"return": {"name": "small"}}


async def test_negotiation_with_an_unknown_capability() -> None:
    session = Session(VERSION)
    session.receive(b'{"execute": "qmp_capabilities", "arguments": {"enable": ["warp"]}}')
    request = session.next_request()
    assert request is not None
    reply = await _finish(dispatcher().begin(session, request))
    assert b"Parameter 'null' does not accept value 'warp'" in reply
    assert not session.oob_enabled


async def test_error_of_a_handler_is_answered_with_its_class() -> None:
    assert await error(dispatcher(), "pmemsave", GOOD) == ("DeviceNotFound", "Device 'ram' not found")


async def test_fault_of_a_handler_is_a_generic_error_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    kind, text = await error(dispatcher(), "inject-nmi")
    assert kind == "GenericError"
    assert "a fault in the handler" in text
    assert "inject-nmi" in caplog.text and "ZeroDivisionError" in caplog.text


@pytest.mark.parametrize("result", [object(), "\ud800"], ids=["object", "half a character"])
async def test_result_without_json_form_is_a_generic_error(result: Any, caplog: pytest.LogCaptureFixture) -> None:
    async def handler(**_: Any) -> Any:
        return result

    # Half a character in the captured log could not be sent between processes that share a test run.
    with caplog.at_level(logging.CRITICAL, "varan.qmp.dispatch"):
        kind, text = await error(Dispatcher({"query-name": handler}), "query-name")
    assert kind == "GenericError" and "query-name" in text


async def test_query_commands_lists_what_there_is() -> None:
    machine = FakeMachine()
    reply, _ = await outcome(Dispatcher(machine.handlers), "query-commands")
    names = {entry["name"] for entry in reply["return"]}
    assert names == {*machine.handlers, "qmp_capabilities", "query-commands", "query-qmp-schema"}


async def test_query_qmp_schema_describes_exactly_the_commands_there_are() -> None:
    machine = FakeMachine()
    reply, _ = await outcome(Dispatcher(machine.handlers), "query-qmp-schema")
    described = {entry["name"] for entry in reply["return"] if entry["meta-type"] == "command"}
    assert described == {*machine.handlers, "qmp_capabilities", "query-commands", "query-qmp-schema"}
    types = {entry["name"] for entry in reply["return"]}
    for entry in reply["return"]:
        if entry["meta-type"] == "command":
            assert {entry["arg-type"], entry["ret-type"]} <= types


async def test_profile_hides_what_came_later() -> None:
    old = dispatcher(profile=Profile.named("0.14"))
    assert "query-status" in old.names
    assert "ringbuf-read" not in old.names


def test_profile_hides_what_was_gone() -> None:
    removed = CommandInfo("query-cpus", "query_cpus", since="0.14", removed="6.0")
    assert Profile.named("5.2").has(removed)
    assert not Profile.named("6.0").has(removed)
    assert Profile().has(removed)


async def test_preconfig_admits_only_what_is_allowed() -> None:
    early = dispatcher(preconfig=lambda: True)
    assert (await outcome(early, "query-status"))[0]["return"]["running"] is True
    assert await error(early, "stop") == (
        "GenericError",
        "The command 'stop' is permitted only after machine initialization has completed",
    )


async def test_command_without_success_response_answers_only_failure() -> None:
    silent = CommandInfo("quiet", "quiet", success_response=False)

    async def handler() -> None:
        pass

    quiet = Dispatcher({"quiet": handler}, commands={**COMMANDS, "quiet": silent})
    assert await outcome(quiet, "quiet") == (None, False)
    assert await error(quiet, "quiet", {"x": 1}) == ("GenericError", "Parameter 'x' is unexpected")


@pytest.mark.parametrize(
    "info",
    [
        CommandInfo("any", "any", raw=True),
        CommandInfo("any", "any", arguments=COMMANDS["pmemsave"].arguments, boxed=True),
    ],
    ids=["raw", "boxed"],
)
async def test_handler_that_wants_its_arguments_whole(info: CommandInfo) -> None:
    got: list[Any] = []

    async def handler(arguments: Any) -> None:
        got.append(msgspec.to_builtins(arguments))

    table: dict[str, Handler] = {"any": handler}
    await outcome(Dispatcher(table, commands={**COMMANDS, "any": info}), "any", GOOD)
    assert got == [GOOD]


async def test_execute_in_process() -> None:
    local = dispatcher()
    assert await local.execute("query-name") == {"name": "small"}
    assert await local.execute("stop") == {}
    with pytest.raises(CommandNotFound):
        await local.execute("bogus")
