"""A chardev's options."""

from __future__ import annotations

from varan.chardev.base import ChardevError
from varan.core import params


class Params(params.Params):
    """See `varan.core.params`."""

    noun = "chardev"
    error_type = ChardevError
    documentation = "docs/chardevs.md"
