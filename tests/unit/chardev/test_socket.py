import asyncio
import os
import socket
import stat

import pytest
from tests.support.recording_frontend import RecordingFrontend, pass_turns

from varan.chardev.address import UnixAddress
from varan.chardev.base import OUTPUT_LIMIT, ChardevError
from varan.chardev.socket import Client, Server
from varan.chardev.socket_options import SocketConfig


class Peer:
    """The other end, by plain blocking-free socket calls on the loop."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.loop = asyncio.get_running_loop()

    async def send(self, data: bytes) -> None:
        await self.loop.sock_sendall(self.sock, data)

    async def read(self, size: int) -> bytes:
        """Exactly `size` bytes, or what comes before the end."""
        data = b""
        async with asyncio.timeout(10):
            while len(data) < size and (part := await self.loop.sock_recv(self.sock, size - len(data))):
                data += part
        return data

    async def at_end(self) -> bool:
        async with asyncio.timeout(10):
            return await self.loop.sock_recv(self.sock, 1) == b""

    def close(self) -> None:
        self.sock.close()


@pytest.fixture
def connect():
    """Connects to an address: a path, a name that starts with NUL, or (host, port). The ends are closed afterwards."""
    made: list[socket.socket] = []

    async def connect(address: str | bytes | tuple[str, int]) -> Peer:
        family = socket.AF_UNIX
        if isinstance(address, tuple):
            family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        sock = socket.socket(family)
        made.append(sock)
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, address)
        return Peer(sock)

    yield connect
    for sock in made:
        sock.close()


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "vm.sock")


@pytest.fixture
def recorder():
    return RecordingFrontend()


def port_of(chardev: Server) -> int:
    return chardev.address.port


async def test_bytes_go_both_ways(make, connect, path, recorder):
    server = make("socket", path=path, server="on", wait="off")
    server.attach(recorder)
    await server.open()
    peer = await connect(path)
    pipe = await recorder.connected()
    await peer.send(b"hello")
    await recorder.until_input(b"hello")
    assert pipe.write(b"welcome") == 7
    assert await peer.read(7) == b"welcome"
    peer.close()
    await recorder.until_event("closed")
    assert recorder.events == ["opened", "closed"]


async def test_filename_tells_address_role_and_whether_connected(make, path, recorder):
    server = make("socket", path=path, server="on", wait="off")
    server.attach(recorder)
    await server.open()
    assert server.filename == f"disconnected:unix:{path},server=on"
    client = make("socket", path=path)
    await client.open()
    await recorder.connected()
    assert server.filename == f"unix:{path},server=on"
    assert client.filename == f"unix:{path}"


async def test_tcp_filename_has_the_real_port_and_the_peer(make, connect, recorder):
    server = make("socket", host="127.0.0.1", port="0", server="on", wait="off")
    server.attach(recorder)
    await server.open()
    port = port_of(server)
    assert port > 0
    assert server.filename == f"disconnected:tcp:127.0.0.1:{port},server=on"
    peer = await connect(("127.0.0.1", port))
    await recorder.connected()
    assert server.filename == f"tcp:127.0.0.1:{port},server=on <-> 127.0.0.1:{peer.sock.getsockname()[1]}"


async def test_one_client_at_a_time_and_the_next_waits(make, connect, path, recorder):
    server = make("socket", path=path, server="on", wait="off")
    server.attach(recorder)
    await server.open()
    first = await connect(path)
    await recorder.connected()
    second = await connect(path)
    await second.send(b"second")
    await pass_turns()
    assert recorder.events == ["opened"]
    assert recorder.input == b""
    first.close()
    await recorder.until_input(b"second")
    assert recorder.events == ["opened", "closed", "opened"]


async def test_attach_each_serves_many_at_once(make, connect, path):
    recorders: list[RecordingFrontend] = []

    def new_recorder():
        recorders.append(RecordingFrontend())
        return recorders[-1]

    server = make("socket", path=path, server="on", wait="off")
    server.attach_each(new_recorder)
    assert server.frontend_open
    await server.open()
    peers = [await connect(path) for _ in range(5)]
    for number, peer in enumerate(peers):
        await peer.send(b"%d" % number)
        assert await peer_echo(recorders, number) is not None
    peers[2].close()
    await recorders[2].until_event("closed")
    assert [recorder.events for recorder in recorders if recorder.pipe] == [["opened"]] * 4


async def peer_echo(recorders: list[RecordingFrontend], number: int) -> RecordingFrontend:
    """The recorder that was made for the client that says `number`; clients are let in in order."""
    async with asyncio.timeout(10):
        while len(recorders) <= number:
            await asyncio.sleep(0)
    await recorders[number].until_input(b"%d" % number)
    return recorders[number]


async def test_a_client_that_came_before_the_frontend_loses_nothing(make, connect, path, recorder):
    server = make("socket", path=path, server="on", wait="off")
    await server.open()
    peer = await connect(path)
    await peer.send(b"early")
    await pass_turns(20)
    server.attach(recorder)
    await recorder.until_input(b"early")
    assert recorder.events == ["opened"]


async def test_open_waits_for_a_client_when_told_to(make, connect, path, recorder):
    server = make("socket", path=path, server="on")
    server.attach(recorder)
    opening = asyncio.ensure_future(server.open())
    await pass_turns(20)
    assert not opening.done()
    peer = await connect(path)
    async with asyncio.timeout(10):
        await opening
    assert recorder.pipe is not None
    peer.close()


async def test_closing_ends_the_wait_for_a_client_and_removes_the_file(make, path):
    server = make("socket", path=path, server="on")
    opening = asyncio.ensure_future(server.open())
    await pass_turns(20)
    await server.close()
    with pytest.raises(ChardevError, match="closed while it waited for a client"):
        await opening
    assert not os.path.exists(path)


async def test_cancelling_the_wait_for_a_client_removes_the_file(make, path):
    server = make("socket", path=path, server="on")
    opening = asyncio.ensure_future(server.open())
    await pass_turns(20)
    opening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await opening
    assert not os.path.exists(path)


async def test_a_stale_socket_file_is_replaced(make, connect, path, recorder):
    stale = socket.socket(socket.AF_UNIX)
    stale.bind(path)
    stale.close()
    server = make("socket", path=path, server="on", wait="off")
    server.attach(recorder)
    await server.open()
    await connect(path)
    await recorder.connected()


async def test_a_file_that_is_no_socket_is_not_deleted(make, tmp_path):
    precious = tmp_path / "precious"
    precious.write_text("data")
    server = make("socket", path=str(precious), server="on", wait="off")
    with pytest.raises(ChardevError, match=r"chardev 'c': '.*precious' exists and is no socket"):
        await server.open()
    assert precious.read_text() == "data"


async def test_close_removes_its_own_socket_file_only(make, path):
    first = make("socket", path=path, server="on", wait="off")
    await first.open()
    second = make("socket", path=path, server="on", wait="off")
    await second.open()
    await first.close()
    assert stat.S_ISSOCK(os.stat(path).st_mode)
    await second.close()
    assert not os.path.exists(path)


async def test_close_sends_what_is_still_to_be_sent(make, connect, path, recorder):
    server = make("socket", path=path, server="on", wait="off")
    server.attach(recorder)
    await server.open()
    peer = await connect(path)
    pipe = await recorder.connected()
    assert pipe.write(b"x" * OUTPUT_LIMIT) == OUTPUT_LIMIT
    reading = asyncio.ensure_future(peer.read(OUTPUT_LIMIT))
    await server.close()
    assert await reading == b"x" * OUTPUT_LIMIT
    assert await peer.at_end()
    assert recorder.events == ["opened", "closed"]


async def test_a_slow_reader_makes_write_take_less_until_it_reads(make, connect, path, recorder):
    server = make("socket", path=path, server="on", wait="off")
    server.attach(recorder)
    await server.open()
    peer = await connect(path)
    pipe = await recorder.connected()
    block = b"y" * (OUTPUT_LIMIT // 4)
    total = 0
    while (taken := pipe.write(block)) == len(block):
        total += taken
        assert total < 8 * OUTPUT_LIMIT
    total += taken
    assert pipe.write(b"more") == 0
    assert "writable" not in recorder.events
    assert await peer.read(total) == b"y" * total
    await recorder.until_event("writable")
    assert pipe.write(b"more") == 4
    assert await peer.read(4) == b"more"


async def test_one_huge_write_is_taken_in_part_and_continued(make, connect, path, recorder):
    server = make("socket", path=path, server="on", wait="off")
    server.attach(recorder)
    await server.open()
    peer = await connect(path)
    pipe = await recorder.connected()
    message = bytes(range(256)) * (3 * OUTPUT_LIMIT // 256)
    reading = asyncio.ensure_future(peer.read(len(message)))
    sent = pipe.write(message)
    assert 0 < sent < len(message)
    rounds = 0
    while sent < len(message):
        rounds += 1
        await recorder.until_event("writable", rounds)
        sent += pipe.write(memoryview(message)[sent:])
    assert await reading == message


async def test_paused_input_waits(make, connect, path, recorder):
    server = make("socket", path=path, server="on", wait="off")
    server.attach(recorder)
    await server.open()
    peer = await connect(path)
    pipe = await recorder.connected()
    pipe.pause_input()
    await peer.send(b"later")
    await pass_turns(20)
    assert recorder.input == b""
    pipe.resume_input()
    await recorder.until_input(b"later")


async def test_writes_after_the_peer_left_are_dropped(make, connect, path, recorder):
    server = make("socket", path=path, server="on", wait="off")
    server.attach(recorder)
    await server.open()
    peer = await connect(path)
    pipe = await recorder.connected()
    peer.close()
    await recorder.until_event("closed")
    assert pipe.write(b"nobody") == 6


async def test_pipe_close_ends_the_connection_after_what_was_written(make, connect, path, recorder):
    server = make("socket", path=path, server="on", wait="off")
    server.attach(recorder)
    await server.open()
    peer = await connect(path)
    pipe = await recorder.connected()
    pipe.write(b"bye")
    pipe.close()
    assert await peer.read(10) == b"bye"
    await recorder.until_event("closed")


async def test_localhost_listens_on_every_family_at_one_port(make, connect):
    server = make("socket", port="0", server="on", wait="off")
    server.attach_each(RecordingFrontend)
    await server.open()
    for family, _, _, _, name in socket.getaddrinfo("localhost", port_of(server), type=socket.SOCK_STREAM):
        assert family in (socket.AF_INET, socket.AF_INET6)
        (await connect((name[0], name[1]))).close()


async def test_to_finds_the_next_free_port(make):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        server = make(
            "socket", host="127.0.0.1", port=str(port), to=str(min(port + 50, 65535)), server="on", wait="off"
        )
        await server.open()
        assert port < port_of(server) <= port + 50


async def test_a_port_in_use_is_a_clear_error(make):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        server = make("socket", host="127.0.0.1", port=str(port), server="on", wait="off")
        with pytest.raises(ChardevError, match=f"chardev 'c': tcp:127.0.0.1:{port}: Address already in use"):
            await server.open()


async def test_abstract_sockets_leave_no_file(make, connect, tmp_path, recorder):
    name = f"varan-test-{os.getpid()}-{tmp_path.name}"
    server = make("socket", path=name, abstract="on", server="on", wait="off")
    server.attach(recorder)
    await server.open()
    assert server.filename == f"disconnected:unix:{name},abstract=on,tight=on,server=on"
    await connect(b"\0" + name.encode())
    await recorder.connected()
    assert not os.path.exists(name)


async def test_a_client_without_a_server_is_a_clear_error(make, path):
    client = make("socket", path=path)
    with pytest.raises(ChardevError, match=r"chardev 'c': unix:.*vm\.sock: No such file or directory"):
        await client.open()


async def test_a_client_connects_and_talks(make, path, recorder):
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        client = make("socket", path=path)
        client.attach(recorder)
        await client.open()
        accepted, _ = listener.accept()
        accepted.setblocking(False)
        peer = Peer(accepted)
        recorder.pipe.write(b"ping")
        assert await peer.read(4) == b"ping"
        peer.close()
        await recorder.until_event("closed")
        assert client.filename == f"disconnected:unix:{path}"


async def test_reconnect_comes_back_after_the_server_was_away(path, recorder):
    client = Client("c", SocketConfig(UnixAddress(path), reconnect=0.001))
    client.attach(recorder)
    await client.open()
    assert client.filename.startswith("disconnected:")
    server = Server("s", SocketConfig(UnixAddress(path), server=True, wait=False))
    await server.open()
    await recorder.until_event("opened")
    await server.close()
    await recorder.until_event("closed")
    again = Server("s", SocketConfig(UnixAddress(path), server=True, wait=False))
    await again.open()
    await recorder.until_event("opened", 2)
    await client.close()
    await again.close()


async def test_an_inherited_listening_socket_serves(make, connect, path, recorder):
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen()
    server = make("socket", fd=str(listener.detach()), server="on", wait="off")
    server.attach(recorder)
    await server.open()
    assert server.filename == f"disconnected:unix:{path},server=on"
    await connect(path)
    await recorder.connected()
    await server.close()
    assert os.path.exists(path)


async def test_an_inherited_connection_is_used(make, recorder):
    ours, theirs = socket.socketpair()
    theirs.setblocking(False)
    client = make("socket", fd=str(ours.detach()))
    client.attach(recorder)
    await client.open()
    with theirs:
        await Peer(theirs).send(b"hi")
        await recorder.until_input(b"hi")


async def test_a_descriptor_of_the_wrong_sort_is_refused(make, tmp_path):
    with open(tmp_path / "file", "w") as file, pytest.raises(ChardevError, match="is no open socket"):
        await make("socket", fd=str(file.fileno())).open()
    left, right = socket.socketpair()
    with left, right, pytest.raises(ChardevError, match="does not listen; leave server=on out"):
        await make("socket", fd=str(left.fileno()), server="on").open()
    with socket.socket() as listener, pytest.raises(ChardevError, match="listens; add server=on"):
        listener.listen()
        await make("socket", fd=str(listener.fileno())).open()
    with socket.socket() as idle, pytest.raises(ChardevError, match="is not connected"):
        await make("socket", fd=str(idle.fileno())).open()


async def test_telnet_greets_negotiates_and_reports_breaks(make, connect, recorder):
    server = make("socket", host="127.0.0.1", port="0", server="on", wait="off", telnet="on")
    server.attach(recorder)
    await server.open()
    assert server.filename.startswith("disconnected:telnet:127.0.0.1:")
    peer = await connect(("127.0.0.1", port_of(server)))
    assert await peer.read(12) == b"\xff\xfb\x01\xff\xfb\x03\xff\xfb\x00\xff\xfd\x00"
    await peer.send(b"\xff\xfd\x1fls\r\0\xff\xf3")
    assert await peer.read(3) == b"\xff\xfc\x1f"
    await recorder.until(lambda r: r.breaks == 1)
    await recorder.until_input(b"ls\r")
    recorder.pipe.write(b"\xff")
    assert await peer.read(2) == b"\xff\xff"


async def test_nodelay_off_is_obeyed(make, connect, recorder):
    server = make("socket", host="127.0.0.1", port="0", server="on", wait="off", nodelay="off")
    server.attach(recorder)
    await server.open()
    await connect(("127.0.0.1", port_of(server)))
    pipe = await recorder.connected()
    assert pipe.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 0
