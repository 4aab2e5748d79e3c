from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from tests.support.fake_machine import FakeMachine


@pytest.fixture
async def machine() -> AsyncIterator[FakeMachine]:
    async with FakeMachine() as machine:
        yield machine
