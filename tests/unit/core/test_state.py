from __future__ import annotations

from typing import Any, ClassVar

import msgspec
import pytest

from varan.core.state import Device, State, StateError, decode, encode


class LampState(State, kw_only=True):
    version: ClassVar[int] = 2
    level: int = 0
    history: list[int] = msgspec.field(default_factory=list)
    serial: bytes = b"\x00\xff"

    @classmethod
    def upgrade(cls, version: int, members: dict[str, Any]) -> dict[str, Any]:
        return {"level": 100 if members["on"] else 0}


class Lamp(Device[LampState]):
    state_type = LampState

    def __init__(self) -> None:
        super().__init__()
        self.shown = 0

    def restored(self) -> None:
        self.shown = self.state.level


class PlainState(State, kw_only=True):
    value: int = 0


def test_saved_state_shares_nothing_with_the_device() -> None:
    lamp = Lamp()
    lamp.state.history.append(1)
    saved = lamp.save()
    lamp.state.history.append(2)
    assert saved.history == [1]


def test_loaded_state_is_copied_and_shown() -> None:
    lamp, state = Lamp(), LampState(level=7, history=[1])
    lamp.load(state)
    state.history.append(2)
    assert (lamp.shown, lamp.state.history) == (7, [1])


def test_reset_is_the_power_on_state_and_shown() -> None:
    lamp = Lamp()
    lamp.load(LampState(level=7))
    lamp.reset()
    assert lamp.state == LampState()
    assert lamp.shown == 0


def test_state_survives_encoding_with_its_bytes() -> None:
    state = LampState(level=3, history=[1, 2], serial=b"\x80abc")
    encoded = encode(state)
    assert encoded["version"] == 2
    assert encoded["state"]["serial"] == b"\x80abc"
    assert decode(LampState, encoded) == state


def test_older_version_is_upgraded() -> None:
    assert decode(LampState, {"version": 1, "state": {"on": True}}).level == 100


def test_member_that_is_new_gets_its_default() -> None:
    assert decode(LampState, {"version": 2, "state": {"level": 5}}) == LampState(level=5)


@pytest.mark.parametrize(
    ("encoded", "message"),
    [
        ({"version": 3, "state": {}}, "saved by version 3"),
        ({"state": {}}, "lacks its version"),
        ({"version": 2}, "lacks its version"),
        (None, "lacks its version"),
        ({"version": "2", "state": {}}, "not a version"),
        ({"version": 2, "state": {"level": "high"}}, "level"),
        ({"version": 2, "state": []}, "object"),
    ],
)
def test_state_that_does_not_fit_is_refused_with_a_reason(encoded: Any, message: str) -> None:
    with pytest.raises(StateError, match=message):
        decode(LampState, encoded)


def test_type_without_an_upgrade_refuses_older_versions() -> None:
    with pytest.raises(StateError, match="no way from version 0"):
        decode(PlainState, {"version": 0, "state": {}})
