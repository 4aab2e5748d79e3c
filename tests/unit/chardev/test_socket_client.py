import os
import socket

import pytest
from tests.support.socket_peer import Peer

from varan.chardev.address import UnixAddress
from varan.chardev.base import ChardevError
from varan.chardev.socket import Client, Server
from varan.chardev.socket_options import SocketConfig


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
