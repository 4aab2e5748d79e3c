"""Opening images the way a command line says: by file name or options, format, cache mode and secrets."""

from __future__ import annotations

from varan.block.base import BlockError, ErrorKind, Node, OpenOptions
from varan.block.drive import run_now
from varan.block.graph import Graph
from varan.cli.img.common import check_cache_mode
from varan.cli.img.grammar import Line
from varan.cli.message import complain
from varan.cli.option import UsageError
from varan.light import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from types import TracebackType
    from typing import Any, Self, TypeVar

    T = TypeVar("T")


class Images:
    """The images that one command uses, each in a graph of its own. A context that closes them."""

    def __init__(self, line: Line, program: str = "varan-img") -> None:
        self.program = program
        self.by_options = line.has("image-opts")
        self.share = line.has("share")
        self.secret = secrets(line.all("object"))
        self._graphs: dict[Node, Graph] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.close_all()
        except BlockError:
            if kind is None:
                raise

    def open(
        self,
        name: str,
        format: str | None = None,
        *,
        write: bool = False,
        cache: str | None = None,
        no_backing: bool = False,
        by_options: bool | None = None,
        share: bool | None = None,
        describe: bool = False,
        driver_options: dict[str, Any] | None = None,
    ) -> Node:
        """Open an image, read-only unless `write`. Raises BlockError that begins with what could not be opened."""
        direct, no_flush, writeback = check_cache_mode(cache or "writeback")
        by_options = self.by_options if by_options is None else by_options
        if by_options and format is not None:
            raise UsageError("--image-opts and --format are mutually exclusive")
        share = self.share if share is None else share
        if share and write:
            raise UsageError(f"{name}: --force-share is only for images that are read")
        options = OpenOptions(
            read_only=not write,
            cache_direct=direct,
            cache_no_flush=no_flush,
            cache_writeback=writeback,
            discard=write,
            force_share=share,
            no_backing=no_backing,
            describe_only=describe,
            driver_options=driver_options or {},
        )
        graph = Graph(secret=self.secret, inline=True)
        source = image_options(name) if by_options else name
        try:
            node = run_now(graph.open(source, format=format, options=options, user=self.program))
        except BlockError as error:
            raise _could_not_open(name, error) from error
        self._graphs[node] = graph
        if write and node.options.probed and node.driver == "raw":
            self.warn(guessed_raw(name))
        return node

    def close(self, node: Node) -> None:
        """Close one image. Raises BlockError."""
        run_now(self._graphs.pop(node).close_all())

    def close_all(self) -> None:
        """Close what is open. Raises the first BlockError after closing all."""
        failure: BlockError | None = None
        for node in list(self._graphs):
            try:
                self.close(node)
            except BlockError as error:
                failure = failure or error
        if failure is not None:
            raise failure

    def warn(self, text: str) -> None:
        """Print a warning."""
        complain(self.program, f"warning: {text}")

    def drive(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """The result of an operation on open images. Raises BlockError."""
        return run_now(coroutine)


def guessed_raw(name: str) -> str:
    """What is to be known about an image that is written though its format was guessed."""
    return (
        f"the format of '{name}' was not given and it looks like raw; its first sector cannot be written with what "
        "looks like another format (-f raw lifts that)"
    )


def _could_not_open(name: str, error: BlockError) -> BlockError:
    text = str(error)
    if text.startswith(f"Could not open '{name}'"):
        return error
    return BlockError(error.kind, f"Could not open '{name}': {text.removeprefix(f'{name}: ')}", offset=error.offset)


def image_options(text: str) -> dict[str, str]:
    """The options of `--image-opts`. Raises KeyvalError."""
    from varan.core.keyval import parse

    return {pair.key: pair.value for pair in parse(text)}


def format_options(texts: list[str]) -> dict[str, str]:
    """The options of all `-o`. Raises KeyvalError."""
    if not texts:
        return {}
    from varan.core.keyval import parse

    return {pair.key: pair.value for text in texts for pair in parse(text)}


def asks_for_help(texts: list[str]) -> bool:
    """Whether an `-o` asks for the list of options."""
    return any(item in ("help", "?") for text in texts for item in text.split(","))


def secrets(definitions: list[str]) -> Callable[[str], bytes]:
    """The look-up of the secrets that `--object` defines. Raises UsageError, BlockError."""
    if not definitions:
        return _no_secret
    from varan.block.crypto.secret import Secrets
    from varan.core.keyval import parse

    secrets = Secrets()
    for definition in definitions:
        options = {pair.key: pair.value for pair in parse(definition, "qom-type")}
        if options.get("qom-type") != "secret":
            raise UsageError(f"--object {options.get('qom-type', '')}: only objects of type 'secret' are known")
        secrets.add(options)
    return secrets.get


def _no_secret(name: str) -> bytes:
    raise BlockError(ErrorKind.ENCRYPTED, f"No secret with id '{name}'")
