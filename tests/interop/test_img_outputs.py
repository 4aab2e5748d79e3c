"""varan-img says what qemu-img says, and exits as it does."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from tests.support.image_programs import qemu_img, qemu_io, varan_img

pytestmark = pytest.mark.interop


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory of images that QEMU made."""
    directory = tmp_path_factory.mktemp("images")
    for command in (
        "create -f qcow2 a.qcow2 8M",
        "create -f qcow2 -b a.qcow2 -F qcow2 b.qcow2",
        "create -f qcow2 c.qcow2 1M",
        "create -f qcow2 empty.qcow2 8M",
        "create -f qcow2 -b a.qcow2 -F qcow2 s.qcow2",
        "create -f qcow2 -o data_file=ext.raw d.qcow2 1M",
        "create -f qcow2 -o data_file=raw.raw,data_file_raw=on raw-data.qcow2 1M",
        "create -f qcow2 -o lazy_refcounts=on,extended_l2=on,cluster_size=128k ex.qcow2 8M",
        "create -f qcow2 -o compat=0.10,refcount_bits=16,cluster_size=4k v2.qcow2 1M",
        "create -f qcow2 -b none.qcow2 -F qcow2 -u orphan.qcow2 1G",
        "create -f raw r.raw 3M",
        "create -f raw short.raw 1M",
        "create --object secret,id=s,data=abc -f qcow2 -o "
        "encrypt.format=luks,encrypt.key-secret=s,encrypt.iter-time=10 l.qcow2 1M",
        "create --object secret,id=s,data=abc -f luks -o key-secret=s,iter-time=10 l.luks 1M",
    ):
        assert qemu_img(directory, command).status == 0, command
    for file, *commands in (
        ("a.qcow2", "write -P 1 0 128k", "write -P 2 1M 1M", "write -z 4M 1M"),
        ("b.qcow2", "write -P 3 64k 64k", "write -z 1M 64k"),
        ("c.qcow2", "write -c -P 1 0 128k", "write -P 2 256k 64k"),
        ("d.qcow2", "write -P 2 64k 128k"),
        ("v2.qcow2", "write -P 2 64k 128k"),
    ):
        words = [word for command in commands for word in ("-c", command)]
        assert qemu_io(directory, "-f", "qcow2", *words, file).status == 0, file
    qemu_io(directory, "-f", "raw", "-c", "write -P 7 70000 1k", "r.raw")
    for command in ("snapshot -c s1 s.qcow2", "bitmap --add s.qcow2 on", "bitmap --add --disable -g 128k s.qcow2 off"):
        assert qemu_img(directory, command).status == 0, command
    return directory


READING = (
    "info a.qcow2",
    "info --backing-chain b.qcow2",
    "info s.qcow2",
    "info d.qcow2",
    "info ex.qcow2",
    "info v2.qcow2",
    "info l.qcow2",
    "info orphan.qcow2",
    "info l.luks",
    "info r.raw",
    "info --image-opts driver=qcow2,file.driver=file,file.filename=a.qcow2,lazy-refcounts=on",
    """info 'json:{"driver":"qcow2","file":{"driver":"file","filename":"a.qcow2"}}'""",
    "map a.qcow2",
    "map b.qcow2",
    "map c.qcow2",
    "map -f raw r.raw",
    "map -s 64k -l 128k b.qcow2",
    "check a.qcow2",
    "check c.qcow2",
    "check s.qcow2",
    "check -q a.qcow2",
    "check -f raw r.raw",
    "compare a.qcow2 b.qcow2",
    "compare a.qcow2 a.qcow2",
    "compare -s a.qcow2 a.qcow2",
    "compare -s a.qcow2 empty.qcow2",
    "compare -q a.qcow2 b.qcow2",
    "compare -f raw -F raw r.raw short.raw",
    "compare -s -f raw -F raw r.raw short.raw",
    "compare nofile a.qcow2",
    "compare a.qcow2",
    "measure -O qcow2 --size 1G",
    "measure -O qcow2 a.qcow2",
    "measure -O qcow2 s.qcow2",
    "measure -O raw b.qcow2",
    "measure -O qcow2 -o cluster_size=4k,refcount_bits=1 b.qcow2",
    "measure -O qcow2 -o extended_l2=on b.qcow2",
    "measure -O qcow2 -o preallocation=full b.qcow2",
    "measure -O qcow2 --size 1T -o cluster_size=512",
    "measure -O qcow2 -f raw r.raw",
    "measure -O qcow2",
    "measure --size 1M a.qcow2",
    "snapshot -l s.qcow2",
    "snapshot -l a.qcow2",
    "info nofile",
    "info a.qcow2 b.qcow2",
    "info --output=xml a.qcow2",
    "info -f qcow2 r.raw",
    "info --backing-chain orphan.qcow2",
    "check nofile",
    "check -r bad a.qcow2",
    "check -q --output=json a.qcow2",
    "check -f qcow2 --image-opts driver=qcow2,file.filename=a.qcow2",
    "compare -T zork a.qcow2 b.qcow2",
    "compare -f qcow2 --image-opts driver=qcow2,file.filename=a.qcow2 driver=qcow2,file.filename=a.qcow2",
    "measure --object secret,id=s,data=abc -O luks -o key-secret=s,cipher-alg=aes-128 --size 1G",
    "measure --object secret,id=s,data=abc -O qcow2 -o encrypt.format=luks,encrypt.key-secret=s,"
    "encrypt.cipher-alg=aes-128 --size 1G",
    "no-such-command",
    "",
)


