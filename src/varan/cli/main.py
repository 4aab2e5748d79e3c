"""`varan`: the command whose first argument says what to do. Only what that needs is imported."""

from __future__ import annotations

import sys

from varan.cli.message import complain, until_output_closes
from varan.errors import VaranError
from varan.light import TYPE_CHECKING, load
from varan.version import VERSION

if TYPE_CHECKING:
    from collections.abc import Sequence

SUBCOMMANDS = {
    "run": ("varan.cli.run", "start a machine with its console in this terminal"),
    "qmp": ("varan.cli.qmp", "send QMP commands to a running machine"),
    "qapi": ("varan.cli.qapi", "check schema files and generate code and documents from them"),
}
"""Name: the module with `add_parser(subparsers)` and `run(args) -> int`, and what it does."""

TOOLS = {
    "img": ("varan.cli.img.main", "make, convert, check and change disk images (also: varan-img)"),
    "io": ("varan.cli.io.main", "read and write parts of disk images (also: varan-io)"),
}
"""Programs of their own grammar: the module with `main(arguments, program) -> int`, and what it does."""

_HELP_WORDS = ("-h", "--help", "help")
_INTERRUPTED = 130


@until_output_closes
def main(argv: Sequence[str] | None = None) -> int:
    """Do what `argv` (the process's arguments unless given) says; returns the exit status."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if not arguments:
        print(usage(), file=sys.stderr)
        return 1
    if arguments[0] == "--version":
        print(f"varan {VERSION}")
        return 0
    if arguments[0] in _HELP_WORDS:
        if len(arguments) == 1:
            print(usage())
            return 0
        arguments = [arguments[1], "--help"]
    return _dispatch(arguments)


def usage() -> str:
    """What `varan --help` prints."""
    rows = [f"  {name:6}{text}" for name, (_, text) in (SUBCOMMANDS | TOOLS).items()]
    return "\n".join(
        [
            "usage: varan COMMAND ...",
            "",
            "Commands:",
            *rows,
            "",
            "`varan help COMMAND` says more. `varan-system-x86_64 -help` has QEMU's command-line grammar.",
        ]
    )


def _dispatch(arguments: list[str]) -> int:
    name = arguments[0]
    if name in TOOLS:
        return int(load(TOOLS[name][0]).main(arguments[1:], f"varan {name}"))
    if name not in SUBCOMMANDS:
        known = ", ".join(SUBCOMMANDS | TOOLS)
        complain("varan", f"{name}: there is no such command; known are {known}")
        return 1
    from varan.cli.option import HelpRequested
    from varan.cli.parser import Parser

    module = load(SUBCOMMANDS[name][0])
    parser = Parser(prog="varan")
    module.add_parser(parser.add_subparsers(dest="command", required=True))
    try:
        return int(module.run(parser.parse_args(arguments)))
    except HelpRequested as request:
        print(request.text)
        return 0
    except VaranError as error:
        complain(f"varan {name}", error)
        return 1
    except KeyboardInterrupt:
        return _INTERRUPTED


if __name__ == "__main__":
    sys.exit(main())
