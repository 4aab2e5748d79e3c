"""The session core: negotiation, order, ids, out-of-band execution, misuse."""

from __future__ import annotations

import msgspec
import pytest
from tests.support.qmp_service import GREETING, NEGOTIATE, VERSION

from varan.api.commands import COMMANDS, CommandInfo
from varan.api.events import Shutdown, Stop
from varan.api.values import QMPCapability, ShutdownCause
from varan.errors import DeviceNotFound, GenericError, QmpError
from varan.qmp.profile import Profile
from varan.qmp.request import Request
from varan.qmp.session import QUEUE_LIMIT, Session, SessionMisuse, SessionState

OOB = CommandInfo("yank", "yank", allow_oob=True)


def session(ready: bool = True, oob: bool = False, profile: str = "latest", pretty: bool = False) -> Session:
    made = Session(VERSION, profile=Profile.named(profile), pretty=pretty)
    if ready:
        made.negotiate([QMPCapability.OOB] if oob else [])
    return made


def take(core: Session, data: bytes) -> Request:
    core.receive(data)
    request = core.next_request()
    assert request is not None
    return request


def refusal(core: Session, data: bytes, command: CommandInfo | None = None) -> QmpError:
    """The error with which the request in `data` is refused."""
    request = take(core, data)
    with pytest.raises(QmpError) as caught:
        core.admit(request, command or COMMANDS.get(request.name))
    core.refuse(request, caught.value)
    return caught.value


def test_greeting_offers_oob() -> None:
    assert session(ready=False).greeting() == GREETING


def test_greeting_of_an_old_profile_offers_nothing() -> None:
    assert msgspec.json.decode(session(False, profile="1.1").greeting())["QMP"]["capabilities"] == []


def test_greeting_pretty_is_spread_over_lines() -> None:
    assert session(False, pretty=True).greeting().startswith(b'{\n    "QMP": {\n        "version"')


@pytest.mark.parametrize("name", [b"query-status", b"no-such-command"])
def test_command_before_negotiation_is_refused(name: bytes) -> None:
    error = refusal(session(ready=False), b'{"execute": "' + name + b'"}')
    assert error.lasting_class == "CommandNotFound"
    assert str(error) == "Expecting capabilities negotiation with 'qmp_capabilities'"


def test_second_negotiation_is_refused() -> None:
    error = refusal(session(), NEGOTIATE)
    assert error.lasting_class == "CommandNotFound"
    assert str(error) == "Capabilities negotiation is already complete, command ignored"


def test_old_profile_refuses_oob_capability() -> None:
    core = session(ready=False, profile="1.1")
    with pytest.raises(QmpError, match="does not accept value 'oob'"):
        core.negotiate([QMPCapability.OOB])
    assert core.state is SessionState.NEGOTIATING


@pytest.mark.parametrize(
    ("data", "kind", "text"),
    [
        (b"[]", "QMPBadInputObject", "QMP input must be a JSON object"),
        (b"1 ", "QMPBadInputObject", "QMP input must be a JSON object"),
        (b"{}", "QMPBadInputObject", "QMP input lacks member 'execute'"),
        (b'{"id": 1}', "QMPBadInputObject", "QMP input lacks member 'execute'"),
        (b'{"execute": 1}', "QMPBadInputObjectMember", "QMP input member 'execute' must be a string"),
        (
            b'{"execute": "stop", "arguments": []}',
            "QMPBadInputObjectMember",
            "QMP input member 'arguments' must be an object",
        ),
        (b'{"execute": "stop", "x": 1}', "QMPExtraInputObjectMember", "QMP input member 'x' is unexpected"),
        (b'{"exec-oob": "stop"}', "QMPExtraInputObjectMember", "QMP input member 'exec-oob' is unexpected"),
        (
            b'{"execute": "stop", "exec-oob": "x"}',
            "QMPExtraInputObjectMember",
            "QMP input member 'exec-oob' is unexpected",
        ),
        (b'{"execute": "bogus"}', "CommandNotFound", "The command bogus has not been found"),
        (b'{"execute": "stop", "execute": "cont"}', "JSONParsing", "JSON parse error, duplicate key"),
        (b'{"execute": "stop", "id": {"a": 1, "a": 2}}', "JSONParsing", "JSON parse error, duplicate key"),
        (b'{"execute": "stop", "id": "\xe9"}', "JSONParsing", "JSON parse error, invalid UTF-8 sequence in string"),
    ],
)
def test_bad_request_is_named(data: bytes, kind: str, text: str) -> None:
    error = refusal(session(), data)
    assert (error.class_name, str(error)) == (kind, text)


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b'{"exec-oob": null}', "QMP input member 'exec-oob' must be a string"),
        (b'{"execute": "stop", "exec-oob": "stop"}', "QMP input member 'execute' clashes with 'exec-oob'"),
    ],
)
def test_bad_oob_request_is_named(data: bytes, text: str) -> None:
    assert str(refusal(session(oob=True), data)) == text


