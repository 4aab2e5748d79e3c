"""Going into the background, seen from the process that asked for it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

PROGRAM = """
import os, sys, time
from pathlib import Path
from varan.cli import daemon
from varan.errors import VaranError

folder = Path(sys.argv[1])

def serve(ready):
    {body}

try:
    status = daemon.detach(serve)
except VaranError as error:
    print(f"parent: {{error}}", file=sys.stderr)
    status = 1
sys.exit(status)
"""


def test_closed_streams_become_the_null_device(tmp_path: Path) -> None:
    script = """
import os, sys
from varan.cli import daemon
os.closerange(0, 3)
sys.stdout = sys.stderr = None
daemon.fill_standard_streams()
print("lost")
with open(sys.argv[1], "w") as report:
    print([os.readlink(f"/proc/self/fd/{n}") for n in range(3)], report.fileno() > 2, file=report)
"""
    done = subprocess.run([sys.executable, "-c", script, str(tmp_path / "report")], capture_output=True, timeout=30)
    assert (done.returncode, done.stdout) == (0, b"")
    assert (tmp_path / "report").read_text() == f"{['/dev/null'] * 3} True\n"


def launch(body: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run the program to the end of the parent; its output streams end when nobody holds them any more."""
    script = PROGRAM.format(body=body.strip().replace("\n", "\n    "))
    return subprocess.run(
        [sys.executable, "-c", script, str(folder)], capture_output=True, text=True, timeout=30, check=False
    )


def wait_for(path: Path) -> str:
    deadline = time.monotonic() + 20
    while not path.exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return path.read_text()


def test_parent_returns_when_the_daemon_is_ready_and_lets_go_of_the_terminal(tmp_path: Path) -> None:
    body = """
(folder / "socket").touch()
ready()
report = f"{os.getpid()} {os.getsid(0)} {[os.readlink(f'/proc/self/fd/{n}') for n in range(3)]}"
while not (folder / "go").exists():
    time.sleep(0.01)
(folder / "new").write_text(report)
(folder / "new").rename(folder / "report")
return 0
"""
    done = launch(body, tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert (tmp_path / "socket").exists()
    (tmp_path / "go").touch()
    pid, session, streams = wait_for(tmp_path / "report").split(" ", 2)
    assert streams == str(["/dev/null"] * 3)
    assert session != str(os.getsid(0))
    assert session != pid, "a session leader could get a terminal again"


def test_error_of_the_daemon_is_the_parents(tmp_path: Path) -> None:
    done = launch('raise VaranError("no such kernel")', tmp_path)
    assert (done.returncode, done.stderr) == (1, "parent: no such kernel\n")


def test_daemon_that_dies_silently_fails_the_parent(tmp_path: Path) -> None:
    done = launch("os._exit(7)", tmp_path)
    assert (done.returncode, done.stderr) == (1, "parent: the background process ended before it was ready\n")
