"""The graph: opens nodes with all that lies below them, holds them by name, and closes them when nobody needs them.

What a caller gives (a file name, `json:{...}`, options) is resolved from the top: the driver is taken from the options,
from the name's protocol prefix or, where a role allows it, from the image's first bytes; then the children that the
driver may have are opened by the same rules; then the driver makes the node; then the children that the image itself
names (backing files) are opened.
"""

from __future__ import annotations

from varan.block import registry
from varan.block.base import (
    BlockError,
    ChildRole,
    Driver,
    Edge,
    ErrorKind,
    Holder,
    ImpliedChild,
    Node,
    OpenOptions,
    Permission,
    no_secrets,
)
from varan.block.edges import Edges, child_needs
from varan.block.lazy import Lock
from varan.block.naming import AutomaticNames, relative_to
from varan.block.options import Flat, driver_options, expand, flatten, inherited, invalid, take_child, take_common
from varan.block.request import read_bytes
from varan.light import TYPE_CHECKING, record, replace

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Hashable, Mapping
    from typing import Any, TypeAlias

    from varan.block.throttle_group import ThrottleGroup

MAX_CHAIN = 100
"""How many nodes may stand on one another."""

Source: TypeAlias = "str | Mapping[str, Any]"
"""A file name, or options (nested or dotted)."""


@record(frozen=True, slots=True)
class _Place:
    """Where in the graph a node is being opened."""

    defaults: OpenOptions
    probed: bool
    above: tuple[Hashable, ...] = ()
    depth: int = 0

    def below(self, options: OpenOptions, role: ChildRole, probed: bool) -> _Place:
        if self.depth >= MAX_CHAIN:
            raise BlockError(ErrorKind.INVALID, f"more than {MAX_CHAIN} images stand on one another")
        above = self.above if role.name == "backing" else ()
        return _Place(inherited(options, role), probed, above, self.depth + 1)


