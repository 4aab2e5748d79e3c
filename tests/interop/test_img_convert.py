"""Images written by one program are the same to the other, whatever options they were made with."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.support.image_programs import Outcome, qemu_img, qemu_io, varan_img

pytestmark = pytest.mark.interop

OPTIONS = (
    "compat=1.1",
    "compat=0.10",
    "cluster_size=512",
    "cluster_size=2M",
    "refcount_bits=1",
    "refcount_bits=64,cluster_size=4k",
    "extended_l2=on",
    "lazy_refcounts=on",
    "preallocation=metadata",
    "preallocation=full",
    "compression_type=zstd",
    "data_file={name}.data,data_file_raw=on",
)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with `source.raw`: data, holes, zeros and odd places."""
    directory = tmp_path_factory.mktemp("source")
    assert qemu_img(directory, "create -f raw source.raw 9M").status == 0
    words = ["write -P 1 0 128k", "write -P 2 1000000 300001", "write -P 0 3M 1M", "write -P 9 8388000 1k"]
    assert qemu_io(directory, "-f", "raw", *(w for word in words for w in ("-c", word)), "source.raw").status == 0
    return directory


def _done(outcome: Outcome) -> None:
    assert outcome.status == 0, outcome.out + outcome.err


@pytest.mark.parametrize("options", OPTIONS)
def test_an_image_that_varan_writes_is_sound_and_the_same_to_qemu(source: Path, options: str) -> None:
    options = options.format(name="ours")
    _done(varan_img(source, f"convert -f raw -O qcow2 -o {options} source.raw ours.qcow2"))
    _done(qemu_img(source, "check ours.qcow2"))
    _done(qemu_img(source, "compare -F raw ours.qcow2 source.raw"))


@pytest.mark.parametrize("options", OPTIONS)
def test_an_image_that_qemu_writes_is_sound_and_the_same_to_varan(source: Path, options: str) -> None:
    options = options.format(name="theirs")
    _done(qemu_img(source, f"convert -f raw -O qcow2 -o {options} source.raw theirs.qcow2"))
    _done(varan_img(source, "check theirs.qcow2"))
    _done(varan_img(source, "compare -F raw theirs.qcow2 source.raw"))
    _done(varan_img(source, "convert -O raw theirs.qcow2 back.raw"))
    _done(qemu_img(source, "compare -f raw -F raw back.raw source.raw"))


@pytest.mark.parametrize(
    "flags",
    [
        "-c",
        "-c -o compression_type=zstd",
        "-c -o cluster_size=4k",
        "-S 0",
        "-S 64k",
        "-m 1",
        "-m 16 -W",
        "-t none",
        "-t writethrough",
    ],
)
def test_flags_of_convert_change_nothing_that_is_read(source: Path, flags: str) -> None:
    _done(varan_img(source, f"convert {flags} -f raw -O qcow2 source.raw flagged.qcow2"))
    _done(qemu_img(source, "check flagged.qcow2"))
    _done(qemu_img(source, "compare -F raw flagged.qcow2 source.raw"))


@pytest.mark.parametrize("flags", ["", "-C", "-S 0", "-t none -T none"])
def test_raw_to_raw(source: Path, flags: str) -> None:
    _done(varan_img(source, f"convert {flags} -f raw -O raw source.raw copy.raw"))
    assert (source / "copy.raw").read_bytes() == (source / "source.raw").read_bytes()


def test_an_encrypted_image_goes_both_ways(source: Path) -> None:
    secret = "--object secret,id=s,data=hidden"
    options = "-o encrypt.format=luks,encrypt.key-secret=s,encrypt.iter-time=10"
    named = "driver=qcow2,encrypt.key-secret=s,file.filename"
    _done(varan_img(source, f"convert {secret} {options} -f raw -O qcow2 source.raw luks.qcow2"))
    _done(qemu_img(source, f"compare {secret} --image-opts {named}=luks.qcow2 driver=raw,file.filename=source.raw"))
    _done(qemu_img(source, f"convert {secret} {options} -f raw -O qcow2 source.raw luks2.qcow2"))
    _done(varan_img(source, f"compare {secret} --image-opts {named}=luks2.qcow2 driver=raw,file.filename=source.raw"))


def test_only_what_differs_from_the_backing_file_is_copied(source: Path) -> None:
    _done(qemu_img(source, "create -f qcow2 -b source.raw -F raw top.qcow2"))
    _done(qemu_io(source, "-c", "write -P 8 2M 64k", "top.qcow2"))
    _done(varan_img(source, "convert -O qcow2 -B source.raw -F raw top.qcow2 overlay.qcow2"))
    _done(qemu_img(source, "compare top.qcow2 overlay.qcow2"))
    assert "0x200000        0x10000" in qemu_img(source, "map overlay.qcow2").out
    assert (source / "overlay.qcow2").stat().st_size < 1 << 20


def test_several_sources_follow_one_another(source: Path) -> None:
    _done(varan_img(source, "convert -f raw -O qcow2 source.raw source.raw twice.qcow2"))
    _done(qemu_img(source, "convert -f raw -O qcow2 source.raw source.raw twice-too.qcow2"))
    _done(qemu_img(source, "compare twice.qcow2 twice-too.qcow2"))


def test_a_snapshot_and_the_bitmaps_are_copied(source: Path) -> None:
    _done(qemu_img(source, "convert -f raw -O qcow2 source.raw snap.qcow2"))
    _done(qemu_img(source, "snapshot -c first snap.qcow2"))
    _done(qemu_io(source, "-c", "write -P 5 0 64k", "snap.qcow2"))
    _done(varan_img(source, "convert -l first -O raw snap.qcow2 first.raw"))
    _done(qemu_img(source, "compare -f raw -F raw first.raw source.raw"))
    _done(qemu_img(source, "bitmap --add -g 64k snap.qcow2 changes"))
    _done(varan_img(source, "convert --bitmaps -O qcow2 snap.qcow2 with-bitmaps.qcow2"))
    assert "name: changes" in qemu_img(source, "info with-bitmaps.qcow2").out
