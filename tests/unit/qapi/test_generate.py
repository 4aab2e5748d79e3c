"""The generated package: it is fresh, and what it does with every construct of the language."""

from __future__ import annotations

import importlib
import inspect
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import msgspec
import pytest
from msgspec import UNSET

from varan.qapi.errors import QapiError
from varan.qapi.generate import OUTPUT, SCHEMA, generate, main, write
from varan.qapi.load import load_schema, load_text

_SCHEMA = """
{ 'pragma': { 'member-name-exceptions': [ 'Base' ], 'command-returns-exceptions': [ 'get-any', 'count' ] } }
{ 'enum': 'Kind', 'data': [ 'a-b', '4', 'none' ] }
{ 'struct': 'Base', 'data': { 'class': 'str', '*str': 'int8', '*list': [ 'Base' ], '*A_b': 'uint64' } }
{ 'struct': 'Derived', 'base': 'Base', 'data': { 'x': 'any', '*y': 'any', '*ref': 'Ref' } }
{ 'struct': 'Branch', 'data': { '*next': 'Shape' } }
{ 'union': 'Shape', 'base': { 'kind': 'Kind', '*id': 'str' }, 'discriminator': 'kind',
  'data': { 'a-b': 'Branch', '4': 'Derived' } }
{ 'alternate': 'Ref', 'data': { 's': 'str', 'o': 'Shape', 'l': [ 'int' ] } }
{ 'alternate': 'StrOrNull', 'data': { 's': 'str', 'n': 'null' } }
{ 'struct': 'CommandInfo', 'data': { 'name': 'str' } }
##
# @save:
#
# Save it, "here" or \\there.
#
# @val: what
#
# Since: 1.0
# Removed: 2.0
##
{ 'command': 'save', 'data': { '*cpu-index': 'uint8', 'val': 'int', '*to': 'StrOrNull' } }
{ 'command': 'get-any', 'returns': [ 'any' ], 'gen': false }
{ 'command': 'count', 'data': 'Derived', 'returns': 'int', 'allow-oob': true, 'features': [ 'unstable' ] }
{ 'command': 'draw', 'boxed': true, 'data': 'Shape', 'returns': [ 'CommandInfo' ] }
{ 'command': 'device-add', 'gen': false, 'data': { 'driver': 'str' }, 'success-response': false }
{ 'command': '__com.example_x', 'data': { '__com.example_import': 'str', 'x-y': 'bool' } }
{ 'event': 'BLOCK_JOB_READY', 'data': { 'job-id': 'str', '*kind': 'Kind' } }
{ 'event': 'DRAWN', 'boxed': true, 'data': 'Derived' }
"""


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimpleNamespace]:
    """The modules generated from _SCHEMA."""
    folder = tmp_path_factory.mktemp("generated")
    write(generate(load_text(_SCHEMA)), folder / "qapi_test_api")
    sys.path.insert(0, str(folder))
    try:
        names = ("values", "commands", "events", "client")
        yield SimpleNamespace(**{name: importlib.import_module(f"qapi_test_api.{name}") for name in names})
    finally:
        sys.path.remove(str(folder))
        for name in [name for name in sys.modules if name.startswith("qapi_test_api")]:
            del sys.modules[name]


def _decode(text: str, kind: Any) -> Any:
    return msgspec.json.decode(text, type=kind)


def test_checked_in_package_is_what_the_schema_gives() -> None:
    files = generate(load_schema(SCHEMA))
    assert {path.name for path in OUTPUT.iterdir() if path.is_file()} == set(files)
    for name, text in files.items():
        assert (OUTPUT / name).read_bytes() == text.encode(), f"api/{name} is stale: run `make generate`"


def test_own_schema_has_nothing_to_warn_of() -> None:
    assert load_schema(SCHEMA).warnings == []


def test_write_touches_only_what_differs(tmp_path: Path) -> None:
    assert write({"a": "1", "b": "2"}, tmp_path / "new") == ["a", "b"]
    assert write({"a": "1", "b": "3"}, tmp_path / "new") == ["b"]
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == ["a", "b"]


def test_main_reports_a_schema_that_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "x.json").write_text("{ 'command': 'Go' }")
    assert main(["--schema", str(tmp_path / "x.json"), "--output", str(tmp_path / "out")]) == 1
    assert "x.json:1:3: In command 'Go'" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_enum_values_become_constants(api: SimpleNamespace) -> None:
    assert [(value.name, value.value) for value in api.values.Kind] == [
        ("A_B", "a-b"),
        ("V4", "4"),
        ("NONE", "none"),
    ]


