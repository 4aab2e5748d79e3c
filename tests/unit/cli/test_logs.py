"""What -d, -D and -msg make of the log."""

from __future__ import annotations

import io
import logging
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from varan.cli import logs
from varan.cli.process import ProcessSpec
from varan.errors import VaranError


@pytest.fixture(autouse=True)
def unchanged_log() -> Iterator[None]:
    root = logging.getLogger("varan")
    handlers, level = root.handlers, root.level
    yield
    for handler in root.handlers:
        handler.close()
    root.handlers, root.propagate = handlers, True
    root.setLevel(level)
    for item in logs.ITEMS:
        logging.getLogger(f"varan.{item}").setLevel(logging.NOTSET)


def logged(**process: Any) -> str:
    """What reaches the stream of three messages in two packages."""
    stream = io.StringIO()
    spec = ProcessSpec(**process)
    logs.configure(spec, logs.MessageFormat("varan-test", spec), stream)
    logging.getLogger("varan.accel").info("chosen")
    logging.getLogger("varan.qmp.server").debug("detail")
    logging.getLogger("varan.qmp.server").warning("trouble")
    return stream.getvalue()


def test_warnings_and_the_choice_of_accelerator_show_by_default() -> None:
    assert logged() == "varan-test: chosen\nvaran-test: trouble\n"


def test_chosen_accelerator_is_not_announced_to_who_chose_it() -> None:
    assert logged(announce_accelerator=False) == "varan-test: trouble\n"


@pytest.mark.parametrize("item", ["qmp", "all"])
def test_item_shows_detail(item: str) -> None:
    assert "varan-test: detail\n" in logged(log_items=(item,))


def test_log_file_takes_the_log_and_names_the_process(tmp_path: Path) -> None:
    assert logged(log_file=str(tmp_path / "log-%d"), label="vm") == ""
    (path,) = tmp_path.iterdir()
    assert path.name.removeprefix("log-").isdigit()
    assert path.read_text() == "vm varan-test: chosen\nvm varan-test: trouble\n"


def test_log_file_that_cannot_be_opened_is_named() -> None:
    with pytest.raises(VaranError, match="cannot open log file '/nonexistent/log': No such file or directory"):
        logged(log_file="/nonexistent/log")


def test_timestamp_is_utc_with_microseconds() -> None:
    form = logs.MessageFormat("p", ProcessSpec(timestamps=True))
    assert form.format("text", 1.25) == "1970-01-01T00:00:01.250000Z p: text"


def test_items_are_the_loggers_there_are() -> None:
    source = Path(logs.__file__).parents[1]
    subjects = set()
    for path in source.rglob("*.py"):
        package = path.relative_to(source).parts[0]
        for argument in re.findall(r"^log\w* = logging\.getLogger\((.+?)\)$", path.read_text(), re.MULTILINE):
            subjects.add(package if argument == "__name__" else argument.strip('"').split(".")[1])
    assert subjects == logs.ITEMS.keys() - {"all"}