def test_colons_in_strings_are_no_duplicate_keys() -> None:
    request = take(session(), b'{"execute": "stop", "id": "a: b: c", "arguments": {"x": ":"}}')
    assert request.error is None


@pytest.mark.parametrize(
    ("sent", "echoed"),
    [
        (b"null", b"null"),
        (b"1", b"1"),
        (b"1.0", b"1.0"),
        (b"-12345678901234567890123", b"-12345678901234567890123"),
        (b'"a\\"b \xf0\x9f\xa6\x8e"', b'"a\\"b \xf0\x9f\xa6\x8e"'),
        (b"true", b"true"),
        (b'[1,\n {"b" :null}]', b'[1, {"b": null}]'),
        (b"{}", b"{}"),
    ],
)
def test_id_of_any_type_is_echoed_on_one_line(sent: bytes, echoed: bytes) -> None:
    core = session()
    request = take(core, b'{"execute": "stop", "id": ' + sent + b"}")
    assert core.reply(request, None) == b'{"return": {}, "id": ' + echoed + b"}\r\n"
    request = take(core, b'{"id": ' + sent + b', "execute": "stop"}')
    error = b'"error": {"class": "GenericError", "desc": "no"}}\r\n'
    assert core.refuse(request, GenericError("no")) == b'{"id": ' + echoed + b", " + error


def test_id_of_a_bad_request_is_echoed() -> None:
    core = session()
    request = take(core, b'{"bogus": 1, "id": [1, "x"]}')
    assert request.error is not None
    assert core.refuse(request, request.error).startswith(b'{"id": [1, "x"], "error"')


def test_reply_pretty() -> None:
    core = session(pretty=True)
    request = take(core, b'{"execute": "stop", "id": 7}')
    assert core.reply(request, {"a": 1}) == b'{\n    "return": {\n        "a": 1\n    },\n    "id": 7\n}\r\n'


def test_error_of_protocol_1_1_has_class_and_data() -> None:
    core = session(profile="1.1")
    request = take(core, b'{"execute": "stop"}')
    assert msgspec.json.decode(core.refuse(request, DeviceNotFound("ide0"))) == {
        "error": {"class": "DeviceNotFound", "desc": "Device 'ide0' not found", "data": {"device": "ide0"}}
    }


def test_reworded_error_of_protocol_1_1_has_its_old_sentence() -> None:
    core = session(ready=False, profile="1.1")
    request = take(core, b'{"execute": "stop"}')
    with pytest.raises(QmpError) as caught:
        core.admit(request, COMMANDS["stop"])
    assert msgspec.json.decode(core.refuse(request, caught.value)) == {
        "error": {"class": "CommandNotFound", "desc": "The command stop has not been found", "data": {"name": "stop"}}
    }


def test_requests_are_executed_one_at_a_time_in_order() -> None:
    core = session()
    first = take(core, b'{"execute": "stop", "id": 1}{"execute": "cont", "id": 2}')
    assert core.next_request() is None
    core.reply(first, None)
    second = core.next_request()
    assert second is not None and second.name == "cont"


