"""A file that is being made: announced and removed when it is not finished."""

from __future__ import annotations

import os

from varan.cli.message import complain
from varan.light import TYPE_CHECKING

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self


class Target:
    """The file `name` while a command fills it. `created`: by the command, so it is removed when that fails or is
    interrupted; otherwise the user is told that the content is incomplete."""

    def __init__(self, name: str, program: str = "varan-img") -> None:
        self.name = name
        self.created = False
        self._begun = False
        self._program = program

    def begin(self, *, created: bool) -> None:
        """From here on the file is half-written."""
        self.created = created
        self._begun = True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None or not self._begun:
            return
        how = "interrupted" if issubclass(kind, KeyboardInterrupt) else "failed"
        if self.created and os.path.isfile(self.name):
            os.unlink(self.name)
            complain(self._program, f"{how}: removed the incomplete '{self.name}'")
        else:
            complain(self._program, f"{how}: the content of '{self.name}' is incomplete")
