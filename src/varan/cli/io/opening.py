"""Commands that open and close the image."""

from __future__ import annotations

from varan.block.base import BlockError, OpenOptions
from varan.block.graph import Source
from varan.block.shell import words as w
from varan.block.shell.session import Command, Session
from varan.cli.img.common import check_cache_mode
from varan.cli.img.images import guessed_raw, image_options
from varan.cli.message import complain

_DISCARD = {"ignore": False, "off": False, "unmap": True, "on": True}


def open_options(session: Session, parsed: w.Words) -> OpenOptions:
    """The options that the words say, over the session's own. Raises UsageError, CommandError."""
    defaults = session.defaults
    cache = parsed.values.get("t", "none" if "n" in parsed.flags else defaults.cache)
    direct, no_flush, writeback = check_cache_mode(cache)
    discard = parsed.values.get("d")
    if discard is not None and discard not in _DISCARD:
        raise w.BadWordsError(f"Invalid discard option: {discard}")
    share = "U" in parsed.flags or defaults.share
    return OpenOptions(
        read_only="r" in parsed.flags or defaults.read_only,
        cache_direct=direct,
        cache_no_flush=no_flush,
        cache_writeback=writeback,
        discard=defaults.discard if discard is None else _DISCARD[discard],
        force_share=share,
    )


def open_image(session: Session, source: Source, options: OpenOptions, format: str | None) -> None:
    """Open the session's image. Raises BadWordsError when one is open, BlockError."""
    if session.node is not None:
        raise w.BadWordsError("varan-io: file open already, try 'help close'")
    try:
        session.open(source, options, format)
    except BlockError as error:
        name = source if isinstance(source, str) else ""
        text = str(error).removeprefix(f"{name}: ")
        raise BlockError(error.kind, f"can't open{f' device {name}' if name else ''}: {text}") from error
    node = session.image
    if node.options.probed and node.driver == "raw" and not node.read_only:
        complain(session.program, f"warning: {guessed_raw(node.filename)}")


def _open(session: Session, words: list[str]) -> None:
    parsed = w.parse("open", words, "rsCnkU", "tdoi")
    options = open_options(session, parsed)
    given = image_options(parsed.values["o"]) if "o" in parsed.values else {}
    path = parsed.operands[0] if parsed.operands else None
    if len(parsed.operands) > 1 or (path is None and not given):
        raise w.BadWordsError("open: one file name is expected")
    if session.defaults.by_options and path is not None:
        open_image(session, image_options(path) | given, options, None)
        return
    format = None if "driver" in given else session.defaults.format
    source: Source = given if path is None else (given | {"filename": path} if given else path)
    open_image(session, source, options, format)
    session.opened = (source, format)


def _close(session: Session, words: list[str]) -> None:
    session.close()


def _reopen(session: Session, words: list[str]) -> None:
    parsed = w.parse("reopen", words, "rw", "co")
    if {"r", "w"} <= parsed.flags:
        raise w.BadWordsError("reopen: only one of -r and -w can be given")
    source, format = session.opened
    node = session.image
    old = node.options
    if "c" in parsed.values:
        direct, no_flush, writeback = check_cache_mode(parsed.values["c"])
    else:
        direct, no_flush, writeback = old.cache_direct, old.cache_no_flush, old.cache_writeback
    options = OpenOptions(
        read_only="r" in parsed.flags or (node.read_only and "w" not in parsed.flags),
        cache_direct=direct,
        cache_no_flush=no_flush,
        cache_writeback=writeback,
        discard=old.discard,
        force_share=old.force_share,
    )
    given = image_options(parsed.values["o"]) if "o" in parsed.values else {}
    if given:
        source = ({"filename": source} if isinstance(source, str) else dict(source)) | given
    session.close()
    open_image(session, source, options, format)
    session.opened = (source, format)


COMMANDS = (
    Command(
        "open",
        "[-rsCnkU] [-t cache] [-d discard] [-o options] [path]",
        "open the file specified by path",
        _open,
        1,
        None,
        " -r, -- read-only\n -n, -- bypass the host's cache, as -t none\n -U, -- though another process may write\n"
        " -t, -- cache mode\n -d, -- discard mode: ignore or unmap\n -o, -- options of the block driver: a=b,c=d",
        needs_image=False,
        aliases=("o",),
    ),
    Command("close", "", "close the current open file", _close, aliases=("c",)),
    Command(
        "reopen",
        "[(-r|-w)] [-c cache] [-o options]",
        "reopens an image with new options",
        _reopen,
        0,
        None,
        " -r, -- read-only\n -w, -- for writing\n -c, -- cache mode\n -o, -- options of the block driver",
    ),
)
