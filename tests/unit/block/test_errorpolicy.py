"""What policies say about errors."""

from __future__ import annotations

import pytest

from varan.api.values import BlockDeviceIoStatus, BlockdevOnError, BlockErrorAction
from varan.block.base import BlockError, ErrorKind
from varan.block.errorpolicy import ErrorPolicy, status

FULL = BlockError(ErrorKind.NO_SPACE, "full")
BAD = BlockError(ErrorKind.IO, "bad")
IGNORE, REPORT, STOP = BlockErrorAction.IGNORE, BlockErrorAction.REPORT, BlockErrorAction.STOP


@pytest.mark.parametrize(
    ("policy", "write_full", "write_bad", "read_full", "read_bad"),
    [
        (BlockdevOnError.IGNORE, IGNORE, IGNORE, IGNORE, IGNORE),
        (BlockdevOnError.REPORT, REPORT, REPORT, REPORT, REPORT),
        (BlockdevOnError.STOP, STOP, STOP, STOP, STOP),
        (BlockdevOnError.ENOSPC, STOP, REPORT, STOP, REPORT),
        (BlockdevOnError.AUTO, STOP, REPORT, REPORT, REPORT),
    ],
)
def test_a_policy_decides_by_direction_and_want_of_space(
    policy: BlockdevOnError,
    write_full: BlockErrorAction,
    write_bad: BlockErrorAction,
    read_full: BlockErrorAction,
    read_bad: BlockErrorAction,
) -> None:
    both = ErrorPolicy(policy, policy)
    assert both.action(FULL, is_read=False) is write_full
    assert both.action(BAD, is_read=False) is write_bad
    assert both.action(FULL, is_read=True) is read_full
    assert both.action(BAD, is_read=True) is read_bad


def test_a_devices_own_setting_goes_before_the_drives() -> None:
    drive = ErrorPolicy(BlockdevOnError.STOP, BlockdevOnError.IGNORE)
    assert drive.but(BlockdevOnError.AUTO, BlockdevOnError.AUTO) == drive
    other = drive.but(BlockdevOnError.REPORT, BlockdevOnError.STOP)
    assert other == ErrorPolicy(BlockdevOnError.REPORT, BlockdevOnError.STOP)


@pytest.mark.parametrize(
    ("read", "write", "may"),
    [("auto", "auto", True), ("auto", "report", False), ("stop", "ignore", True), ("ignore", "enospc", True)],
)
def test_only_some_policies_ever_stop(read: str, write: str, may: bool) -> None:
    assert ErrorPolicy(BlockdevOnError(read), BlockdevOnError(write)).may_stop is may


def test_the_status_tells_want_of_space_from_the_rest() -> None:
    assert (status(FULL), status(BAD)) == (BlockDeviceIoStatus.NOSPACE, BlockDeviceIoStatus.FAILED)
