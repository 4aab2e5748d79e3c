"""Fetches a Debian cloud kernel with its modules and a static busybox into .cache/kernel, without installing them.

`python -m tests.support.fetch_kernel`. Needs apt and dpkg, and package lists (`apt-get update`); no root.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.support.kernel import CACHE, find_busybox, find_kernel, find_modules

META_PACKAGE = "linux-image-cloud-amd64"
BUSYBOX_PACKAGE = "busybox-static"


def main() -> int:
    """Fetch what is missing; prints what will be used."""
    packages: list[str] = []
    if find_kernel() is None or find_modules() is None:
        packages.append(versioned_kernel(_output("apt-cache", "depends", META_PACKAGE)))
    if find_busybox() is None:
        packages.append(BUSYBOX_PACKAGE)
    for package in packages:
        fetch(package)
    print(f"kernel: {find_kernel()}\nmodules: {find_modules()}\nbusybox: {find_busybox()}")
    return 0 if find_kernel() and find_modules() and find_busybox() else 1


def versioned_kernel(depends: str) -> str:
    """The package that the meta package depends on, from `apt-cache depends`."""
    found = re.search(r"Depends: (linux-image-\S+)", depends)
    if found is None:
        sys.exit(f"{META_PACKAGE} is not known to apt here; run apt-get update")
    return found[1]


def fetch(package: str) -> None:
    """Download `package` and keep what a guest may need of it."""
    with tempfile.TemporaryDirectory() as directory:
        subprocess.run(["apt-get", "download", package], cwd=directory, check=True)
        (archive,) = Path(directory).glob("*.deb")
        unpacked = Path(directory) / "root"
        subprocess.run(["dpkg", "-x", str(archive), str(unpacked)], check=True)
        for folder in ("boot", "bin", "usr/bin", "lib/modules", "usr/lib/modules"):
            if (unpacked / folder).is_dir():
                shutil.copytree(unpacked / folder, CACHE / folder, dirs_exist_ok=True)


def _output(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


if __name__ == "__main__":
    sys.exit(main())