@pytest.mark.parametrize("command", READING)
def test_what_is_printed_and_the_exit_status_are_the_same(images: Path, command: str) -> None:
    theirs, ours = qemu_img(images, command), varan_img(images, command)
    assert (ours.status, ours.out) == (theirs.status, theirs.out)
    assert bool(ours.err) == bool(theirs.err)
    assert ours.err.count("\n") <= 1


@pytest.mark.parametrize(
    "command",
    [
        "info --output=json a.qcow2",
        "info --output=json --backing-chain b.qcow2",
        "info --output=json s.qcow2",
        "info --output=json d.qcow2",
        "info --output=json ex.qcow2",
        "info --output=json v2.qcow2",
        "info --output=json l.qcow2",
        "info --output=json l.luks",
        "info --output=json r.raw",
        "map --output=json a.qcow2",
        "map --output=json b.qcow2",
        "map --output=json c.qcow2",
        "map --output=json s.qcow2",
        "map --output=json v2.qcow2",
        "map --output=json -f raw r.raw",
        "map --output=json -s 64k -l 128k b.qcow2",
        "check --output=json a.qcow2",
        "check --output=json c.qcow2",
        "check --output=json s.qcow2",
        "check --output=json ex.qcow2",
        "check --output=json v2.qcow2",
        "measure --output=json -O qcow2 a.qcow2",
        "measure --output=json -O qcow2 s.qcow2",
        "measure --output=json -O raw a.qcow2",
    ],
)
def test_json_is_equal_field_by_field(images: Path, command: str) -> None:
    assert json.loads(varan_img(images, command).out) == json.loads(qemu_img(images, command).out)


