"""The object tree of one machine: its roots."""

from __future__ import annotations

from varan.core.qom import Container, Object


class Tree:
    """The root and the containers below it that have a name of their own."""

    def __init__(self) -> None:
        self.root = Container()
        self.machine: Object = Container()
        self.objects = Container()
        """User-made objects, by id."""
        self.chardevs = Container()
        self.peripheral = Container()
        """Devices that were given an id, by it."""
        self.anonymous = Container()
        """Devices that were given none."""
        self.root.add_child("machine", self.machine)
        self.root.add_child("objects", self.objects)
        self.root.add_child("chardevs", self.chardevs)
        self.machine.add_child("peripheral", self.peripheral)
        self.machine.add_child("peripheral-anon", self.anonymous)

    def add_board(self, unattached: Container) -> None:
        """Take in what the board has of its own."""
        self.machine.add_child("unattached", unattached)