class Graph:
    """The block nodes of one machine or one program."""

    def __init__(self, *, secret: Callable[[str], bytes] = no_secrets, inline: bool = False) -> None:
        """`inline`: block the calling thread in system calls instead of using worker threads (tools)."""
        self.nodes: dict[str, Node] = {}
        self.edges = Edges()
        """Who holds whom."""
        self.changing = Lock()
        """Held while nodes that are in use change places (`varan.block.rewire`)."""
        self._names = AutomaticNames()
        self.throttle_groups: dict[str, ThrottleGroup] = {}
        """By id: what `throttle` nodes share."""
        self._defaults = OpenOptions(secret=secret, inline=inline, throttle_group=self._throttle_group)
        self._held: dict[Node, Edge | None] = {}
        self.drives: Container[str] = ()
        """Ids that no node may have as its name: commands take either."""

    async def open(
        self,
        source: Source,
        *,
        format: str | None = None,
        options: OpenOptions | None = None,
        user: str | None = "the user of the image",
    ) -> Node:
        """Open a node and all below it.

        `user` is who reads and (unless read-only) writes and resizes it, for messages about conflicts; None only holds
        the node, for those who `attach` themselves later. Raises BlockError.
        """
        flat = flatten(source) if not isinstance(source, str) else {"filename": source}
        if options is not None:
            flat = flatten(options.driver_options | flat)
        if format is not None:
            if flat.get("driver", format) != format:
                raise invalid(f"driver '{flat['driver']}' and format '{format}' cannot both be meant")
            flat["driver"] = format
        defaults = self._defaults
        if options is not None:
            secret = options.secret if options.secret is not no_secrets else defaults.secret
            inline = options.inline or defaults.inline
            groups = defaults.throttle_group
            defaults = replace(options, secret=secret, inline=inline, throttle_group=groups, driver_options={})
        node = await self._open(flat, _Place(defaults, probed=True))
        self._held[node] = None
        if user is not None:
            permissions = Permission.CONSISTENT_READ
            if not node.read_only:
                permissions |= Permission.WRITE | Permission.RESIZE
            try:
                self._held[node] = self.attach(node, user, permissions, Permission.ALL)
            except BlockError:
                await self.close(node)
                raise
        return node

    def holds(self, node: Node) -> bool:
        """Whether `node` was opened here and not closed since."""
        return node in self._held

    async def close(self, node: Node) -> None:
        """Let go of an opened node: it and what only it needs are flushed and closed. Raises BlockError when that fails
        (everything is closed nevertheless)."""
        edge = self._held.pop(node)
        if edge is not None:
            self.edges.detach(edge)
        await self._release(node)

    async def close_all(self) -> None:
        """Let go of every opened node. Raises the first BlockError after closing all."""
        failure: BlockError | None = None
        for node in list(self._held):
            try:
                await self.close(node)
            except BlockError as error:
                failure = failure or error
        if failure is not None:
            raise failure

    def disown(self, node: Node) -> None:
        """Hold an opened node no more; it stays as long as somebody else holds it."""
        self._held.pop(node)

    def attach(
        self, node: Node, user: str, permissions: Permission, shared: Permission, owner: Holder | None = None
    ) -> Edge:
        """Hold `node` for `user` ("device 'ide0'"). Raises BlockError when others do not tolerate it."""
        if node.options.force_share:
            shared = Permission.ALL
        edge = Edge(node, "root", permissions, shared, user, owner)
        self.edges.attach(edge)
        return edge

    async def detach(self, edge: Edge) -> None:
        """Give up a hold; a node that nobody holds any more is closed."""
        self.edges.detach(edge)
        await self._release(edge.node)

    def change(self, edge: Edge, permissions: Permission, shared: Permission) -> None:
        """Want and share something else through an edge. Raises BlockError, with everything as it was."""
        self.edges.change(edge, permissions, shared)

    def parents(self, node: Node) -> list[Edge]:
        """Who holds `node`."""
        return self.edges.parents(node)

    def node(self, name: str) -> Node:
        """The node called `name`. Raises BlockError (NOT_FOUND)."""
        if name not in self.nodes:
            raise BlockError(ErrorKind.NOT_FOUND, f"cannot find a node named '{name}'")
        return self.nodes[name]

    def _throttle_group(self, name: str) -> ThrottleGroup:
        if name not in self.throttle_groups:
            raise BlockError(ErrorKind.NOT_FOUND, f"there is no throttle group '{name}'")
        return self.throttle_groups[name]

    async def replace(self, parent: Node, role: str, child: Node | None) -> None:
        """Put another child (or none) under `parent`; the old one is closed when nobody needs it. Raises BlockError."""
        old = parent.children.pop(role, None)
        try:
            if child is not None:
                self.adopt(parent, role, child)
        except BlockError:
            if old is not None:
                parent.children[role] = old
            raise
        if old is not None:
            self.edges.detach(old)
            await self._release(old.node)

    def adopt(self, parent: Node, role: str, child: Node) -> Edge:
        """Put a child under `parent`, which has none in that role. Raises BlockError, nothing changed."""
        if _reaches(child, parent):
            raise BlockError(ErrorKind.INVALID, f"node '{child.node_name}' stands on node '{parent.node_name}' itself")
        wanted, shared = child_needs(parent, role, child, *parent.granted)
        edge = Edge(child, role, wanted, shared, f"node '{parent.node_name}' (as its {role})", parent)
        self.edges.attach(edge)
        parent.children[role] = edge
        return edge

    async def _release(self, node: Node) -> None:
        if node in self._held or self.edges.parents(node) or self.nodes.get(node.node_name) is not node:
            return
        del self.nodes[node.node_name]
        failure: BlockError | None = None
        try:
            if not node.read_only:
                await node.flush()
        except BlockError as error:
            failure = error
        try:
            await node.close()
        except BlockError as error:
            failure = failure or error
        try:
            await self._drop(dict(node.children))
        except BlockError as error:
            failure = failure or error
        if failure is not None:
            raise failure

    async def _drop(self, children: dict[str, Edge]) -> None:
        failure: BlockError | None = None
        for edge in children.values():
            self.edges.detach(edge)
            try:
                await self._release(edge.node)
            except BlockError as error:
                failure = failure or error
        if failure is not None:
            raise failure

    async def _open(self, options: Flat, place: _Place) -> Node:
        flat = expand(options)
        children: dict[str, Edge] = {}
        try:
            driver, probed = await self._choose_driver(flat, place, children)
            _place_filename(driver, flat)
            common = take_common(flat, place.defaults)
            overrides = _take_overrides(driver, flat)
            await self._open_children(driver, flat, common, place, children)
            common.driver_options = driver_options(flat, driver)
            common.probed = probed
            common.node_name = self.free_name(common.node_name)
            _inherit_read_only(common, children)
            for edge in children.values():
                wanted, shared = driver.opening_permissions(edge.role, common.read_only)
                shared = Permission.ALL if edge.node.options.force_share else shared
                edge.parent = f"node '{common.node_name}' (as its {edge.role})"
                self.edges.change(edge, wanted, shared)
            node = await driver.open(common, children)
        except BaseException:
            await self._abandon(children)
            raise
        node.children.update(children)
        return await self._complete(node, common, overrides, place)

    async def _complete(self, node: Node, common: OpenOptions, overrides: Flat, place: _Place) -> Node:
        """Register a node that its driver made, and open the children that its image names."""
        node.node_name = common.node_name or ""
        for edge in node.children.values():
            edge.owner = node
        if node.node_name in self.nodes:
            # Another one of that name was opened while this one's driver was at work.
            await node.close()
            await self._abandon(dict(node.children))
            raise invalid(f"there is a node named '{node.node_name}' already")
        self.nodes[node.node_name] = node
        try:
            identity = chain_identity(node)
            if identity is not None and identity in place.above:
                raise BlockError(ErrorKind.INVALID, "the chain of backing files leads back to it", where=node.filename)
            below = replace(place, above=(*place.above, identity) if identity is not None else place.above)
            for implied in node.implied_children():
                if implied.role not in node.children and not (implied.role == "backing" and common.no_backing):
                    await self._open_implied(node, common, implied, overrides, below)
            if overrides and "backing" not in node.children:
                raise BlockError(ErrorKind.INVALID, "the image names no backing file to open so", where=node.filename)
            await node.children_ready()
            self.edges.settle(node)
        except BaseException:
            await self._abandon_node(node)
            raise
        return node

    async def _open_implied(
        self, node: Node, common: OpenOptions, implied: ImpliedChild, overrides: Flat, place: _Place
    ) -> None:
        filename = relative_to(base_name(node), implied.filename)
        if filename is None:
            raise BlockError(
                ErrorKind.INVALID,
                f"its {implied.role} file '{implied.filename}' is relative to no directory",
                where=node.filename,
            )
        options: Flat = {"filename": filename}
        if implied.format is not None:
            options["driver"] = implied.format
        if implied.role == "backing":
            options |= overrides
        role = ChildRole(implied.role, probed=implied.role == "backing")
        try:
            child = await self._open(options, place.below(common, role, role.probed))
        except BlockError as error:
            if isinstance(error.__cause__, BlockError):
                # Deep in a chain only the image that names the missing one is worth telling.
                raise
            raise BlockError(
                error.kind, f"could not open its {implied.role} file: {error}", where=node.filename
            ) from error
        try:
            self.adopt(node, implied.role, child)
        except BlockError:
            await self._release(child)
            raise

    async def _choose_driver(self, flat: Flat, place: _Place, children: dict[str, Edge]) -> tuple[type[Driver], bool]:
        name = flat.pop("driver", None)
        if isinstance(name, str):
            return registry.driver(name), False
        if name is not None:
            raise invalid("option 'driver' expects a string")
        if not place.probed:
            return registry.driver(_protocol(flat)), False
        _place_filename(None, flat)
        common = take_common(dict(flat), place.defaults)
        role = ChildRole("file")
        if not await self._open_child(role, flat, common, place, children):
            raise invalid("a file name or a driver must be given")
        node = children["file"].node
        header = await read_bytes(node, 0, min(registry.PROBE_LENGTH, node.length))
        return registry.driver(registry.probe(header, node.filename)), True

    async def _open_children(
        self, driver: type[Driver], flat: Flat, common: OpenOptions, place: _Place, children: dict[str, Edge]
    ) -> None:
        for role in driver.child_roles:
            if role.name in children:
                continue
            if driver.is_filter and not place.probed:
                role = replace(role, probed=False)
            found = await self._open_child(role, flat, common, place, children)
            if not found and role.required:
                raise invalid(f"block driver '{driver.name}' needs option '{role.name}' or a file name")

    async def _open_child(
        self, role: ChildRole, flat: Flat, common: OpenOptions, place: _Place, children: dict[str, Edge]
    ) -> bool:
        """Open or find what `flat` says about the child; whether it says anything."""
        given, value = take_child(flat, role.name)
        if not given:
            return False
        if value is None or value == "":
            if role.name != "backing":
                raise invalid(f"option '{role.name}' cannot be null")
            common.no_backing = True
            return True
        if isinstance(value, str):
            child = self.node(value)
        else:
            child = await self._open(value, place.below(common, role, role.probed))
        edge = Edge(child, role.name, Permission.NONE, Permission.ALL, f"a new node (as its {role.name})")
        self.edges.attach(edge)
        children[role.name] = edge
        return True

    def free_name(self, name: str | None) -> str:
        """`name`, or an automatic one. Raises BlockError when a node is called so already."""
        if name is None:
            return self._names.next()
        if name in self.nodes:
            raise invalid(f"there is a node named '{name}' already")
        self.check_no_drive(name)
        return name

    def check_no_drive(self, name: str) -> None:
        """Raise BlockError when a drive is called so."""
        if name in self.drives:
            raise invalid(f"node-name={name} is conflicting with a device id")

    async def _abandon(self, children: dict[str, Edge]) -> None:
        """Undo a failed opening; its own error is the one worth telling."""
        try:
            await self._drop(children)
        except BlockError:
            pass

    async def _abandon_node(self, node: Node) -> None:
        try:
            await self._release(node)
        except BlockError:
            pass


