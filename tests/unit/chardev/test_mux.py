import pytest
from tests.support.recording_frontend import RecordingFrontend

from varan.chardev.backend import Backend
from varan.chardev.base import OUTPUT_LIMIT, ChardevError
from varan.chardev.log import NO_LOG
from varan.chardev.mux import INPUT_LIMIT, MAX_FRONTENDS, Mux


class Screen(Backend):
    """A chardev whose other end is the test: `shown` is its output, `type` its input, `room` how much it takes."""

    def __init__(self) -> None:
        super().__init__("con", NO_LOG)
        self.shown = bytearray()
        self.paused = False
        self.room = OUTPUT_LIMIT
        self.user = None

    @property
    def filename(self):
        return "screen"

    async def acquire(self):
        self.connected(self)

    async def release(self):
        return

    def start(self, frontend):
        self.user = frontend

    def write(self, data):
        taken = min(len(data), self.room)
        self.shown += bytes(data)[:taken]
        self.room -= taken
        return taken

    def pause_input(self):
        self.paused = True

    def resume_input(self):
        self.paused = False

    def type(self, data):
        self.user.receive(data)

    def show(self):
        shown, self.shown = bytes(self.shown), bytearray()
        return shown


class Monitor(RecordingFrontend):
    """Greets, and shows its prompt again when the keyboard comes back."""

    def opened(self, pipe):
        super().opened(pipe)
        pipe.write(b"(prompt)")

    def focus_gained(self):
        self.pipe.write(b"(again)")


@pytest.fixture
def screen():
    return Screen()


@pytest.fixture
def exits():
    return []


@pytest.fixture
def mux(screen, exits):
    return Mux(screen, on_exit=lambda: exits.append("exit"), clock=lambda: 1.5)


async def opened_with(mux, *frontends):
    for frontend in frontends:
        mux.attach(frontend)
    await mux.open()


async def test_mux_stands_in_for_its_chardev(mux, screen):
    assert (mux.id, mux.filename, mux.base, mux.frontend_open) == ("con", "mux", screen, False)
    mux.attach(RecordingFrontend())
    assert mux.frontend_open


async def test_all_write_and_one_has_the_keyboard(mux, screen):
    serial, other = RecordingFrontend(), RecordingFrontend()
    await opened_with(mux, serial, other)
    serial.pipe.write(b"a")
    other.pipe.write(b"b")
    assert screen.show() == b"ab"
    screen.type(b"ls")
    assert (serial.input, other.input) == (b"ls", b"")
    screen.type(b"\x01cinfo\x01c!")
    assert (serial.input, other.input) == (b"ls!", b"info")


async def test_the_escape_itself_can_be_sent(mux, screen):
    serial = RecordingFrontend()
    await opened_with(mux, serial)
    screen.type(b"a\x01\x01b")
    assert serial.input == b"a\x01b"


async def test_a_monitor_greets_when_it_first_gets_the_keyboard(mux, screen):
    mux.attach(RecordingFrontend())
    mux.attach_each(Monitor)
    await mux.open()
    assert screen.show() == b""
    screen.type(b"\x01c")
    assert screen.show() == b"(prompt)"
    screen.type(b"\x01c\x01c")
    assert screen.show() == b"(again)"


async def test_a_serial_port_has_the_keyboard_before_a_monitor_whoever_comes_first(mux, screen):
    serial = RecordingFrontend()
    mux.attach_each(Monitor)
    mux.attach(serial)
    await mux.open()
    screen.type(b"ls")
    assert serial.input == b"ls"
    assert screen.show() == b""
    screen.type(b"\x01c")
    assert screen.show() == b"(prompt)"


async def test_a_monitor_alone_has_the_keyboard_at_once(mux, screen):
    mux.attach_each(Monitor)
    await mux.open()
    assert screen.show() == b"(prompt)"


