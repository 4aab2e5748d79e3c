"""Types of state members with their bounds.

Saved state comes from files and from other hosts: a value that a register cannot hold is refused when it is decoded, so
that device code need not think of it.
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

Byte = Annotated[int, Meta(ge=0, le=0xFF)]
Word = Annotated[int, Meta(ge=0, le=0xFFFF)]
Dword = Annotated[int, Meta(ge=0, le=0xFFFF_FFFF)]
Level = Annotated[int, Meta(ge=0, le=7)]
"""One of eight interrupt levels."""
