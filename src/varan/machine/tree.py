"""The object tree of one machine: its roots."""

from __future__ import annotations

from varan.core.qom import Container, Object


class Tree:
    """The root and the containers below it that have a name of their own."""

    def __init__(self, machine: Object) -> None:
        """`machine`: what `/machine` is."""
        self.root = Container()
        self.machine = machine
        self.objects = Container()
        """User-made objects, by id."""
        self.chardevs = Container()
        self.peripheral = Container()
        """Devices that were given an id, by it."""
        self.anonymous = Container()
        """Devices that were given none."""
        self.unattached = Container()
        """What the machine has of its own: CPUs first, then the board's devices."""
        self.root.add_child("machine", self.machine)
        self.root.add_child("objects", self.objects)
        self.root.add_child("chardevs", self.chardevs)
        self.machine.add_child("peripheral", self.peripheral)
        self.machine.add_child("peripheral-anon", self.anonymous)
        self.machine.add_child("unattached", self.unattached)
