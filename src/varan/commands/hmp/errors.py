"""What a line typed at the human monitor can get wrong."""

from __future__ import annotations

from varan.errors import VaranError


class HmpError(VaranError):
    """A line that cannot be understood or carried out; the text is shown to whoever typed it."""
