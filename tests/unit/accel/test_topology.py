"""How vCPUs are arranged, and the numbers of their local APICs (SDM volume 3, "Hierarchical Mapping")."""

from __future__ import annotations

import pytest

from varan.accel.base import Topology


@pytest.mark.parametrize(
    ("topology", "numbers"),
    [
        (Topology(), [0]),
        (Topology(cores=4), [0, 1, 2, 3]),
        (Topology(sockets=3), [0, 1, 2]),
        (Topology(2, 3, 1), [0, 1, 2, 4, 5, 6]),
        (Topology(2, 1, 3), [0, 1, 2, 4, 5, 6]),
        (Topology(1, 3, 2), [0, 1, 2, 3, 4, 5]),
        (Topology(2, 3, 2), [0, 1, 2, 3, 4, 5, 8, 9, 10, 11, 12, 13]),
    ],
)
def test_each_level_has_bits_of_its_own(topology: Topology, numbers: list[int]) -> None:
    assert [topology.apic_id(index) for index in range(topology.cpus)] == numbers