def _reaches(node: Node, wanted: Node) -> bool:
    """Whether `wanted` is `node` or somewhere below it."""
    return node is wanted or any(_reaches(edge.node, wanted) for edge in node.children.values())


def _protocol(flat: Flat) -> str:
    filename = flat.get("filename")
    if not isinstance(filename, str):
        raise invalid("a file name or a driver must be given")
    return registry.protocol_for(filename)


def _place_filename(driver: type[Driver] | None, flat: Flat) -> None:
    """A file name is a protocol's own; over anything else it names the child "file"."""
    filename = flat.get("filename")
    if filename is None or (driver is not None and "filename" in driver.open_options and not driver.is_protocol):
        return
    if not isinstance(filename, str):
        raise invalid("option 'filename' expects a string")
    del flat["filename"]
    if driver is not None and driver.is_protocol:
        inner = flatten(driver.parse_filename(filename))
    else:
        inner = {"file.filename": filename}
    for key, value in inner.items():
        flat.setdefault(key, value)


def _take_overrides(driver: type[Driver], flat: Flat) -> Flat:
    """Options for the backing file that the image names, taken out of `flat`: such as do not say which file."""
    if "backing" not in (role.name for role in driver.child_roles) or "backing" in flat:
        return {}
    given = {key.removeprefix("backing."): value for key, value in flat.items() if key.startswith("backing.")}
    if any(_names_a_file(key, value) for key, value in given.items()):
        return {}
    for key in given:
        del flat[f"backing.{key}"]
    return given


def _names_a_file(key: str, value: object) -> bool:
    """Whether an option, however deep, says which file or node is meant."""
    last = key.rpartition(".")[2]
    if last == "driver" and isinstance(value, str):
        driver = registry.driver(value)
        return not driver.child_roles and "filename" not in driver.open_options
    return last in ("filename", "file", "image")


def _inherit_read_only(common: OpenOptions, children: dict[str, Edge]) -> None:
    for role, edge in children.items():
        if role != "backing" and edge.node.read_only and not common.read_only:
            if not common.auto_read_only:
                raise BlockError(ErrorKind.READ_ONLY, "the node is read-only", where=edge.node.filename)
            common.read_only = True


def chain_identity(node: Node) -> Hashable | None:
    """What tells the host file below `node` from others."""
    while (identity := node.identity()) is None:
        edge = node.children.get("file") or node.children.get("image")
        if edge is None:
            return None
        node = edge.node
    return identity


def base_name(node: Node) -> str:
    """The name of the file that `node` lies in: what relative names in it count from."""
    while (edge := node.children.get("file") or node.children.get("image")) is not None:
        node = edge.node
    return node.filename
