"""The lists agree with what is there."""

from __future__ import annotations

import pytest

from varan.cli import catalogue
from varan.cli.folds.machine import MAX_CPUS
from varan.cli.option import UsageError
from varan.machine.machinetypes import PcMachine


def test_devices_are_those_that_can_be_asked_for() -> None:
    listed = {line.split('"')[1] for line in catalogue.devices().splitlines()}
    assert {"isa-serial", "isa-debugcon"} <= listed
    assert "isa-device" not in listed
    for name in listed:
        assert catalogue.device_settings(name).startswith((f"{name} options:", "There are no options"))


def test_settings_of_a_device_come_with_type_text_and_default() -> None:
    assert "  iobase=<uint32>        - the port (default: 233)" in catalogue.device_settings("isa-debugcon")
    with pytest.raises(UsageError, match="'e1001' is not a valid device model name"):
        catalogue.device_settings("e1001")


def test_cpu_limit_is_the_boards() -> None:
    assert PcMachine.most_cpus == MAX_CPUS
