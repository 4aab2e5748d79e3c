"""Run the measurements and write docs/benchmarks.md: `python -m bench [PART...]`.

`images:WORDS` measures those image commands whose name has these words: `python -m bench images:sparse`.
"""

from __future__ import annotations

import importlib
import platform
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.support.kernel import HINT, find_busybox, find_kernel

from bench.measure import Comparison, Figure

PARTS = ("boot", "disk", "qmp", "machines", "startup", "images", "jobs", "limits")
REPORT = Path(__file__).parent.parent / "docs" / "benchmarks.md"
HEAD = """# Benchmarks

Written by `make bench`. Each row comes from one run on one machine, the two sides taking turns; figures are medians,
and only the ratios carry over to other machines.

"""


def main(names: Sequence[str]) -> int:
    """Measure the named parts (all when none is named); write the report only when all were measured."""
    missing = _missing(names or PARTS)
    if missing:
        print(f"bench: {missing}", file=sys.stderr)
        return 1
    results: list[Comparison | Figure] = []
    for name in names or PARTS:
        print(f"measuring {name} ...", file=sys.stderr, flush=True)
        part, _, only = name.partition(":")
        module = importlib.import_module(f"bench.{part}")
        results += module.measure(only=only) if only else module.measure()
    text = _render(results)
    print(text)
    if not names:
        REPORT.write_text(HEAD + _machine() + text)
    return 0


def _missing(parts: Sequence[str]) -> str | None:
    """What the named parts need and do not find, with the way to it."""
    if shutil.which("qemu-system-x86_64") is None:
        return "QEMU to measure against is not installed (Debian packages qemu-system-x86 and qemu-utils)"
    if {"boot", "disk"} & set(parts) and (find_kernel() is None or find_busybox() is None):
        return f"no Linux kernel or static busybox to boot: {HINT}s linux-image-cloud-amd64 and busybox-static"
    return None


def _machine() -> str:
    qemu = subprocess.run(["qemu-system-x86_64", "-version"], capture_output=True, text=True, check=True)
    version = qemu.stdout.splitlines()[0]
    return f"Python {platform.python_version()}, {platform.system()} {platform.release()}; {version}.\n\n"


def _figure(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"


def _render(results: Sequence[Comparison | Figure]) -> str:
    comparisons = [result for result in results if isinstance(result, Comparison)]
    figures = [result for result in results if isinstance(result, Figure)]
    lines: list[str] = []
    if comparisons:
        lines += ["| work | Varan | other | against | ratio | goal |", "| --- | ---: | ---: | --- | ---: | --- |"]
        lines += [
            f"| {row.work} | {_figure(row.varan)} {row.unit} | {_figure(row.other)} {row.unit} | {row.against} "
            f"| {row.ratio:.2f}x | {row.goal} |"
            for row in comparisons
        ]
        lines.append("")
    if figures:
        lines += ["| work | Varan | goal |", "| --- | ---: | --- |"]
        lines += [f"| {row.work} | {_figure(row.value)} {row.unit} | {row.goal} |" for row in figures]
        lines.append("")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
