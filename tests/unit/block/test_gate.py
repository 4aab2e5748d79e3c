from __future__ import annotations

import asyncio

from varan.block.gate import Gate


async def test_what_comes_to_a_shut_gate_waits() -> None:
    gate = Gate()
    order: list[str] = []

    async def operation(name: str) -> None:
        async with gate:
            order.append(name)
            await asyncio.sleep(0)

    first = asyncio.create_task(operation("first"))
    await asyncio.sleep(0)
    gate.close()
    gate.close()
    second = asyncio.create_task(operation("second"))
    await gate.emptied()
    assert first.done()
    gate.open()
    await asyncio.sleep(0)
    order.append("change")
    gate.open()
    await gate.drained()
    assert second.done()
    assert order == ["first", "change", "second"]
