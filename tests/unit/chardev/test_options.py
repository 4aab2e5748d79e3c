import pytest
from hypothesis import given
from hypothesis import strategies as st

from varan.chardev import registry
from varan.chardev.base import ChardevError
from varan.chardev.options import ExistingChardev, LegacyChardev, parse_legacy


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("none", None),
        ("null", LegacyChardev("null")),
        ("stdio", LegacyChardev("stdio")),
        ("pty", LegacyChardev("pty")),
        ("ringbuf", LegacyChardev("ringbuf")),
        ("file:a,b", LegacyChardev("file", {"path": "a,b"})),
        ("pipe:/tmp/p", LegacyChardev("pipe", {"path": "/tmp/p"})),
        (
            "unix:vm.sock,server=on,wait=off",
            LegacyChardev("socket", {"path": "vm.sock", "server": "on", "wait": "off"}),
        ),
        ("unix:vm.sock,server,nowait", LegacyChardev("socket", {"path": "vm.sock", "server": "on", "wait": "off"})),
        ("unix:a,,b.sock", LegacyChardev("socket", {"path": "a,b.sock"})),
        (
            "tcp:localhost:4444,server,nodelay",
            LegacyChardev("socket", {"host": "localhost", "port": "4444", "server": "on", "nodelay": "on"}),
        ),
        ("tcp::4444", LegacyChardev("socket", {"port": "4444"})),
        ("tcp:[::1]:4444", LegacyChardev("socket", {"host": "::1", "port": "4444"})),
        ("telnet:h:23", LegacyChardev("socket", {"host": "h", "port": "23", "telnet": "on"})),
        ("chardev:serial0", ExistingChardev("serial0")),
        ("mon:stdio", LegacyChardev("stdio", {"signal": "off"}, mux=True)),
        ("mon:unix:m.sock,server", LegacyChardev("socket", {"path": "m.sock", "server": "on"}, mux=True)),
    ],
)
def test_short_form_stands_for(text, expected):
    assert parse_legacy(text) == expected


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "no such character device"),
        ("bogus", "no such character device; known are none, null"),
        ("vc", "no displays yet"),
        ("vc:80Cx24C", "no displays yet"),
        ("file:", "a file name is missing"),
        ("file", "no such character device"),
        ("unix:", "a file name is missing"),
        ("unix:,server", "a file name is missing"),
        ("unix:a,=on", "an option name is missing"),
        ("tcp:4444", "HOST:PORT is expected"),
        ("tcp:host:", "HOST:PORT is expected"),
        ("tcp:::1:4444", r"in brackets: \[::1\]:4444"),
        ("udp:host:1", "UDP is not supported"),
        ("chardev:", "an id is expected"),
        ("mon:none", "no such character device"),
        ("mon:chardev:x", "no such character device"),
        ("mon:ringbuf", "no input to share"),
        ("/dev/ttyS0", "pipe:/dev/ttyS0"),
    ],
)
def test_bad_short_form_is_refused_with_its_text(text, problem):
    with pytest.raises(ChardevError, match=problem) as caught:
        parse_legacy(text)
    assert str(caught.value).startswith(f"'{text.removeprefix('mon:')}'") or str(caught.value).startswith(f"'{text}'")
    assert "\n" not in str(caught.value)


@given(st.text(alphabet=":,=[]abcnotunixpserv.0/\0"))
def test_any_text_is_parsed_or_refused(text):
    try:
        target = parse_legacy(text)
        if isinstance(target, LegacyChardev):
            registry.create(target.kind, "c", target.options)
    except ChardevError as error:
        assert str(error)


@pytest.mark.parametrize("path", ["plain", "with,comma", ",", "a,,b"])
def test_commas_doubled_in_a_unix_path_come_back(path):
    target = parse_legacy(f"unix:{path.replace(',', ',,')},server=on")
    assert target == LegacyChardev("socket", {"path": path, "server": "on"})
