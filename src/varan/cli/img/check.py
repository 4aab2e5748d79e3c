"""`varan img check`: look for inconsistencies, and repair them."""

from __future__ import annotations

import sys

from varan.block.base import BlockError, ErrorKind, Node
from varan.block.operations.check import REPAIRS, Report, check
from varan.cli.img import common, text
from varan.cli.img.grammar import Command, Flag, Line
from varan.cli.img.images import Images
from varan.cli.message import complain, one_line
from varan.cli.option import UsageError
from varan.light import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any

REPAIR = Flag("repair", ("-r", "--repair"), "repair leaks, or all", "WHAT")

FAILED, CORRUPT, LEAKING, UNSUPPORTED = 1, 2, 3, 63
ORDER = (
    "image-end-offset",
    "compressed-clusters",
    "total-clusters",
    "check-errors",
    "leaks",
    "corruptions",
    "allocated-clusters",
    "filename",
    "format",
    "fragmented-clusters",
)
"""Of the members in JSON output."""
SHOWN = 20
"""Findings printed one by one."""


def run(line: Line) -> int:
    """Check; returns the exit status."""
    json = common.wants_json(line)
    repair = line.last("repair")
    if repair is not None and repair not in REPAIRS:
        raise UsageError(f"unknown option value for -r (expecting 'leaks' or 'all'): {repair}")
    name = common.one_image(line)
    with Images(line) as images:
        node = images.open(
            name,
            line.last("format"),
            write=repair is not None,
            cache=line.last("source-cache"),
            no_backing=True,
            driver_options={"repairing": True} if repair else None,
        )
        try:
            report = images.drive(check(node, repair))
            again = images.drive(check(node)) if _fixed(report) else report
        except BlockError as error:
            if error.kind is not ErrorKind.UNSUPPORTED:
                raise
            complain("varan-img", error)
            return UNSUPPORTED
        _print(report, again, node, name, json=json, quiet=line.has("quiet"))
    return _status(again)


def _fixed(report: Report) -> bool:
    return bool(report.corruptions_fixed or report.leaks_fixed)


def _print(report: Report, again: Report, node: Node, name: str, *, json: bool, quiet: bool) -> None:
    if not json and not quiet:
        for message in report.messages[:SHOWN]:
            print(one_line(message), file=sys.stderr)
        if len(report.messages) > SHOWN:
            print(f"... and {len(report.messages) - SHOWN} more", file=sys.stderr)
    values = again.as_dict()
    if _fixed(report):
        values |= {"corruptions-fixed": report.corruptions_fixed, "leaks-fixed": report.leaks_fixed}
    if json and not quiet:
        values |= {"filename": name, "format": node.driver}
        shown = [key for key in (*ORDER, *values) if values.get(key) or (key == "check-errors" and key in values)]
        print(text.json_text({key: values[key] for key in shown}))
    elif not quiet:
        print("\n".join(_human(report, again, values)))


def _human(report: Report, again: Report, values: dict[str, Any]) -> list[str]:
    lines = []
    if _fixed(report):
        lines += [
            "The following inconsistencies were found and repaired:",
            "",
            f"    {report.leaks_fixed} leaked clusters",
            f"    {report.corruptions_fixed} corruptions",
            "",
            "Double checking the fixed image now...",
        ]
    if not (again.corruptions or again.leaks or again.check_errors):
        lines.append("No errors were found on the image.")
    if again.corruptions:
        lines += [
            "",
            f"{again.corruptions} errors were found on the image.",
            "Data may be corrupted, or further writes to the image may corrupt it.",
        ]
    if again.leaks:
        lines += [
            "",
            f"{again.leaks} leaked clusters were found on the image.",
            "This means waste of disk space, but no harm to data.",
        ]
    if again.check_errors:
        lines += ["", f"{again.check_errors} internal errors have occurred during the check."]
    total, allocated = values.get("total-clusters", 0), values.get("allocated-clusters", 0)
    if total and allocated:
        fragmented, compressed = values.get("fragmented-clusters", 0), values.get("compressed-clusters", 0)
        lines.append(
            f"{allocated}/{total} = {allocated * 100 / total:0.2f}% allocated, "
            f"{fragmented * 100 / allocated:0.2f}% fragmented, {compressed * 100 / allocated:0.2f}% compressed clusters"
        )
    if values.get("image-end-offset"):
        lines.append(f"Image end offset: {values['image-end-offset']}")
    return lines


def _status(report: Report) -> int:
    if report.check_errors:
        return FAILED
    if report.corruptions:
        return CORRUPT
    return LEAKING if report.leaks else 0


COMMAND = Command(
    "check",
    "FILE",
    "Look for inconsistencies in an image. Exit status: 0 none, 1 the check failed, 2 corruptions, 3 leaked clusters, "
    "63 the format has no checks.",
    (
        common.FORMAT,
        common.IMAGE_OPTS,
        common.OBJECT,
        common.OUTPUT,
        common.QUIET,
        REPAIR,
        common.SOURCE_CACHE,
        common.SHARE,
    ),
    run,
)