def test_parse_error_keeps_its_place_in_the_order() -> None:
    core = session()
    first = take(core, b'{"execute": "stop"}{]{"execute": "cont"}')
    assert core.next_request() is None
    core.reply(first, None)
    bad = core.next_request()
    assert bad is not None and bad.error is not None


def test_full_queue_wants_no_input_and_parses_none() -> None:
    core = session()
    current = take(core, b'{"execute": "stop"}')
    core.receive(b'{"execute": "cont"}\n' * (QUEUE_LIMIT - 1))
    assert core.next_request() is None
    assert core.wants_input
    core.receive(b'{"execute": "cont"}\n' * 3)
    assert core.next_request() is None
    assert not core.wants_input
    core.reply(current, None)
    for _ in range(QUEUE_LIMIT + 2):
        request = core.next_request()
        assert request is not None and request.name == "cont"
        core.reply(request, None)
    assert core.next_request() is None
    assert core.wants_input


def test_oob_request_overtakes_those_that_wait() -> None:
    core = session(oob=True)
    slow = take(core, b'{"execute": "stop", "id": 1}')
    core.receive(b'{"execute": "cont", "id": 2}{"exec-oob": "yank", "id": 3}')
    urgent = core.next_request()
    assert urgent is not None and urgent.name == "yank"
    core.admit(urgent, OOB)
    assert core.next_request() is None
    assert core.reply(urgent, None) == b'{"return": {}, "id": 3}\r\n'
    core.reply(slow, None)
    waiting = core.next_request()
    assert waiting is not None and waiting.id == b"2"


def test_oob_of_a_command_that_must_wait_its_turn_is_refused() -> None:
    error = refusal(session(oob=True), b'{"exec-oob": "stop"}')
    assert (error.lasting_class, str(error)) == ("GenericError", "The command stop does not support OOB")


def test_oob_requests_in_execution_count_for_the_limit() -> None:
    core = session(oob=True)
    core.receive(b'{"exec-oob": "yank"}\n' * (QUEUE_LIMIT + 1))
    running = [core.next_request() for _ in range(QUEUE_LIMIT)]
    assert None not in running
    assert core.next_request() is None
    assert not core.wants_input


def test_event_before_negotiation_is_not_sent() -> None:
    assert session(ready=False).event("STOP", Stop(), 1, 2) == b""


def test_event_without_data() -> None:
    line = b'{"timestamp": {"seconds": 1, "microseconds": 2}, "event": "STOP"}\r\n'
    assert session().event("STOP", Stop(), 1, 2) == line


def test_event_with_data() -> None:
    sent = session().event("SHUTDOWN", Shutdown(guest=True, reason=ShutdownCause.GUEST_RESET), 1, 2)
    assert msgspec.json.decode(sent)["data"] == {"guest": True, "reason": "guest-reset"}


def test_result_of_a_request_that_is_not_executed_raises_and_changes_nothing() -> None:
    core = session()
    request = take(core, b'{"execute": "stop"}')
    with pytest.raises(SessionMisuse):
        core.reply(Request("other"), None)
    assert core.reply(request, None) == b'{"return": {}}\r\n'
    with pytest.raises(SessionMisuse):
        core.reply(request, None)


def test_result_without_json_form_raises_and_the_request_can_still_be_refused() -> None:
    core = session()
    request = take(core, b'{"execute": "stop"}')
    with pytest.raises(TypeError):
        core.reply(request, object())
    assert b'"no"' in core.refuse(request, GenericError("no"))


def test_negotiation_twice_is_misuse() -> None:
    with pytest.raises(SessionMisuse):
        session().negotiate()


def test_closed_session_takes_no_bytes_and_drops_results() -> None:
    core = session()
    request = take(core, b'{"execute": "stop"}')
    core.close()
    with pytest.raises(SessionMisuse):
        core.receive(b"{}")
    assert core.reply(request, None) == b""
    assert core.next_request() is None
    assert core.event("STOP", Stop(), 1, 2) == b""
