"""The lists agree with what is there."""

from __future__ import annotations

import threading

from varan.board.pc import Pc, PcConfig
from varan.cli import catalogue
from varan.cli.folds.machine import MAX_CPUS
from varan.core.clock import HostClock, TimerQueue, VirtualClock
from varan.devices.environment import NoRequests
from varan.machine import boards
from varan.machine.spec import MIB


def test_devices_are_the_boards() -> None:
    board = Pc(
        PcConfig(memory=MIB),
        lock=threading.RLock(),
        timers=TimerQueue(),
        virtual=VirtualClock(),
        host=HostClock(),
        requests=NoRequests(),
    )
    try:
        assert set(catalogue.DEVICES) == set(board.devices)
    finally:
        board.close()


def test_cpu_limit_is_the_boards() -> None:
    assert MAX_CPUS == boards.MOST_CPUS
