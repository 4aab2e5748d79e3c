"""The option table as the protocol describes it."""

from __future__ import annotations

from varan.api.values import CommandLineParameterType as Kind
from varan.cli.commandline import describe
from varan.cli.refused import REFUSED


def test_parameters_come_from_the_synopsis() -> None:
    found = {info.option: {one.name: one.type for one in info.parameters} for info in describe()}
    assert found["smp-opts"] == dict.fromkeys(("cpus", "sockets", "cores", "threads", "maxcpus"), Kind.NUMBER)
    assert found["memory"] == {"size": Kind.SIZE}
    assert found["name"] == {"guest": Kind.STRING, "process": Kind.STRING, "debug-threads": Kind.BOOLEAN}
    assert found["mon"] == {"chardev": Kind.STRING, "mode": Kind.STRING, "pretty": Kind.BOOLEAN}
    assert found["device"] == {"id": Kind.STRING, "bus": Kind.STRING}


def test_options_without_parameters_and_refused_ones_are_left_out() -> None:
    found = {info.option for info in describe()}
    assert not found & {"kernel", "S", *(name for name, _, _ in REFUSED)}
