from __future__ import annotations

from varan.api.commands import COMMANDS
from varan.commands import compatibility


def test_the_document_is_up_to_date() -> None:
    assert compatibility.TARGET.read_text(encoding="utf-8") == compatibility.render(), "run `make generate`"


def test_history_names_known_documents_only() -> None:
    named = {document for entry in compatibility.history().values() for document in entry.documents}
    assert named == set(compatibility.DOCUMENTS)


def test_history_lists_as_many_commands_as_the_documents_have() -> None:
    entries = compatibility.history().values()
    counts = {key: sum(key in entry.documents for entry in entries) for key in compatibility.DOCUMENTS}
    assert counts == {
        "2012-01-18": 46,
        "2012-02-23": 49,
        "2012-03-19": 52,
        "migration-5.2": 23,
        "migration-7.0": 26,
    }


def test_history_and_schema_agree() -> None:
    for name, entry in compatibility.history().items():
        if name in COMMANDS:
            assert (COMMANDS[name].since, COMMANDS[name].removed) == (entry.since, entry.removed), name


def test_what_is_there_is_marked_and_what_is_not_too() -> None:
    rows = {line.split("`")[1]: line for line in compatibility.render().splitlines() if line.startswith("| `")}
    assert rows["memsave"].endswith("| yes |")
    assert rows["query-commands"].endswith("| yes |")
    assert rows["migrate"].endswith("| not yet |")
    assert "query-cpus-fast" in rows
