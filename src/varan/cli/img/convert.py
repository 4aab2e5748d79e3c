"""`varan img convert`: copy images into a new one, of another format, compressed, sparse, encrypted."""

from __future__ import annotations

from varan.block.base import BlockError, Driver, ErrorKind, Node
from varan.block.operations.convert import ConvertOptions, convert, reads_as_zero
from varan.cli.img import common
from varan.cli.img.create import check_options, create_image, find_driver, option_list
from varan.cli.img.grammar import Command, Flag, Line
from varan.cli.img.images import Images, asks_for_help, format_options
from varan.cli.img.progress import Progress
from varan.cli.img.snapshots import SNAPSHOT, load_snapshot
from varan.cli.img.target import Target
from varan.cli.option import HelpRequested, UsageError
from varan.light import record

FLAGS = (
    common.FORMAT,
    Flag("target-format", ("-O",), "format of the new image (raw)", "FMT"),
    common.OPTIONS,
    Flag("backing", ("-B",), "backing file of the new image: only what differs from it is written", "FILE"),
    Flag("backing-format", ("-F",), "format of the backing file", "FMT"),
    Flag("compressed", ("-c",), "compress (qcow2)"),
    SNAPSHOT,
    Flag("sparse", ("-S",), "shortest run of zeros that is left out (4k); 0: everything is written", "SIZE"),
    Flag("no-create", ("-n",), "the target exists already"),
    Flag("target-is-zero", ("--target-is-zero",), "with -n: the target reads as zeros"),
    Flag("copy-range", ("-C",), "let the kernel copy from file to file"),
    Flag("salvage", ("--salvage",), "write zeros for what cannot be read"),
    Flag("bitmaps", ("--bitmaps",), "copy the persistent dirty bitmaps too"),
    Flag("skip-broken-bitmaps", ("--skip-broken-bitmaps",), "with --bitmaps: leave out inconsistent ones"),
    Flag("depth", ("-m",), "pieces under way at a time, 1 to 16 (8)", "COUNT"),
    Flag("out-of-order", ("-W",), "pieces may be written out of order"),
    Flag("rate", ("-r",), "bytes per second at most", "RATE"),
    common.PROGRESS,
    common.QUIET,
    common.CACHE,
    common.SOURCE_CACHE,
    common.OBJECT,
    common.IMAGE_OPTS,
    Flag("target-image-opts", ("--target-image-opts",), "with -n: the target is named by options"),
    common.SHARE,
)
DEFAULT_SPARSE = 4096
MAX_SPARSE = 16 << 20
SECTOR = 512


@record(frozen=True, slots=True)
class _Job:
    """What the command line asks for, checked."""

    line: Line
    driver: type[Driver]
    options: dict[str, str]
    sources: list[str]
    target: str
    sparse: int


def run(line: Line) -> int:
    """Convert; returns the exit status."""
    job = _parse(line)
    images = Images(line)
    with images, Target(job.target) as target:
        _convert(job, images, target)
    return 0


def _parse(line: Line) -> _Job:
    texts = line.all("options")
    driver = find_driver(line.last("target-format") or "raw", "")
    if asks_for_help(texts):
        raise HelpRequested(option_list(driver))
    if len(line.operands) < 2:
        raise UsageError("must specify image file name" if line.operands else "expecting image file names")
    *sources, target = line.operands
    sparse = _sparse(line)
    for mode in (line.last("cache"), line.last("source-cache")):
        common.check_cache_mode(mode or "writeback")
    _refuse_contradictions(line)
    if line.has("backing") and len(sources) > 1:
        raise UsageError("having a backing file for the target makes no sense when concatenating multiple input images")
    options = format_options(texts)
    if line.has("no-create") and options:
        raise UsageError("-o has no effect when -n says that nothing is created")
    if line.has("backing") and "backing_fmt" not in options and not line.has("backing-format"):
        raise UsageError("the format of a backing file (-B) must be given (-F)")
    for key, flag in (("backing_file", "backing"), ("backing_fmt", "backing-format")):
        value = line.last(flag)
        if value is not None:
            options[key] = value
    if not line.has("no-create"):
        check_options(driver, options, target)
    return _Job(line, driver, options, sources, target, sparse)


_WITHOUT = (
    ("copy-range", "sparse", "cannot enable copy offloading when -S is used"),
    ("copy-range", "compressed", "cannot enable copy offloading when -c is used"),
    ("copy-range", "salvage", "cannot enable copy offloading when --salvage is used"),
    ("target-is-zero", "backing", "--target-is-zero contradicts a target with a backing file"),
)
_ONLY_WITH = (
    ("skip-broken-bitmaps", "bitmaps", "--skip-broken-bitmaps requires use of --bitmaps flag"),
    ("target-is-zero", "no-create", "--target-is-zero requires use of -n flag"),
    ("target-image-opts", "no-create", "--target-image-opts requires use of -n flag"),
)


