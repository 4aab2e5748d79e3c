from __future__ import annotations

from pathlib import Path

import pytest

from varan.qapi.errors import QapiError
from varan.qapi.load import load_schema


def _write(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        path = folder / f"{name}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder / "main.json"


def _errors(path: Path) -> list[str]:
    with pytest.raises(QapiError) as caught:
        load_schema(path)
    return str(caught.value).replace(f"{path.parent}/", "").split("\n")


def test_include_is_relative_to_the_including_file(tmp_path: Path) -> None:
    main = _write(
        tmp_path,
        main="{ 'include': 'sub/a.json' }",
        **{"sub/a": "{ 'include': 'b.json' }", "sub/b": "{ 'command': 'go' }"},
    )
    schema = load_schema(main)
    assert list(schema.commands) == ["go"]
    assert [module.path for module in schema.modules] == [
        str(main), f"{tmp_path}/sub/a.json", f"{tmp_path}/sub/b.json"
    ]  # fmt: skip


def test_include_twice_and_in_a_circle_reads_each_file_once(tmp_path: Path) -> None:
    main = _write(
        tmp_path,
        main="{ 'include': 'a.json' } { 'include': './a.json' } { 'command': 'main' }",
        a="{ 'include': 'main.json' } { 'command': 'a' }",
    )
    assert list(load_schema(main).commands) == ["a", "main"]


def test_error_in_included_file_tells_the_way_to_it(tmp_path: Path) -> None:
    main = _write(
        tmp_path,
        main="\n{ 'include': 'a.json' }",
        a="#\n#\n{ 'include': 'b.json' }",
        b="{ 'command': 'go', 'returns': 'Place' }",
    )
    assert _errors(main) == [
        "In file included from a.json:3:",
        "In file included from main.json:2:",
        "b.json:1:20: In command 'go': there is no type 'Place'",
    ]


def test_errors_come_file_by_file_from_top_to_bottom(tmp_path: Path) -> None:
    main = _write(
        tmp_path,
        main="{ 'include': 'a.json' }\n{ 'command': 'x', 'data': 'A' }\n{ 'event': 'no' }",
        a="{ 'command': 'y', 'data': 'B' }",
    )
    assert [line.split(": ")[0] for line in _errors(main) if "included" not in line] == [
        "main.json:2:19",
        "main.json:3:3",
        "a.json:1:19",
    ]


def test_syntax_error_in_included_file_leaves_the_rest_to_be_read(tmp_path: Path) -> None:
    main = _write(tmp_path, main="{ 'include': 'a.json' }\n{ 'command': 'Go' }", a="[")
    assert [line.split(": ")[0] for line in _errors(main) if "included" not in line] == [
        "main.json:2:3",
        "a.json:1:1",
    ]


def test_dialect_is_decided_per_file(tmp_path: Path) -> None:
    main = _write(
        tmp_path,
        main="{ 'include': 'old.json' } { 'struct': 'New', 'data': { 'old': 'Old' } }",
        old="{ 'type': 'Old', 'data': { 'in': { 'x': 'int', }, }, }",
    )
    assert {"Old", "New"} <= set(load_schema(main).types)


def test_pragma_holds_for_the_files_that_are_included_after_it(tmp_path: Path) -> None:
    main = _write(
        tmp_path,
        main="{ 'pragma': { 'command-name-exceptions': [ 'do_it' ] } } { 'include': 'a.json' }",
        a="{ 'command': 'do_it' }",
    )
    assert list(load_schema(main).commands) == ["do_it"]


def test_file_that_is_not_there_is_an_error_of_its_own(tmp_path: Path) -> None:
    assert _errors(tmp_path / "main.json") == ["main.json:1:1: cannot read it: No such file or directory"]


def test_folder_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "main.json").mkdir()
    assert _errors(tmp_path / "main.json") == ["main.json:1:1: cannot read it: Is a directory"]


def test_include_with_a_null_byte_in_its_name_is_an_error(tmp_path: Path) -> None:
    main = _write(tmp_path, main="{ 'include': 'a\0.json' }")
    assert _errors(main) == ["main.json:1:16: '\\x00' cannot be in a string: only printable ASCII can"]


def test_bytes_that_are_not_utf8_are_an_error_at_their_place(tmp_path: Path) -> None:
    main = tmp_path / "main.json"
    main.write_bytes(b"# first\n# \xe9t\xe9\n")
    assert _errors(main) == ["main.json:2:3: byte 0xe9 is not UTF-8"]


def test_lines_may_end_as_on_dos(tmp_path: Path) -> None:
    main = tmp_path / "main.json"
    main.write_bytes(b"##\r\n# @go:\r\n#\r\n# Go.\r\n##\r\n{ 'command': 'go' }\r\n{ 'command': 'Go' }\r\n")
    assert _errors(main)[0].startswith("main.json:7:3: In command 'Go':")
