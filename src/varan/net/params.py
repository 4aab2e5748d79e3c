"""A network back end's options."""

from __future__ import annotations

from varan.core import params
from varan.net.base import NetdevError


class Params(params.Params):
    """See `varan.core.params`."""

    noun = "netdev"
    error_type = NetdevError
    documentation = "docs/network.md"