def test_struct_keeps_the_names_of_the_wire(api: SimpleNamespace) -> None:
    value = api.values.Base(class_="x", str_=-3, list_=[api.values.Base(class_="y")])
    assert msgspec.json.encode(value) == b'{"class":"x","str":-3,"list":[{"class":"y"}]}'
    assert _decode('{"class":"x"}', api.values.Base).A_b is UNSET


def test_struct_has_the_members_of_its_base(api: SimpleNamespace) -> None:
    value = _decode('{"class":"c","x":null,"ref":[1]}', api.values.Derived)
    assert isinstance(value, api.values.Base)
    assert (value.class_, value.x, value.y, value.ref) == ("c", None, UNSET, [1])


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ('{"class":"c","x":1,"str":200}', r"<= 127 - at `\$.str`"),
        ('{"class":"c","x":1,"A_b":-1}', r">= 0 - at `\$.A_b`"),
        ('{"class":1,"x":1}', r"Expected `str`, got `int` - at `\$.class`"),
        ('{"x":1}', "missing required field `class`"),
        ('{"class":"c","x":1,"z":1}', "unknown field `z`"),
        ('{"class":"c","x":1,"ref":true}', r"got `bool` - at `\$.ref`"),
    ],
)
def test_arguments_that_do_not_fit_are_named(api: SimpleNamespace, text: str, complaint: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=complaint):
        _decode(text, api.commands.COMMANDS["count"].arguments)


def test_union_is_decoded_by_its_discriminator(api: SimpleNamespace) -> None:
    shape = api.commands.COMMANDS["draw"].arguments
    inner = _decode('{"kind":"a-b","id":"i","next":{"kind":"4","class":"c","x":1}}', shape)
    assert isinstance(inner, api.values.Branch)
    assert (inner.kind, inner.id) == (api.values.Kind.A_B, "i")
    assert isinstance(inner.next, api.values.Derived)
    assert inner.next.kind is api.values.Kind.V4
    assert msgspec.json.decode(msgspec.json.encode(inner)) == {
        "kind": "a-b", "id": "i", "next": {"kind": "4", "class": "c", "x": 1}
    }  # fmt: skip
    assert _decode('{"kind":"none"}', shape).kind is api.values.Kind.NONE
    with pytest.raises(msgspec.ValidationError, match="Invalid value 'zz'"):
        _decode('{"kind":"zz"}', shape)


def test_values_that_only_servers_send_may_have_more_members(api: SimpleNamespace) -> None:
    returned = api.commands.COMMANDS["draw"].returns
    assert _decode('[{"name":"x","news":1}]', returned) == [api.values.CommandInfo(name="x")]


def test_command_table_has_everything_a_dispatcher_needs(api: SimpleNamespace) -> None:
    table = api.commands.COMMANDS
    save = table["save"]
    assert (save.name, save.function, save.since, save.removed) == ("save", "save", "1.0", "2.0")
    assert (save.returns, save.boxed, save.raw, save.success_response) == (None, False, False, True)
    assert table["count"].arguments is api.values.Derived
    assert (table["count"].allow_oob, table["count"].features) == (True, ("unstable",))
    assert table["draw"].boxed
    assert table["device-add"].raw
    assert table["device-add"].arguments is None
    assert not table["device-add"].success_response
    assert table["__com.example_x"].function == "com_example_x"


def test_signatures_have_optional_parameters_last(api: SimpleNamespace) -> None:
    def of(name: str) -> str:
        return str(inspect.signature(getattr(api.commands.Signatures, name))).replace("'", "")

    assert of("save") == ("(self, val: int, cpu_index: int | None = None, to: StrOrNull | UnsetType = UNSET) -> None")
    assert of("get_any") == "(self) -> list[Any]"
    assert of("draw") == "(self, arguments: Shape) -> list[CommandInfoValue]"
    assert of("device_add") == "(self, arguments: dict[str, Any]) -> None"
    assert of("com_example_x") == "(self, com_example_import: str, x_y: bool) -> None"


def test_event_is_its_name_and_its_data(api: SimpleNamespace) -> None:
    event = api.events.BlockJobReady(job_id="j", kind=api.values.Kind.V4)
    assert event.NAME == "BLOCK_JOB_READY"
    assert msgspec.to_builtins(event) == {"job-id": "j", "kind": "4"}
    assert api.events.EVENTS["DRAWN"](class_="c", x=1).class_ == "c"


