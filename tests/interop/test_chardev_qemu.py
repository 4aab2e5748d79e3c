"""Our socket chardevs with QEMU's monitor at the other end."""

import asyncio

import pytest
from tests.support.need import need_tool
from tests.support.recording_frontend import RecordingFrontend

from varan.chardev import registry

pytestmark = pytest.mark.interop


@pytest.mark.parametrize("telnet", ["off", "on"])
async def test_qemus_monitor_talks_to_our_server(telnet):
    qemu = need_tool("qemu-system-x86_64", package="qemu-system-x86")
    recorder = RecordingFrontend()
    options = {"host": "127.0.0.1", "port": "0", "server": "on", "wait": "off", "telnet": telnet}
    server = registry.create("socket", "c", options)
    server.attach(recorder)
    await server.open()
    arguments = ["-M", "none", "-display", "none", "-nodefaults"]
    # A plain client even where we speak telnet: negotiation is the server's, and must do no harm to who ignores it.
    arguments += ["-monitor", f"tcp:127.0.0.1:{server.address.port}"]
    process = await asyncio.create_subprocess_exec(qemu, *arguments)
    try:
        await recorder.until(lambda recorder: b"(qemu) " in recorder.input, 60)
        # To a plain client our negotiation is a line of nonsense: let it be answered first.
        recorder.input.clear()
        recorder.pipe.write(b"\r")
        await recorder.until(lambda recorder: b"(qemu) " in recorder.input, 60)
        recorder.input.clear()
        recorder.pipe.write(b"info name\rinfo status\rquit\r")
        await recorder.until_event("closed")
        assert b"VM status:" in recorder.input
        assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
        await server.close()
