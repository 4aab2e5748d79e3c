import asyncio
import contextlib
import os
import resource
import socket
import stat

import pytest
from tests.support.recording_frontend import RecordingFrontend, pass_turns

import varan.chardev.socket
from varan.chardev.base import OUTPUT_LIMIT, ChardevError
from varan.chardev.socket import Server


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


async def test_a_burst_to_a_peer_that_left_is_dropped_without_a_word(make, connect, path, recorder, caplog):
    server = make("socket", path=path, server="on", wait="off")
    server.attach(recorder)
    await server.open()
    peer = await connect(path)
    pipe = await recorder.connected()
    peer.close()
    # No turn of the loop between: the chardev has not been told yet.
    assert [pipe.write(b"x") for _ in range(50)] == [1] * 50
    await recorder.until_event("closed")
    assert caplog.records == []


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


async def test_running_out_of_descriptors_makes_clients_wait(make, connect, path, recorder, monkeypatch, caplog):
    monkeypatch.setattr(varan.chardev.socket, "ACCEPT_RETRY_SECONDS", 0.001)
    server = make("socket", path=path, server="on", wait="off")
    server.attach(recorder)
    await server.open()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    peer = await connect(path)
    resource.setrlimit(resource.RLIMIT_NOFILE, (peer.sock.fileno() + 1, hard))
    try:
        fillers = []
        with contextlib.suppress(OSError):
            while True:
                fillers.append(os.dup(0))
        async with asyncio.timeout(10):
            while "cannot accept a connection" not in caplog.text:
                await asyncio.sleep(0)
        assert recorder.events == []
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for fd in fillers:
            os.close(fd)
    await recorder.connected()


async def test_clients_beyond_the_limit_wait_for_a_place(make, connect, path, monkeypatch):
    monkeypatch.setattr(varan.chardev.socket, "MAX_CONNECTIONS", 2)
    made: list[RecordingFrontend] = []

    def new_recorder():
        made.append(RecordingFrontend())
        return made[-1]

    server = make("socket", path=path, server="on", wait="off")
    server.attach_each(new_recorder)
    await server.open()
    peers = [await connect(path) for _ in range(3)]
    await peers[2].send(b"third")
    await pass_turns(50)
    assert [recorder.events for recorder in made] == [["opened"]] * 2
    peers[0].close()
    async with asyncio.timeout(10):
        while len(made) < 3:
            await asyncio.sleep(0)
    await made[2].until_input(b"third")


async def test_abstract_sockets_leave_no_file(make, connect, tmp_path, recorder):
    name = f"varan-test-{os.getpid()}-{tmp_path.name}"
    server = make("socket", path=name, abstract="on", server="on", wait="off")
    server.attach(recorder)
    await server.open()
    assert server.filename == f"disconnected:unix:{name},abstract=on,tight=on,server=on"
    await connect(b"\0" + name.encode())
    await recorder.connected()
    assert not os.path.exists(name)


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
