"""Makes `varan.api` from `varan/schema`: `python -m varan.qapi.generate [--schema FILE] [--output FOLDER]`."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

import msgspec

from varan.qapi.emit.client import emit_client
from varan.qapi.emit.commands import emit_commands
from varan.qapi.emit.events import emit_events
from varan.qapi.emit.names import TypeNames
from varan.qapi.emit.values import emit_values
from varan.qapi.errors import QapiError
from varan.qapi.introspect import introspect
from varan.qapi.load import load_schema
from varan.qapi.model import Schema

_PACKAGE = Path(__file__).resolve().parent.parent
SCHEMA = _PACKAGE / "schema" / "varan.json"
OUTPUT = _PACKAGE / "api"

_INIT = '"""The machine protocol in Python: generated from a schema by `varan qapi generate`."""\n'


def generate(schema: Schema) -> dict[str, str]:
    """The text of each file of the package, by name. QapiError: the schema has what cannot be in Python."""
    names = TypeNames(schema)
    entities = [msgspec.json.encode(entity).decode() for entity in introspect(schema)]
    return {
        "__init__.py": _INIT,
        "values.py": emit_values(schema, names),
        "commands.py": emit_commands(schema, names),
        "events.py": emit_events(schema, names),
        "client.py": emit_client(schema, names),
        "introspection.json": "[\n" + ",\n".join(entities) + "\n]\n",
    }


def write(files: dict[str, str], folder: Path) -> list[str]:
    """Write what differs, each file whole or not at all; the names of those written."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, text in files.items():
        path = folder / name
        if path.exists() and path.read_text(encoding="utf-8") == text:
            continue
        new = path.with_name(f".{name}.new")
        new.write_text(text, encoding="utf-8")
        os.replace(new, path)
        written.append(name)
    return written


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m varan.qapi.generate", description="Generate varan.api.")
    parser.add_argument("--schema", type=Path, default=SCHEMA, help="the schema's main file")
    parser.add_argument("--output", type=Path, default=OUTPUT, help="the folder of the generated package")
    options = parser.parse_args(arguments)
    try:
        files = generate(load_schema(options.schema))
    except QapiError as error:
        print(error, file=sys.stderr)
        return 1
    for name in write(files, options.output):
        print(f"written: {options.output / name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
