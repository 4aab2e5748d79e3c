"""The help and docs/command-line.md keep up with the option table."""

from __future__ import annotations

from varan.cli import documentation
from varan.cli.options import OPTIONS, render_help
from varan.cli.run import FLAGS


def test_document_is_fresh() -> None:
    assert documentation.TARGET.read_text() == documentation.render(), "run `make generate`"


def test_document_and_help_hold_every_option() -> None:
    document, text = documentation.render(), render_help("varan-system-x86_64")
    for option in OPTIONS:
        assert f"`-{option.name}" in document
        assert f"-{option.name}" in text.replace(",", " ").split()
    for flag in FLAGS:
        assert f"`--{flag.name}" in document


def test_options_are_explained_in_sentences() -> None:
    for option in OPTIONS:
        assert option.help[0].isupper() and option.help.endswith("."), option.name


def test_help_fits_a_terminal_but_for_synopses() -> None:
    for line in render_help("varan-system-x86_64").splitlines():
        assert len(line) <= 80 or line.startswith("  -"), line