CHANGING = (
    "create -f qcow2 x.qcow2 64M",
    "create -f qcow2 -o lazy_refcounts=on,extended_l2=on,cluster_size=128k x.qcow2 64M",
    "create -f qcow2 -b a.qcow2 -F qcow2 x.qcow2",
    "create -f qcow2 -b a.qcow2 x.qcow2",
    "create -f qcow2 -b none.qcow2 -F qcow2 x.qcow2",
    "create -f qcow2 -b none.qcow2 -F qcow2 -u x.qcow2 1G",
    "create -f qcow2 x.qcow2",
    "create -f qcow2 -o foo=bar x.qcow2 1M",
    "create -f qcow2 -o cluster_size=3 x.qcow2 1M",
    "create -f qcow2 /nodir/x.qcow2 1M",
    "create -f qcow2 -q x.qcow2 1M",
    "create -f qcow2 -o preallocation=metadata x.qcow2 1M",
    "create -f qcow2 -o compat=0.10 x.qcow2 1M",
    "create -f nope x 1M",
    "create -f null-co x 1M",
    "create x 1000",
    """create -f qcow2 -b 'json:{"driver":"qcow2","file":{"driver":"file","filename":"a.qcow2"}}' -F qcow2 x""",
    "create -f qcow2 -o size=1M x 2M",
    "create -f qcow2 -o lazy_refcounts=maybe x 1M",
    "create -f qcow2 -o backing_file=c.qcow2 -b a.qcow2 -F qcow2 x",
    "create --object secret,id=s,data=abc -f qcow2 -o encryption=on,encrypt.key-secret=s x 1M",
    "create -f raw x 1Q",
    "create -f raw x 10M",
    "create -f raw -o preallocation=full x 1M",
    "create x 1M extra",
    "create -f",
    "resize a.qcow2 +1M",
    "resize -f raw r.raw -- -1M",
    "resize -f raw --shrink r.raw -- -1M",
    "resize -f raw r.raw foo",
    "resize --preallocation=zork a.qcow2 20M",
    "resize -f qcow2 a.qcow2",
    "commit b.qcow2",
    "commit -q b.qcow2",
    "commit a.qcow2",
    "rebase -b c.qcow2 -F qcow2 b.qcow2",
    "rebase -u -b elsewhere -F qcow2 b.qcow2",
    "rebase -b '' b.qcow2",
    "rebase b.qcow2",
    "rebase -b nofile -F qcow2 b.qcow2",
    "snapshot -c s2 s.qcow2",
    "snapshot -d s1 s.qcow2",
    "snapshot -d nope s.qcow2",
    "snapshot -a nope s.qcow2",
    "snapshot -c x -l s.qcow2",
    "bitmap --add s.qcow2 third",
    "bitmap --add s.qcow2 on",
    "bitmap --remove s.qcow2 nope",
    "bitmap --merge on --clear s.qcow2 off",
    "bitmap s.qcow2 on",
    "bitmap --add s.qcow2",
    "amend -o lazy_refcounts=on a.qcow2",
    "amend -o foo=1 a.qcow2",
    "amend a.qcow2",
    "amend -o backing_file=c.qcow2,backing_fmt=qcow2 b.qcow2",
    "amend -o backing_fmt=raw b.qcow2",
    "amend -o backing_file=a.qcow2,backing_fmt=qcow2 b.qcow2",
    "amend --object secret,id=s,data=abc --object secret,id=n,data=new --image-opts -o state=active,new-secret=n,"
    "iter-time=10 driver=luks,file.filename=l.luks,key-secret=s",
    "bench -i zork -c 2 a.qcow2",
    "bench -i native -c 2 a.qcow2",
    "bench -U -w -c 2 a.qcow2",
    "check -U -r all a.qcow2",
    "snapshot -U -c x s.qcow2",
    "rebase -U -b c.qcow2 -F qcow2 b.qcow2",
    "rebase -u -b nofile -F zork b.qcow2",
    "rebase -b c.qcow2 -F qcow2 raw-data.qcow2",
    "convert -O qcow2 -n -o cluster_size=4k a.qcow2 b.qcow2",
    "convert -O qcow2 -B a.qcow2 b.qcow2 o",
    "convert -O qcow2 --salvage -C a.qcow2 o",
    "convert -O qcow2 --skip-broken-bitmaps s.qcow2 o",
    "convert -f raw -O qcow2 r.raw o",
    "convert -O raw b.qcow2 o",
    "convert -c -O raw b.qcow2 o",
    "convert -n b.qcow2 nofile",
    "convert -S 3 b.qcow2 o",
    "convert -l nope s.qcow2 o",
    "convert -m 99 b.qcow2 o",
    "convert -C -S 4k b.qcow2 o",
    "convert -t zork b.qcow2 o",
    "convert -O raw b.qcow2 /nodir/o",
    "convert a.qcow2",
    "dd if=a.qcow2 of=o bs=1M count=2 skip=1",
    "dd if=a.qcow2 of=o bs=0",
    "dd if=a.qcow2",
)


@pytest.mark.parametrize("command", CHANGING)
def test_commands_that_change_something_say_and_exit_the_same(images: Path, tmp_path: Path, command: str) -> None:
    for name in ("theirs", "ours"):
        shutil.copytree(images, tmp_path / name)
    theirs, ours = qemu_img(tmp_path / "theirs", command), varan_img(tmp_path / "ours", command)
    assert ours.status == theirs.status, ours.err
    if theirs.status == 0:
        assert ours.out == theirs.out
    assert bool(ours.err) == bool(theirs.err)
    assert ours.err.count("\n") <= 1


def test_the_content_after_a_commit_or_rebase_is_what_it_was(images: Path, tmp_path: Path) -> None:
    shutil.copytree(images, tmp_path, dirs_exist_ok=True)
    assert qemu_img(tmp_path, "convert -O raw b.qcow2 before.raw").status == 0
    for command in ("rebase -b c.qcow2 -F qcow2 b.qcow2", "rebase -b a.qcow2 -F qcow2 b.qcow2", "commit b.qcow2"):
        assert varan_img(tmp_path, command).status == 0, command
        for image in ("a.qcow2", "b.qcow2", "c.qcow2"):
            assert qemu_img(tmp_path, f"check {image}").status == 0, (command, image)
        assert qemu_img(tmp_path, "compare -F raw b.qcow2 before.raw").status == 0, command
    assert qemu_img(tmp_path, "compare -F raw a.qcow2 before.raw").status == 0
