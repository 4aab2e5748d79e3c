import pytest

from varan.chardev.address import FdAddress, TcpAddress, UnixAddress
from varan.chardev.base import ChardevError
from varan.chardev.socket_options import parse


def test_unix_server_waits_by_default():
    config = parse("c", {"path": "vm.sock", "server": "on"})
    assert (config.address, config.server, config.wait) == (UnixAddress("vm.sock"), True, True)


def test_tcp_host_is_localhost_by_default():
    assert parse("c", {"port": "4444"}).address == TcpAddress("localhost", 4444)
    assert parse("c", {"host": "", "port": "4444"}).address == TcpAddress("localhost", 4444)


def test_nodelay_is_the_default_and_has_two_spellings():
    assert parse("c", {"port": "1"}).nodelay
    assert not parse("c", {"port": "1", "nodelay": "off"}).nodelay
    assert not parse("c", {"port": "1", "delay": "on"}).nodelay
    assert parse("c", {"port": "1", "delay": "off"}).nodelay


def test_inherited_descriptor():
    assert parse("c", {"fd": "5", "server": "on"}).address == FdAddress(5)


def test_reconnect_zero_means_never():
    assert parse("c", {"path": "x", "reconnect": "0"}).reconnect is None
    assert parse("c", {"path": "x", "reconnect": "3"}).reconnect == 3


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({}, "exactly one of path="),
        ({"path": "x", "port": "1"}, "exactly one of path="),
        ({"path": "x", "fd": "1"}, "exactly one of path="),
        ({"host": "h"}, "'port' is missing"),
        ({"port": "70000"}, "'port' expects a number from 0 to 65535, not '70000'"),
        ({"port": "ssh"}, "'port' expects a number"),
        ({"port": "5", "to": "4", "server": "on"}, "'to' expects a port from 5 on"),
        ({"port": "5", "to": "9"}, "'to' is for servers"),
        ({"port": "5", "ipv4": "off", "ipv6": "off"}, "exclude both"),
        ({"port": "5", "nodelay": "on", "delay": "on"}, "give one of them"),
        ({"path": "x", "wait": "off"}, "'wait' is for servers; add server=on"),
        ({"path": "x", "server": "on", "reconnect": "1"}, "'reconnect' is for clients"),
        ({"fd": "3", "reconnect": "1"}, "'reconnect' is for clients"),
        ({"path": "x", "server": "perhaps"}, "'server' expects on or off"),
        ({"path": "x" * 108}, "at most 107 bytes"),
        ({"path": "x", "tight": "off"}, "'tight' is for abstract sockets"),
        ({"path": "x", "websocket": "on"}, "'websocket' is not supported"),
        ({"path": "x", "tls-creds": "t"}, "no TLS"),
        ({"path": "x", "to": "4"}, "no option 'to'"),
        ({"path": "x", "colour": "red"}, "no option 'colour'"),
        ({"path": "x", "logappend": "on"}, "'logappend' needs logfile"),
    ],
)
def test_bad_options_are_refused_in_one_line(options, problem):
    with pytest.raises(ChardevError, match=problem) as caught:
        parse("c", options)
    assert str(caught.value).startswith("chardev 'c': ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("address", "text"),
    [
        (UnixAddress("/run/vm.sock"), "unix:/run/vm.sock"),
        (UnixAddress("vm", abstract=True), "unix:vm,abstract=on,tight=on"),
        (TcpAddress("127.0.0.1", 4444), "tcp:127.0.0.1:4444"),
        (TcpAddress("::1", 4444), "tcp:[::1]:4444"),
        (FdAddress(5), "fd:5"),
    ],
)
def test_addresses_read_as_the_command_line_writes_them(address, text):
    assert str(address) == text


def test_abstract_name_is_padded_unless_tight():
    assert UnixAddress("vm", abstract=True).host_form == b"\0vm"
    padded = UnixAddress("vm", abstract=True, tight=False).host_form
    assert (len(padded), padded[:3], padded.strip(b"\0")) == (108, b"\0vm", b"vm")
