"""`varan qapi`: check schema files, and make introspection data, documents and code from them."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from varan.qapi.errors import QapiError
from varan.qapi.load import load_schema
from varan.qapi.model import Schema

if TYPE_CHECKING:
    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]

_LENIENT = "accept a forgotten comma, as the tools of 2012 did"


def add_parser(subparsers: Subparsers) -> None:
    """Describe `varan qapi` to the `varan` command's parser."""
    parser = subparsers.add_parser("qapi", help="check schema files and generate code and documents from them")
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    check = _action(actions, "check", "say what is wrong with a schema")
    check.add_argument("--quiet", action="store_true", help="do not print warnings")
    introspect = _action(actions, "introspect", "print what query-qmp-schema would return, as JSON")
    introspect.add_argument(
        "--define",
        action="append",
        metavar="SYMBOL",
        help="take in what depends on this configuration symbol, and on no other (default: everything)",
    )
    docs = _action(actions, "docs", "print a reference in Markdown")
    docs.add_argument("--title", default="Reference", help="the document's heading")
    diff = _action(actions, "diff", "print what another schema has changed")
    diff.add_argument("newer", metavar="NEWER", help="the other schema")
    generate = _action(actions, "generate", "write a package like varan.api", optional_file=True)
    generate.add_argument("--output", type=Path, metavar="FOLDER", help="where to (default: varan.api itself)")


def _action(actions: Subparsers, name: str, text: str, optional_file: bool = False) -> argparse.ArgumentParser:
    parser = actions.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.")
    if optional_file:
        parser.add_argument("file", metavar="FILE", nargs="?", help="the schema's main file (default: Varan's own)")
    else:
        parser.add_argument("file", metavar="FILE", help="the schema's main file")
    parser.add_argument("--lenient", action="store_true", help=_LENIENT)
    return parser


def run(args: argparse.Namespace) -> int:
    """The exit status: 1 if the schema has an error. Complaints go to stderr, one line each."""
    try:
        return _ACTIONS[args.action](args)
    except QapiError as error:
        print(error, file=sys.stderr)
        return 1
    except BrokenPipeError:  # whoever read the output has had enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def _load(args: argparse.Namespace) -> Schema:
    return load_schema(args.file, args.lenient)


def _check(args: argparse.Namespace) -> int:
    schema = _load(args)
    if not args.quiet:
        for warning in schema.warnings:
            print(f"warning: {warning}", file=sys.stderr)
    types = sum(1 for _ in schema.definitions()) - len(schema.commands) - len(schema.events)
    print(f"{args.file}: {len(schema.commands)} commands, {len(schema.events)} events, {types} types")
    return 0


def _introspect(args: argparse.Namespace) -> int:
    from varan.qapi.introspect import introspect

    defined = None if args.define is None else frozenset(args.define)
    print(json.dumps(introspect(_load(args), defined), indent=1))
    return 0


def _docs(args: argparse.Namespace) -> int:
    from varan.qapi.docs import reference

    print(reference(_load(args), args.title), end="")
    return 0


def _diff(args: argparse.Namespace) -> int:
    from varan.qapi.diff import diff

    for change in diff(_load(args), load_schema(args.newer, args.lenient)):
        print(change)
    return 0


def _generate(args: argparse.Namespace) -> int:
    from varan.qapi.generate import OUTPUT, SCHEMA, generate, write

    output = args.output or OUTPUT
    schema = load_schema(args.file or SCHEMA, args.lenient)
    for name in write(generate(schema), output):
        print(f"written: {output / name}")
    return 0


_ACTIONS: dict[str, Callable[[argparse.Namespace], int]] = {
    "check": _check,
    "introspect": _introspect,
    "docs": _docs,
    "diff": _diff,
    "generate": _generate,
}
