"""Media that come and go."""

from __future__ import annotations

from varan.api.values import BlockdevChangeReadOnlyMode
from varan.commands import block_keys as keys
from varan.commands import block_media as handlers
from varan.commands.hmp.errors import HmpError
from varan.commands.hmp.registry import command
from varan.commands.hmp.session import HmpSession

_MODES = {mode.value: mode for mode in BlockdevChangeReadOnlyMode}


@command("eject", "-f:force device:string", help="take the medium out of a drive (-f: though the guest has locked it)")
async def eject(session: HmpSession, device: str, force: bool = False) -> str:
    """As the QMP command."""
    await handlers.eject(session.machine, device, force=force)
    return ""


@command(
    "change",
    "device:string -f:force filename:string format:string? mode:string?",
    help="put another image into a drive (-f: though the guest has locked it; mode: retain, read-only or read-write)",
)
async def change(
    session: HmpSession,
    device: str,
    filename: str,
    format: str | None = None,
    mode: str | None = None,
    force: bool = False,
) -> str:
    """As `blockdev-change-medium`."""
    if device == "vnc":
        raise HmpError("there is no VNC server")
    if mode is not None and mode not in _MODES:
        raise HmpError(f"invalid parameter value: {mode}")
    await handlers.blockdev_change_medium(
        session.machine,
        filename,
        device,
        format=format,
        force=force,
        read_only_mode=_MODES[mode] if mode is not None else None,
    )
    return ""


@command("block_passwd", "device:string password:string", help="give an encrypted disk its key")
async def block_passwd(session: HmpSession, device: str, password: str) -> str:
    """As the QMP command."""
    await keys.block_passwd(session.machine, password, device)
    return ""
