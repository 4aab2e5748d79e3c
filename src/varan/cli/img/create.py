"""`varan img create`: a new image."""

from __future__ import annotations

from varan.block import registry
from varan.block.base import BlockError, CreateOption, Driver, ErrorKind
from varan.block.drive import run_now
from varan.block.naming import relative_to
from varan.cli.img import common
from varan.cli.img.grammar import Command, Flag, Line
from varan.cli.img.images import Images, asks_for_help, format_options
from varan.cli.option import HelpRequested, UsageError
from varan.core.sizes import parse_size

BACKING = Flag("backing", ("-b", "--backing"), "the backing file", "FILE")
BACKING_FORMAT = Flag("backing-format", ("-F", "--backing-format"), "format of the backing file", "FMT")
UNSAFE = Flag("unsafe", ("-u", "--backing-unsafe"), "do not look at the backing file")

SECTOR = 512
ANNOUNCED = {"qcow2": ("cluster_size", "extended_l2", "preallocation", "compression_type", "size")}
"""Options that come first in what is said before an image of a format is made (of others: the size)."""
ANNOUNCED_DEFAULTS = ("cluster_size", "extended_l2", "compression_type", "lazy_refcounts", "refcount_bits")
ON_OFF = ("on", "yes", "true", "y", "off", "no", "false", "n")
_WORDS = {"size": "size", "bool": "bool (on/off)", "string": "str", "number": "num"}


def run(line: Line) -> int:
    """Create the image; returns the exit status."""
    driver = find_driver(line.last("format") or "raw", line.operands[0] if line.operands else "")
    texts = line.all("options")
    if asks_for_help(texts):
        raise HelpRequested(option_list(driver))
    if not line.operands:
        raise UsageError("expecting image file name")
    if len(line.operands) > 2:
        raise UsageError(f"unexpected argument: {line.operands[2]}")
    filename = line.operands[0]
    options = format_options(texts)
    for key, flag in (("backing_file", "backing"), ("backing_fmt", "backing-format")):
        value = line.last(flag)
        if value is not None:
            options[key] = value
    check_options(driver, options, filename)
    if len(line.operands) > 1:
        if "size" in options:
            raise BlockError(ErrorKind.INVALID, "The image size must be specified only once", where=filename)
        options["size"] = str(common.size(line.operands[1], "image size"))
    with Images(line) as images:
        size = _size(images, filename, options, line.has("unsafe"))
        create_image(images, driver, filename, size, options, quiet=line.has("quiet"))
    return 0


def find_driver(format: str, filename: str) -> type[Driver]:
    """The driver of images of `format`. Raises BlockError when there is none or it makes no images."""
    if format not in registry.names():
        raise BlockError(ErrorKind.INVALID, f"Unknown file format '{format}'", where=filename)
    return registry.driver(format)


def option_list(driver: type[Driver]) -> str:
    """What `-o help` prints."""
    options = {option.name: option for option in driver.create_options}
    options.setdefault("size", CreateOption("size", "size", "Virtual disk size"))
    rows = [options[name] for name in sorted(options)]
    return "\n".join([f"Supported {driver.name} options:", *(option_row(option) for option in rows)])


def option_row(option: CreateOption) -> str:
    """An option in a list of options."""
    return f"  {f'{option.name}=<{_WORDS.get(option.kind, option.kind)}>':22} - {option.help}"


def check_options(driver: type[Driver], options: dict[str, str], filename: str) -> None:
    """Raise BlockError for an option that the driver's images do not have."""
    if driver.create.__qualname__ == Driver.create.__qualname__:
        message = f"Format driver '{driver.name}' does not support image creation"
        raise BlockError(ErrorKind.UNSUPPORTED, message, where=filename)
    kinds = {option.name: option.kind for option in driver.create_options}
    known = {*kinds, "size"}
    for name, value in options.items():
        if kinds.get(name) == "bool" and value not in ON_OFF:
            raise BlockError(ErrorKind.INVALID, f"Parameter '{name}' expects 'on' or 'off'", where=filename)
        if name == "backing_file" and name not in known:
            raise BlockError(
                ErrorKind.UNSUPPORTED, f"Backing file not supported for file format '{driver.name}'", where=filename
            )
        if name not in known:
            raise BlockError(ErrorKind.INVALID, f"Invalid parameter '{name}'", where=filename)


def _size(images: Images, filename: str, options: dict[str, str], unsafe: bool) -> int:
    """The size in bytes: as given, else the backing file's."""
    given = options.pop("size", None)
    backing = options.get("backing_file")
    size = None if given is None else parse_size(given)
    if given is not None and size is None:
        raise BlockError(ErrorKind.INVALID, f"Parameter 'size' expects a size, not '{given}'", where=filename)
    if backing and not unsafe:
        found = backing_size(images, filename, backing, options.get("backing_fmt"))
        size = found if size is None else size
    if backing and "backing_fmt" not in options:
        raise BlockError(ErrorKind.INVALID, "Backing file specified without backing format (-F)", where=filename)
    if size is None:
        raise BlockError(ErrorKind.INVALID, "Image creation needs a size parameter", where=filename)
    return size


def backing_size(images: Images, filename: str, backing: str, format: str | None) -> int:
    """The size of the backing file of the image `filename`, in bytes. Raises BlockError."""
    path = relative_to(filename, backing)
    if path is None:
        raise BlockError(ErrorKind.INVALID, f"backing file '{backing}' is relative to no directory", where=filename)
    try:
        node = images.open(path, format, by_options=False)
    except BlockError as error:
        raise BlockError(error.kind, f"Could not open backing image: {error}", where=filename) from error
    size = node.length
    images.close(node)
    return size


def create_image(
    images: Images, driver: type[Driver], filename: str, size: int, options: dict[str, str], *, quiet: bool
) -> None:
    """Make the image, saying so first unless `quiet`. Raises BlockError that names the file."""
    if not quiet:
        print(_announcement(driver, filename, size, options))
    run_now(driver.create(filename, -(-size // SECTOR) * SECTOR, options, images.secret))


def _announcement(driver: type[Driver], filename: str, size: int, options: dict[str, str]) -> str:
    known = {option.name: option for option in driver.create_options}
    values: dict[str, object] = {"size": size}
    for name, option in known.items():
        text = options.get(name, option.default if name in ANNOUNCED_DEFAULTS else None)
        if text is not None and name != "size":
            values[name] = _normal(text, option.kind)
    order = [name for name in known if name.startswith("encrypt")]
    order += [name for name in (*ANNOUNCED.get(driver.name, ("size",)), *known) if name not in order]
    words = [f"{name}={str(values[name]).replace(',', ',,')}" for name in dict.fromkeys(order) if name in values]
    return " ".join([f"Formatting '{filename}', fmt={driver.name}", *words])


def _normal(value: str, kind: str) -> object:
    if kind == "bool":
        return {"yes": "on", "true": "on", "no": "off", "false": "off"}.get(value, value)
    return parse_size(value) if kind == "size" and parse_size(value) is not None else value


COMMAND = Command(
    "create",
    "FILE [SIZE]",
    "Make a new image. Without SIZE it is as large as its backing file.",
    (
        Flag("format", ("-f", "--format"), "format of the image (raw)", "FMT"),
        BACKING,
        BACKING_FORMAT,
        UNSAFE,
        common.OPTIONS,
        common.OBJECT,
        common.QUIET,
    ),
    run,
)
