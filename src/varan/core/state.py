"""Declared device state: the one way in which reset, migration, snapshots and clones know a device.

A device keeps everything that matters in one `State` structure and nothing outside it, so that saving is copying the
structure and loading is replacing it. Values derived from the state (an interrupt line's level, an armed timer) are
put right by `Device.restored`, which runs after every load and reset.
"""

from __future__ import annotations

import copy
from typing import Any, ClassVar, Generic, TypeVar

import msgspec

from varan.errors import VaranError


class StateError(VaranError):
    """Saved state that this version of the device cannot take."""


class State(msgspec.Struct, kw_only=True):
    """Base of every device's state. Defaults are the power-on values.

    `version` grows when a member's meaning changes; `upgrade` turns an older version's members into today's.
    A new member with a default needs no new version.
    """

    version: ClassVar[int] = 1

    @classmethod
    def upgrade(cls, version: int, members: dict[str, Any]) -> dict[str, Any]:
        """Members as `version` wrote them, turned into today's. The default knows no older version."""
        raise StateError(f"{cls.__qualname__}: no way from version {version} to {cls.version}")


S = TypeVar("S", bound=State)


class Device(Generic[S]):
    """A part of the board with declared state.

    `state_type` is the `State` subclass; `self.state` is its current value. The promises:
    `reset` gives power-on state, `save` shares nothing with the running device, `load(save())` changes nothing that a
    guest could see.
    """

    state_type: type[S]
    state: S

    def __init__(self) -> None:
        self.state = self.state_type()

    def reset(self) -> None:
        """Return to power-on state."""
        self.state = self.state_type()
        self.restored()

    def save(self) -> S:
        """A copy of the state as it stands now."""
        self.before_save()
        return copy.deepcopy(self.state)

    def load(self, state: S) -> None:
        """Take over `state` (a copy is made)."""
        self.state = copy.deepcopy(state)
        self.restored()

    def before_save(self) -> None:
        """Bring `self.state` up to date with whatever runs ahead of it (a counter, a pending interrupt)."""

    def restored(self) -> None:
        """Make outputs (interrupt lines, timers) follow `self.state`."""


def encode(state: State) -> dict[str, Any]:
    """`state` as plain values with its version beside it: `{"version": n, "state": {...}}`."""
    return {"version": type(state).version, "state": msgspec.to_builtins(state, builtin_types=(bytes,))}


def decode(state_type: type[S], encoded: dict[str, Any]) -> S:
    """The inverse of `encode`. Raises StateError for an unknown version or members that do not fit."""
    try:
        version = encoded["version"]
        members = encoded["state"]
    except (KeyError, TypeError):
        raise StateError(f"{state_type.__qualname__}: saved state lacks its version or its members") from None
    if not isinstance(version, int):
        raise StateError(f"{state_type.__qualname__}: {version!r} is not a version")
    if version > state_type.version:
        raise StateError(
            f"{state_type.__qualname__}: saved by version {version}, this one knows up to {state_type.version}"
        )
    if version < state_type.version:
        members = state_type.upgrade(version, members)
    try:
        return msgspec.convert(members, state_type, builtin_types=(bytes,))
    except msgspec.ValidationError as error:
        raise StateError(f"{state_type.__qualname__}: {error}") from None
