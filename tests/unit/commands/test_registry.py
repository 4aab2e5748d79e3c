from __future__ import annotations

import pytest
from tests.support.fake_machine import FakeMachine

from varan.api.commands import COMMANDS
from varan.api.values import NameInfo
from varan.commands.registry import PROTOCOL_COMMANDS, HandlerError, bind, handler, handlers


def test_every_schema_command_has_a_handler_and_the_reverse() -> None:
    assert set(handlers()) == set(COMMANDS) - PROTOCOL_COMMANDS


def test_the_protocols_own_commands_are_in_the_schema() -> None:
    assert set(COMMANDS) >= PROTOCOL_COMMANDS


async def test_bound_handlers_work_on_their_machine(machine: FakeMachine) -> None:
    async with FakeMachine(name="other") as other:
        tables = bind(machine), bind(other)  # type: ignore[arg-type]
        names = [(await table["query-name"]()).name for table in tables]
    assert names == ["lizard", "other"]


def test_handler_for_a_command_that_the_schema_lacks_is_refused() -> None:
    async def open_pod_bay_doors(machine: object) -> None: ...

    with pytest.raises(HandlerError, match="no command 'open-pod-bay-doors'"):
        handler("open-pod-bay-doors")(open_pod_bay_doors)


def test_handler_that_is_not_async_is_refused() -> None:
    def query_name(machine: object) -> NameInfo: ...

    with pytest.raises(HandlerError, match="not an async function"):
        handler("query-name")(query_name)  # type: ignore[type-var]


async def _other_name(machine: object, val: int, size: int, file: str, cpu_index: int | None = None) -> None: ...
async def _other_type(machine: object, val: str, size: int, filename: str, cpu_index: int | None = None) -> None: ...
async def _other_default(machine: object, val: int, size: int, filename: str, cpu_index: int | None = 0) -> None: ...
async def _missing(machine: object, val: int, size: int, filename: str) -> None: ...
async def _returns(machine: object, val: int, size: int, filename: str, cpu_index: int | None = None) -> int: ...


@pytest.mark.parametrize("function", [_other_name, _other_type, _other_default, _missing, _returns])
def test_handler_that_differs_from_the_schema_is_refused(function: object) -> None:
    with pytest.raises(HandlerError, match=r"handler of 'memsave': .* where the schema has \(val: int"):
        handler("memsave")(function)  # type: ignore[type-var]
