"""What a file that is no x86 kernel seems to be, for messages."""

from __future__ import annotations

COMPRESSIONS = {
    b"\x1f\x8b": "gzip",
    b"\xfd7zXZ\0": "xz",
    b"BZh": "bzip2",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"\x04\x22\x4d\x18": "lz4",
    b"\x02\x21\x4c\x18": "lz4",
    b"\x5d\0\0": "lzma",
    b"\x89LZO": "lzop",
}

MAGICS = [
    (0x38, b"ARM\x64", "seems to be an arm64 kernel; give an x86-64 (amd64) one"),
    (0x38, b"RSC\x05", "seems to be a RISC-V kernel; give an x86-64 (amd64) one"),
    (0x24, b"\x18\x28\x6f\x01", "seems to be a 32-bit ARM zImage; give an x86-64 (amd64) bzImage"),
    (0, b"\x27\x05\x19\x56", "seems to be a U-Boot uImage; give the bzImage itself"),
    (0, b"\xd0\x0d\xfe\xed", "seems to be a device tree or FIT image; give the bzImage itself"),
    (0, b"070701", "seems to be an initrd (cpio archive), not a kernel; are kernel and initrd swapped?"),
    (0, b"070702", "seems to be an initrd (cpio archive), not a kernel; are kernel and initrd swapped?"),
    (0, b"QFI\xfb", "seems to be a qcow2 disk image, not a kernel"),
    (0, b"KDMV", "seems to be a VMDK disk image, not a kernel"),
    (0, b"!<arch>\n", "seems to be a package or library archive; unpack the kernel first"),
    (0, b"\xed\xab\xee\xdb", "seems to be an RPM package; unpack the kernel first"),
    (0, b"#!", "seems to be a script, not a kernel"),
    (
        0,
        b"MZ",
        "seems to be an EFI program (a unified kernel image?); give the bzImage itself",
    ),
]


def describe(head: bytes, file_size: int) -> str:
    """A clause ("seems to be ...") about a file of `file_size` bytes that starts with `head`."""
    if file_size == 0:
        return "is empty"
    for at, magic, clause in MAGICS:
        if head[at : at + len(magic)] == magic:
            return clause
    for magic, name in COMPRESSIONS.items():
        if head.startswith(magic):
            return f"is compressed with {name} (an initrd, or a vmlinux?); a kernel is a bzImage or an unpacked vmlinux"
    if head[0x1FE:0x200] == b"\x55\xaa":
        return "seems to be a boot sector or disk image, not a kernel"
    if not head.strip(b"\0"):
        return "starts with nothing but zeros; it is not a kernel"
    if _is_text(head):
        return "seems to be text, not a kernel"
    return "is no x86 Linux kernel that Varan knows (a bzImage or a 64-bit vmlinux)"


def _is_text(head: bytes) -> bool:
    return all(byte >= 0x20 or byte in b"\t\n\r\f" for byte in head)
