"""The kinds of network back end there are: a kind is added by a file that registers itself."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from varan.net.base import Netdev, NetdevError

if TYPE_CHECKING:
    from varan.net.network import Network

Options = Iterable[tuple[str, str]]
"""As the command line spells them; some keys may come several times."""
Factory = Callable[[str, Options, "Network"], Netdev]
"""(id, options, the machine's network) -> back end, not open. Raises NetdevError for a bad option."""

_KINDS: dict[str, str] = {
    "dgram": "varan.net.dgram",
    "hubport": "varan.net.hub",
    "socket": "varan.net.socket",
    "stream": "varan.net.stream",
    "tap": "varan.net.tap",
    "user": "varan.net.user",
}


def kinds() -> list[str]:
    """Every kind's name."""
    return sorted(_KINDS)


def create(kind: str, id: str, options: Options, network: Network) -> Netdev:
    """A back end of `kind`, not open. Raises NetdevError for an unknown kind or a bad option."""
    module = _KINDS.get(kind)
    if module is None:
        raise NetdevError(f"netdev '{id}': there is no kind '{kind}'; known are {', '.join(kinds())}")
    factory: Factory = importlib.import_module(module).create
    return factory(id, options, network)
