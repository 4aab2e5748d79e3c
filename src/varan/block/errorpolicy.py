"""What follows from a request that failed: the guest is told, it is not, or all stands still until that is mended."""

from __future__ import annotations

from dataclasses import dataclass

from varan.api.values import BlockDeviceIoStatus, BlockdevOnError, BlockErrorAction
from varan.block.base import BlockError, ErrorKind


@dataclass(frozen=True, slots=True)
class ErrorPolicy:
    """What a device does about failed reads and about all that fails besides (writes, flushes, discards).

    `BlockdevOnError.AUTO` is the default: reads are reported, writes stop when there is no space left.
    """

    read: BlockdevOnError = BlockdevOnError.AUTO
    write: BlockdevOnError = BlockdevOnError.AUTO

    def but(self, read: BlockdevOnError, write: BlockdevOnError) -> ErrorPolicy:
        """The policy of a device with these settings; AUTO leaves what the drive says."""
        return ErrorPolicy(
            self.read if read is BlockdevOnError.AUTO else read, self.write if write is BlockdevOnError.AUTO else write
        )

    def action(self, error: BlockError, *, is_read: bool) -> BlockErrorAction:
        """What is to be done about `error`."""
        return action(self.read if is_read else self.write, error, is_read=is_read)

    @property
    def may_stop(self) -> bool:
        """Whether any error can make the device stand still, so that it has an I/O status."""
        stops = (BlockdevOnError.STOP, BlockdevOnError.ENOSPC)
        return self.read in stops or self.write in (*stops, BlockdevOnError.AUTO)


def action(policy: BlockdevOnError, error: BlockError, *, is_read: bool) -> BlockErrorAction:
    """What one policy says about `error`."""
    if policy is BlockdevOnError.AUTO:
        policy = BlockdevOnError.REPORT if is_read else BlockdevOnError.ENOSPC
    if policy is BlockdevOnError.ENOSPC:
        policy = BlockdevOnError.STOP if error.kind is ErrorKind.NO_SPACE else BlockdevOnError.REPORT
    return BlockErrorAction(policy.value)


def status(error: BlockError) -> BlockDeviceIoStatus:
    """The I/O status of what stands still for `error`."""
    return BlockDeviceIoStatus.NOSPACE if error.kind is ErrorKind.NO_SPACE else BlockDeviceIoStatus.FAILED
