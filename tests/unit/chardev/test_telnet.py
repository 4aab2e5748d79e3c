from hypothesis import given
from hypothesis import strategies as st

from varan.chardev.telnet import (
    BINARY,
    BRK,
    DO,
    DONT,
    ECHO,
    GREETING,
    IAC,
    SB,
    SE,
    SUPPRESS_GO_AHEAD,
    WILL,
    WONT,
    Telnet,
)

WINDOW_SIZE = 31


def command(*codes: int) -> bytes:
    return bytes((IAC, *codes))


def binary_session() -> Telnet:
    """A session whose client agreed to go binary both ways."""
    telnet = Telnet()
    telnet.receive(command(WILL, BINARY) + command(DO, BINARY))
    return telnet


def test_plain_text_passes_unchanged():
    assert Telnet().receive(b"info status\n").data == b"info status\n"


def test_greeting_offers_echo_and_suppressed_go_ahead():
    assert command(WILL, ECHO) in GREETING
    assert command(WILL, SUPPRESS_GO_AHEAD) in GREETING


def test_answers_to_our_offers_are_not_answered_again():
    received = Telnet().receive(command(DO, ECHO) + command(DO, SUPPRESS_GO_AHEAD) + command(DONT, BINARY))
    assert (received.data, received.reply) == (b"", b"")


def test_an_option_we_lack_is_declined_once_per_request():
    received = Telnet().receive(command(DO, WINDOW_SIZE) + command(WILL, WINDOW_SIZE))
    assert received.reply == command(WONT, WINDOW_SIZE) + command(DONT, WINDOW_SIZE)


def test_refusals_of_what_is_off_need_no_answer():
    assert Telnet().receive(command(WONT, WINDOW_SIZE) + command(DONT, WINDOW_SIZE)).reply == b""


def test_an_option_in_force_is_switched_off_with_an_answer():
    telnet = Telnet()
    telnet.receive(command(DO, ECHO))
    assert telnet.receive(command(DONT, ECHO)).reply == command(WONT, ECHO)
    assert telnet.receive(command(DO, ECHO)).reply == command(WILL, ECHO)


def test_the_clients_go_ahead_is_agreed_to_once():
    telnet = Telnet()
    assert telnet.receive(command(WILL, SUPPRESS_GO_AHEAD)).reply == command(DO, SUPPRESS_GO_AHEAD)
    assert telnet.receive(command(WILL, SUPPRESS_GO_AHEAD)).reply == b""


def test_break_is_reported():
    received = Telnet().receive(b"a" + command(BRK) + b"b")
    assert (received.data, received.breaks) == (b"ab", 1)


def test_a_doubled_iac_is_one_byte():
    assert Telnet().receive(b"a\xff\xffb").data == b"a\xffb"


def test_subnegotiation_is_skipped_with_doubled_iac_inside():
    wire = b"a" + command(SB, WINDOW_SIZE, 0, 80) + b"\xff\xff" + command(SE) + b"b"
    assert Telnet().receive(wire).data == b"ab"


def test_return_of_a_text_client_is_one_byte_in_both_forms():
    assert Telnet().receive(b"x\r\0y\r\nz\r").data == b"x\ry\rz\r"


def test_return_of_a_binary_client_is_as_sent():
    assert binary_session().receive(b"x\r\0y\r\n").data == b"x\r\0y\r\n"


def test_a_return_sent_to_a_text_client_is_completed_when_more_follows():
    telnet = Telnet()
    assert telnet.send(b"10%\r") == b"10%\r"
    assert telnet.send(b"20%\r\n") == b"\x0020%\r\n"
    assert telnet.send(b"a\rb") == b"a\r\0b"


def test_a_line_feed_that_follows_a_return_needs_no_nul():
    telnet = Telnet()
    assert telnet.send(b"x\r") + telnet.send(b"\ny") == b"x\r\ny"


def test_bytes_sent_to_a_binary_client_only_double_iac():
    assert binary_session().send(b"\r\xff\0") == b"\r\xff\xff\0"


@given(st.binary(), st.lists(st.integers(0, 40)))
def test_receive_does_not_depend_on_the_pieces(wire, cuts):
    whole = Telnet().receive(wire)
    pieces = Telnet()
    data, reply, breaks, at = b"", b"", 0, 0
    for cut in [*sorted(cuts), len(wire)]:
        part = pieces.receive(wire[at : max(cut, at)])
        at = max(cut, at)
        data, reply, breaks = data + part.data, reply + part.reply, breaks + part.breaks
    assert (data, reply, breaks) == (whole.data, whole.reply, whole.breaks)


@given(st.lists(st.binary(min_size=1)))
def test_what_a_binary_session_sends_another_receives(messages):
    sender, receiver = binary_session(), binary_session()
    wire = b"".join(sender.send(message) for message in messages)
    assert receiver.receive(wire).data == b"".join(messages)


@given(st.binary())
def test_two_sides_fall_silent(noise):
    left, right = Telnet(), Telnet()
    wire = right.receive(noise + GREETING).reply
    for _ in range(len(noise) + 10):
        if not wire:
            break
        wire = left.receive(wire).reply
        left, right = right, left
    assert wire == b""
