"""The argument parser of the `varan` command: a bad command line is one line, and exit status 1."""

from __future__ import annotations

import argparse
from typing import NoReturn

from varan.cli.option import UsageError


class Parser(argparse.ArgumentParser):
    """An argument parser that raises UsageError. Subcommands' parsers are of this class as well."""

    def error(self, message: str) -> NoReturn:
        """Called for a command line that does not fit."""
        raise UsageError(message)