def _refuse_contradictions(line: Line) -> None:
    """Raises UsageError for options that exclude or want each other."""
    for one, other, message in _WITHOUT:
        if line.has(one) and line.has(other):
            raise UsageError(message)
    for one, other, message in _ONLY_WITH:
        if line.has(one) and not line.has(other):
            raise UsageError(message)


def _sparse(line: Line) -> int:
    text = line.last("sparse")
    if text is None:
        return DEFAULT_SPARSE
    size = common.size(text, "-S")
    if size % SECTOR or size > MAX_SPARSE:
        raise UsageError(
            f"invalid buffer size for sparse output specified: multiples of {SECTOR} up to {MAX_SPARSE} are valid, "
            "0 disables sparse detection"
        )
    return size


def _convert(job: _Job, images: Images, target: Target) -> None:
    line = job.line
    depth = common.number(line, "depth", 8, 1, 16)
    sources = [images.open(name, line.last("format"), cache=line.last("source-cache")) for name in job.sources]
    if line.has("snapshot") and len(sources) > 1:
        raise UsageError("no support for concatenating multiple snapshot")
    load_snapshot(images, sources[0], line.last("snapshot"))
    if line.has("compressed") and not _compresses(job):
        raise BlockError(ErrorKind.UNSUPPORTED, "Compression not supported for this file format", where=job.target)
    node = _open_target(job, images, target, sum(source.length for source in sources))
    with Progress(line.has("progress") and not line.has("quiet")) as progress:
        convert(
            sources,
            node,
            ConvertOptions(
                sparse=job.sparse,
                depth=depth,
                target_is_zero=line.has("target-is-zero") or (not _has_backing(job) and reads_as_zero(node)),
                target_has_backing=_has_backing(job),
                compressed=line.has("compressed"),
                salvage=line.has("salvage"),
                copy_range=line.has("copy-range"),
                rate=common.size(line.last("rate") or "0", "-r"),
                progress=progress,
                warn=None if line.has("quiet") else images.warn,
            ),
        )
    if line.has("bitmaps"):
        _copy_bitmaps(job, images, sources[0], node)
    images.close(node)


def _open_target(job: _Job, images: Images, target: Target, size: int) -> Node:
    line = job.line
    cache = line.last("cache") or "unsafe"
    if not line.has("no-create"):
        if any(_same_file(name, job.target) for name in job.sources):
            raise BlockError(ErrorKind.IN_USE, "source and target are the same file", where=job.target)
        fresh = not _exists(job.target)
        try:
            create_image(images, job.driver, job.target, _create_size(job, size), job.options, quiet=True)
        except BlockError as error:
            text = f"error while converting {job.driver.name}: {error}"
            raise BlockError(error.kind, text, where=job.target) from error
        target.begin(created=fresh)
    by_options = line.has("target-image-opts")
    format = None if by_options else job.driver.name
    node = images.open(
        job.target,
        format,
        write=True,
        cache=cache,
        by_options=by_options,
        share=False,
        driver_options=_key_options(job),
    )
    if line.has("no-create"):
        target.begin(created=False)
    return node


def _key_options(job: _Job) -> dict[str, str]:
    """The options by which an encrypted target that was just created is opened."""
    names = ("encrypt.key-secret", "key-secret")
    return {name: job.options[name] for name in names if name in job.options and name in job.driver.open_options}


def _create_size(job: _Job, size: int) -> int:
    given = job.options.pop("size", None)
    wanted = size if given is None else common.size(given, "size")
    return -(-max(wanted, 0) // SECTOR) * SECTOR


def _exists(name: str) -> bool:
    import os.path

    return os.path.exists(name)


def _same_file(one: str, two: str) -> bool:
    import os.path

    try:
        return os.path.samefile(one, two)
    except OSError:
        return False


def _has_backing(job: _Job) -> bool:
    return "backing_file" in job.options


def _compresses(job: _Job) -> bool:
    return any(option.name == "compression_type" for option in job.driver.create_options)


def _copy_bitmaps(job: _Job, images: Images, source: Node, target: Node) -> None:
    from varan.block.operations.bitmap import copy_all

    images.drive(copy_all(source, target, skip_broken=job.line.has("skip-broken-bitmaps"), warn=images.warn))


COMMAND = Command(
    "convert", "SOURCE [SOURCE...] TARGET", "Copy images, one after the other, into a new one.", FLAGS, run
)
