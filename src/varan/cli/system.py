"""`varan-system-x86_64`: a machine described in QEMU's command-line grammar."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from varan.cli.message import complain, until_output_closes
from varan.cli.option import HelpRequested, UsageError
from varan.cli.options import parse_command_line

PROGRAM = "varan-system-x86_64"


@until_output_closes
def main(argv: Sequence[str] | None = None) -> int:
    """Run the machine that `argv` (the process's arguments unless given) describes; returns the exit status."""
    arguments = sys.argv[1:] if argv is None else argv
    try:
        configuration = parse_command_line(arguments, PROGRAM)
    except HelpRequested as request:
        print(request.text)
        return 0
    except UsageError as error:
        complain(PROGRAM, error)
        return 1
    from varan.cli import host

    return host.run(configuration, PROGRAM)


if __name__ == "__main__":
    sys.exit(main())