def _client(api: SimpleNamespace, reply: Any) -> tuple[Any, list[Any]]:
    """A client that answers `reply`, and what it was asked."""
    asked: list[Any] = []

    class Client(api.client.Commands):  # type: ignore[misc]
        async def execute(self, name: str, arguments: dict[str, Any] | None = None) -> Any:
            asked.append((name, arguments))

        async def call(self, command: Any, arguments: Any) -> Any:
            asked.append((command.name, None if arguments is None else msgspec.to_builtins(arguments)))
            return reply

    return Client(), asked


async def test_client_methods_send_what_was_given(api: SimpleNamespace) -> None:
    client, asked = _client(api, 7)
    await client.save(1)
    await client.save(1, cpu_index=0, to=None)
    assert await client.count("c", None, str_=1) == 7
    await client.draw(api.values.NoneShape())
    await client.device_add({"driver": "x", "more": [1]})
    assert await client.get_any() == 7
    assert asked == [
        ("save", {"val": 1}),
        ("save", {"val": 1, "cpu-index": 0, "to": None}),
        ("count", {"class": "c", "x": None, "str": 1}),
        ("draw", {"kind": "none"}),
        ("device-add", {"driver": "x", "more": [1]}),
        ("get-any", None),
    ]


def test_documentation_is_there_for_people(api: SimpleNamespace) -> None:
    text = inspect.getdoc(api.client.Commands.save)
    assert text is not None
    assert text.startswith('Save it, "here" or \\there.')
    assert "val: what" in text


@pytest.mark.parametrize("module", ["values", "commands", "events", "client"])
def test_lines_are_ruffs_length_and_modules_say_where_they_come_from(api: SimpleNamespace, module: str) -> None:
    generated: ModuleType = getattr(api, module)
    text = inspect.getsource(generated)
    assert "change the schema, not this file" in text
    assert text.endswith("\n")


def test_union_within_a_union_cannot_be_generated() -> None:
    schema = load_text(
        "{ 'enum': 'Kind', 'data': [ 'a' ] } { 'struct': 'Alpha', 'data': {} }"
        "{ 'union': 'Inner', 'base': { 'sort': 'Kind' }, 'discriminator': 'sort', 'data': { 'a': 'Alpha' } }"
        "{ 'union': 'Outer', 'base': { 'kind': 'Kind' }, 'discriminator': 'kind', 'data': { 'a': 'Inner' } }"
    )
    with pytest.raises(QapiError, match="branch 'a' is a union itself"):
        generate(schema)


def test_event_whose_data_is_a_union_cannot_be_generated() -> None:
    schema = load_text(
        "{ 'enum': 'Kind', 'data': [ 'a' ] } { 'struct': 'Alpha', 'data': {} }"
        "{ 'union': 'Shape', 'base': { 'kind': 'Kind' }, 'discriminator': 'kind', 'data': { 'a': 'Alpha' } }"
        "{ 'event': 'DRAWN', 'boxed': true, 'data': 'Shape' }"
    )
    with pytest.raises(QapiError, match="event 'DRAWN': its data is a union"):
        generate(schema)


def test_old_dialect_can_be_generated_from_as_well() -> None:
    files = generate(
        load_text(
            "{ 'type': 'Version', 'data': { 'qemu': { 'major': 'int', '*minor': 'int' }, 'package': 'str' } }"
            "{ 'union': 'Action', 'data': { 'alpha': 'Version', } }"
            "{ 'command': 'get', 'data': { 'action': 'Action' }, 'returns': 'Version' }"
        )
    )
    namespace: dict[str, Any] = {"__name__": "old_values"}
    module = ModuleType("old_values")
    sys.modules["old_values"] = module
    try:
        exec(compile(files["values.py"], "values.py", "exec"), module.__dict__)
        namespace = module.__dict__
        value = _decode('{"qemu":{"major":1},"package":"p"}', namespace["Version"])
        assert value.qemu.major == 1
        action = _decode('{"type":"alpha","data":{"qemu":{"major":2},"package":""}}', namespace["Action"])
        assert action.data.qemu.major == 2
    finally:
        del sys.modules["old_values"]


def test_types_called_like_what_the_package_needs_itself_get_another_name() -> None:
    files = generate(
        load_text(
            "{ 'struct': 'Input', 'data': { 'x': 'Any' } } { 'struct': 'Any', 'data': { 'y': 'any' } }"
            "{ 'command': 'go', 'data': 'Input' }"
        )
    )
    assert "class Input_(Input, kw_only=True):\n    x: Any_\n" in files["values.py"]
    assert "arguments=Input_" in files["commands.py"]