async def test_exit_calls_back_and_says_so(mux, screen, exits):
    await opened_with(mux, RecordingFrontend())
    screen.type(b"\x01x")
    assert exits == ["exit"]
    assert b"terminated" in screen.show()


async def test_break_reaches_who_has_the_keyboard(mux, screen):
    serial, other = RecordingFrontend(), RecordingFrontend()
    await opened_with(mux, serial, other)
    screen.type(b"\x01b\x01c")
    assert (serial.breaks, other.breaks) == (1, 0)


async def test_help_shows_what_works_here(mux, screen):
    await opened_with(mux, RecordingFrontend())
    screen.type(b"\x01h")
    text = screen.show()
    assert b"Ctrl-A x" in text
    assert b"Ctrl-A s  " not in text


async def test_timestamps_are_switched_on_and_off(screen):
    now = [10.0]
    mux = Mux(screen, clock=lambda: now[0])
    serial = RecordingFrontend()
    await opened_with(mux, serial)
    screen.type(b"\x01t")
    now[0] = 12.25
    assert serial.pipe.write(b"x\ny\n") == 4
    assert screen.show() == b"[00:00:02.250] x\n[00:00:02.250] y\n"
    screen.type(b"\x01t")
    serial.pipe.write(b"z\n")
    assert screen.show() == b"z\n"


async def test_the_escape_works_while_the_guest_takes_no_input(mux, screen, exits):
    serial, other = RecordingFrontend(), RecordingFrontend()
    await opened_with(mux, serial, other)
    pipe = serial.pipe
    pipe.pause_input()
    screen.type(b"hello?\x01cinfo\x01c")
    assert (serial.input, other.input) == (b"", b"info")
    assert not screen.paused
    pipe.resume_input()
    assert serial.input == b"hello?"


async def test_input_for_a_paused_frontend_is_bounded(mux, screen):
    serial, other = RecordingFrontend(), RecordingFrontend()
    await opened_with(mux, serial, other)
    serial.pipe.pause_input()
    screen.type(b"x" * INPUT_LIMIT)
    assert screen.paused
    serial.pipe.resume_input()
    assert not screen.paused
    assert serial.input == b"x" * INPUT_LIMIT


async def test_back_pressure_reaches_the_frontends_that_met_it(mux, screen):
    serial, other = RecordingFrontend(), RecordingFrontend()
    await opened_with(mux, serial, other)
    screen.room = 2
    assert serial.pipe.write(b"abc") == 2
    screen.room = 10
    screen.user.writable()
    assert (serial.events, other.events) == (["opened", "writable"], ["opened"])


async def test_no_stamped_byte_is_lost_to_back_pressure(mux, screen):
    serial = RecordingFrontend()
    await opened_with(mux, serial)
    screen.type(b"\x01t")
    screen.room = 3
    assert serial.pipe.write(b"abc") == 3
    assert serial.pipe.write(b"def") == 0
    screen.room = 100
    screen.user.writable()
    assert serial.events == ["opened", "writable"]
    assert serial.pipe.write(b"def") == 3
    assert screen.show() == b"[00:00:00.000] abcdef"


async def test_a_disconnect_reaches_everybody_and_a_reconnect_too(mux, screen):
    serial, other = RecordingFrontend(), RecordingFrontend()
    await opened_with(mux, serial, other)
    screen.disconnected(screen)
    screen.connected(screen)
    assert serial.events == other.events == ["opened", "closed", "opened"]


async def test_closing_one_frontends_pipe_leaves_the_others_theirs(mux, screen):
    serial, other = RecordingFrontend(), RecordingFrontend()
    await opened_with(mux, serial, other)
    other.pipe.close()
    assert serial.pipe.write(b"x") == 1
    assert screen.show() == b"x"


async def test_too_many_frontends_are_refused(mux):
    for _ in range(MAX_FRONTENDS):
        mux.attach(RecordingFrontend())
    with pytest.raises(ChardevError, match="chardev 'con': no more than 16"):
        mux.attach(RecordingFrontend())
