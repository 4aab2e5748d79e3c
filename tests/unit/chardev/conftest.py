from collections.abc import AsyncIterator, Callable

import pytest

from varan.chardev import registry
from varan.chardev.base import Chardev

Make = Callable[..., Chardev]


@pytest.fixture
async def make() -> AsyncIterator[Make]:
    """Makes chardevs (id "c") that are closed after the test: `make("socket", path=..., server="on")`."""
    made: list[Chardev] = []

    def make(kind: str, **options: str) -> Chardev:
        chardev = registry.create(kind, "c", {key.replace("_", "-"): value for key, value in options.items()})
        made.append(chardev)
        return chardev

    yield make
    for chardev in made:
        await chardev.close()
