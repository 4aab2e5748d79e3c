"""Images of every kind, made and written by one tool, then read, described, checked and written on by the other."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pytest
from tests.support.image_tools import Tools, qemu, varan

pytestmark = pytest.mark.interop

SIZE = 6 << 20
KIB = 1 << 10
SECRET = "secret,id=key,data=a passphrase"


@dataclass(frozen=True)
class Case:
    """A kind of image. `backing` is the format of the image below it."""

    options: dict[str, str] = field(default_factory=dict)
    backing: str | None = None
    encrypted: bool = False
    external: bool = False
    compressed: bool = True
    """Whether clusters can be written compressed."""


LUKS = {"encrypt.format": "luks", "encrypt.key-secret": "key", "encrypt.iter-time": "60"}
CASES = {
    "defaults": Case(),
    "clusters of 512": Case({"cluster_size": "512"}),
    "clusters of 4k": Case({"cluster_size": "4k"}),
    "clusters of 2M": Case({"cluster_size": "2M"}),
    **{f"{bits}-bit counts": Case({"refcount_bits": str(bits), "cluster_size": "4k"}) for bits in (1, 2, 4, 8, 32, 64)},
    "version 2": Case({"compat": "0.10"}),
    "version 2, clusters of 1k": Case({"compat": "v2", "cluster_size": "1k"}),
    "lazy counts": Case({"lazy_refcounts": "on", "cluster_size": "8k"}),
    "subclusters": Case({"extended_l2": "on"}),
    "subclusters of 512": Case({"extended_l2": "on", "cluster_size": "16k"}),
    "subclusters of 64k": Case({"extended_l2": "on", "cluster_size": "2M"}),
    "subclusters over a backing file": Case({"extended_l2": "on", "cluster_size": "32k"}, backing="qcow2"),
    "preallocated metadata": Case({"preallocation": "metadata"}, compressed=False),
    "preallocated by falloc": Case({"preallocation": "falloc", "cluster_size": "4k"}, compressed=False),
    "preallocated in full": Case({"preallocation": "full", "cluster_size": "16k"}, compressed=False),
    "preallocated subclusters": Case({"preallocation": "metadata", "extended_l2": "on"}, compressed=False),
    "zstd": Case({"compression_type": "zstd"}),
    "zstd, clusters of 4k": Case({"compression_type": "zstd", "cluster_size": "4k"}),
    "over qcow2": Case({"cluster_size": "4k"}, backing="qcow2"),
    "over raw": Case(backing="raw"),
    "version 2 over raw": Case({"compat": "0.10", "cluster_size": "2k"}, backing="raw"),
    "data file": Case({"data_file": "data"}, external=True, compressed=False),
    "raw data file": Case({"data_file": "data", "data_file_raw": "on"}, external=True, compressed=False),
    "data file over qcow2": Case({"data_file": "data", "cluster_size": "8k"}, "qcow2", external=True, compressed=False),
    "luks": Case(LUKS, encrypted=True, compressed=False),
    "luks, clusters of 4k, over raw": Case(LUKS | {"cluster_size": "4k"}, "raw", encrypted=True, compressed=False),
    "luks, aes-128-cbc": Case(
        LUKS
        | {"encrypt.cipher-alg": "aes-128", "encrypt.cipher-mode": "cbc", "encrypt.ivgen-alg": "essiv"}
        | {"encrypt.ivgen-hash-alg": "sha256", "encrypt.hash-alg": "sha1"},
        encrypted=True,
        compressed=False,
    ),
    "aes": Case({"encrypt.format": "aes", "encrypt.key-secret": "key"}, encrypted=True, compressed=False),
}


class Model:
    """What the image must show, kept up by the commands that its tools are given."""

    def __init__(self, content: bytearray) -> None:
        self.content = content

    def write(self, offset: int, length: int, pattern: int, option: str = "") -> str:
        self.content[offset : offset + length] = bytes([pattern]) * length
        return f"write {option} -P {pattern} {offset} {length}"

    def zero(self, offset: int, length: int, option: str = "-z") -> str:
        self.content[offset : offset + length] = bytes(length)
        return f"write {option} {offset} {length}"


class Matter:
    """One image of a case in a directory, and how tools are told to open it."""

    def __init__(self, directory: Path, case: Case, name: str = "disk.qcow2") -> None:
        self.case = case
        self.path = str(directory / name)
        self.directory = directory
        data = f"file.filename={self.path}"
        self.named = (
            ["--object", SECRET, "--image-opts", f"driver=qcow2,encrypt.key-secret=key,{data}"]
            if case.encrypted
            else ["-f", "qcow2", self.path]
        )

    def create(self, tools: Tools) -> Model:
        """Have the image made, and the one below it."""
        case = self.case
        options = dict(case.options)
        words = ["create", "-q", "-f", "qcow2"]
        if case.encrypted:
            words += ["--object", SECRET]
        if case.external:
            options["data_file"] = str(self.directory / "external.data")
        below = bytearray(SIZE)
        if case.backing is not None:
            base = str(self.directory / f"base.{case.backing}")
            tools.img("create", "-q", "-f", case.backing, base, str(SIZE - 300 * KIB))
            model = Model(below)
            commands = [model.write(at * KIB, 100 * KIB, 1 + at % 251) for at in range(0, 5 << 10, 150)]
            tools.io(["-f", case.backing, base], [*commands, model.zero(1 << 20, 64 * KIB)])
            words += ["-b", base, "-F", case.backing]
        if options:
            words += ["-o", ",".join(f"{name}={value}" for name, value in options.items())]
        tools.img(*words, self.path, str(SIZE))
        return Model(below)

    def first_commands(self, model: Model) -> list[str]:
        commands = [
            model.write(0, 64 * KIB, 0x11),
            model.write(200 * KIB, 4 * KIB, 0x22),
            model.write(201 * KIB + 512, 512, 0x33),
            model.write(1000 * KIB, 300 * KIB, 0x44),
            model.zero(1100 * KIB, 64 * KIB),
            model.zero(1024 * KIB, 16 * KIB, "-z -u"),
            model.write(SIZE - 3 * KIB, 3 * KIB, 0x55),
        ]
        if self.case.compressed:
            size = 2 << 20
            commands.append(model.write(size, size, 0x66, "-c"))
        return [*commands, "flush"]

    def later_commands(self, model: Model) -> list[str]:
        return [
            model.write(32 * KIB, 64 * KIB, 0x77),
            model.zero(2100 * KIB, 128 * KIB, "-z -u"),
            model.write(2400 * KIB, 5 * KIB, 0x88),
            model.write(5 << 20, 600 * KIB, 0x99),
            model.zero(0, 4 * KIB),
            "flush",
        ]


def agree(matter: Matter, *tools: Tools) -> None:
    """Both describe, map and check the image alike, and find nothing wrong."""
    one, other = tools
    for what in ("info", "map", "check"):
        assert one.json(what, *matter.named) == other.json(what, *matter.named), what
        if what != "map":
            assert one.img(what, *matter.named) == other.img(what, *matter.named), what
    found = one.json("check", *matter.named)
    assert not {"corruptions", "leaks"} & found.keys() and found["check-errors"] == 0


def shows(matter: Matter, tools: Tools, model: Model) -> None:
    """The image shows what the model has, to the tools' reader and to their comparison."""
    raw = matter.directory / f"as-{tools.name}-reads.raw"
    form = ["--object", SECRET, "--image-opts"] if matter.case.encrypted else ["-f", "qcow2"]
    tools.img("convert", *form, "-O", "raw", matter.named[-1], str(raw))
    assert raw.read_bytes() == bytes(model.content)
    if not matter.case.encrypted:
        tools.img("compare", "-f", "qcow2", "-F", "raw", matter.path, str(raw))


SIDES = ["qemu first", "varan first"]


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("name", CASES)
def test_both_tools_agree_on_an_image_and_take_turns_writing_it(tmp_path: Path, name: str, side: str) -> None:
    pair = (qemu(), varan())
    one, other = pair if side == "qemu first" else pair[::-1]
    matter = Matter(tmp_path, CASES[name])
    model = matter.create(one)
    agree(matter, one, other)
    one.io(matter.named, matter.first_commands(model))
    agree(matter, one, other)
    shows(matter, one, model)
    shows(matter, other, model)
    other.io(matter.named, matter.later_commands(model))
    agree(matter, one, other)
    shows(matter, one, model)
    shows(matter, other, model)
