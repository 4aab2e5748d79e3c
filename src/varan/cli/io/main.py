"""`varan-io`: commands from `-c` or standard input, done on one image."""

from __future__ import annotations

import sys

from varan.block.shell.session import Defaults, Session
from varan.block.shell.words import Words
from varan.cli.img.common import IMAGE_OPTS, OBJECT, SHARE
from varan.cli.img.grammar import Flag, Line, option_rows, parse
from varan.cli.img.images import image_options, secrets
from varan.cli.img.process import run_process
from varan.cli.io import opening, process
from varan.cli.message import complain
from varan.cli.option import HelpRequested, UsageError
from varan.errors import VaranError
from varan.light import TYPE_CHECKING
from varan.version import VERSION

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import NoReturn

PROGRAM = "varan-io"
PROMPT = "qemu-io> "
FLAGS = (
    Flag("cmd", ("-c", "--cmd"), "do this command; may be given often", "COMMAND"),
    Flag("format", ("-f", "--format"), "format of the image; probed when not given", "FMT"),
    Flag("read-only", ("-r", "--read-only"), "open read-only"),
    Flag("snapshot", ("-s", "--snapshot"), "write to a temporary overlay"),
    Flag("nocache", ("-n", "--nocache"), "bypass the host's cache, as -t none"),
    Flag("cache", ("-t", "--cache"), "cache mode", "MODE"),
    Flag("discard", ("-d", "--discard"), "discard mode: ignore or unmap", "MODE"),
    Flag("copy-on-read", ("-C", "--copy-on-read"), "what is read from a backing file is kept in the image"),
    Flag("misalign", ("-m", "--misalign"), "without meaning"),
    Flag("native-aio", ("-k", "--native-aio"), "without meaning"),
    Flag("aio", ("-i", "--aio"), "threads, native or io_uring: all are served alike", "MODE"),
    IMAGE_OPTS,
    OBJECT,
    SHARE,
    Flag("version", ("-V", "--version"), "print the version"),
)
_INTERRUPTED = 130


def main(argv: Sequence[str] | None = None, program: str = PROGRAM) -> int:
    """Do what `argv` (the process's arguments unless given) says; returns the exit status."""
    words = list(sys.argv[1:] if argv is None else argv)
    try:
        return _run(parse(words, FLAGS))
    except HelpRequested:
        print("\n".join([f"usage: {program} [options] [FILE]", "", *option_rows(FLAGS)]))
        return 0
    except VaranError as error:
        complain(program, error)
        return 1
    except KeyboardInterrupt:
        return _INTERRUPTED


def program() -> NoReturn:
    """`varan-io`: `main` in a process of its own."""
    run_process(main)


def _run(line: Line) -> int:
    if line.has("version"):
        print(f"{PROGRAM} {VERSION}")
        return 0
    if len(line.operands) > 1:
        raise UsageError(f"one file at most is expected; {line.operands[1]} is too much")
    session = Session(_defaults(line), secrets(line.all("object")))
    session.learn((*opening.COMMANDS, *process.COMMANDS))
    try:
        if line.operands:
            _open(session, line)
        for command in line.all("cmd") if line.has("cmd") else _typed():
            session.execute(command)
            if session.finished:
                break
    finally:
        _close(session)
    return 1 if session.failed else 0


def _defaults(line: Line) -> Defaults:
    return Defaults(
        format=line.last("format"),
        read_only=line.has("read-only"),
        cache="none" if line.has("nocache") else line.last("cache") or "writeback",
        share=line.has("share"),
        by_options=line.has("image-opts"),
    )


def _open(session: Session, line: Line) -> None:
    if line.has("snapshot"):
        raise UsageError("-s: temporary overlays are not supported; make one with varan-img create -b")
    if line.has("image-opts") and line.has("format"):
        raise UsageError("--image-opts and -f are mutually exclusive")
    aio = line.last("aio") or "threads"
    if aio not in ("threads", "native", "io_uring"):
        raise UsageError(f"Invalid aio option: {aio}")
    name = line.operands[0]
    words = Words(values={"d": line.last("discard") or "unmap"})
    options = opening.open_options(session, words)
    source = image_options(name) if line.has("image-opts") else name
    format = line.last("format")
    if line.has("copy-on-read"):
        inner = source if isinstance(source, dict) else {"filename": source}
        if format is not None:
            inner = {"driver": format} | inner
        source, format = {"driver": "copy-on-read"} | {f"file.{key}": value for key, value in inner.items()}, None
    opening.open_image(session, source, options, format)
    session.opened = (source, format)


def _close(session: Session) -> None:
    try:
        session.close()
    except VaranError as error:
        complain(PROGRAM, error)
        session.failed = True


def _typed() -> Iterator[str]:
    """Lines of standard input, each asked for with a prompt."""
    while True:
        print(PROMPT, end="", flush=True)
        line = sys.stdin.readline()
        if not line:
            return
        yield line


if __name__ == "__main__":
    program()
