"""The schema as the data that `query-qmp-schema` returns.

Clients must not depend on type names, so all but the built-in types' are masked: a number in order of first use.
"""

from __future__ import annotations

from typing import Any

from varan.qapi.model import (
    Alternate,
    Array,
    Builtin,
    Command,
    Condition,
    Enum,
    Event,
    Feature,
    Member,
    Object,
    Schema,
    Type,
)

Entity = dict[str, Any]


def introspect(schema: Schema, defined: frozenset[str] | None = None) -> list[Entity]:
    """SchemaInfo for every command and event, then for the types they use, in order of first use.

    `defined` are the configuration symbols that hold; None takes what is conditional in, whatever its condition.
    """
    return _Introspection(schema, defined).run()


class _Introspection:
    def __init__(self, schema: Schema, defined: frozenset[str] | None) -> None:
        self.schema = schema
        self.defined = defined
        self.used: list[Type] = []
        self.names: dict[Type, str] = {}
        self.empty = Object("empty", implicit=True)
        self.int = schema.types["int"]
        self.masked = 0

    def run(self) -> list[Entity]:
        entities = []
        for definition in self.schema.definitions():
            if not self._is_in(definition.condition):
                continue
            if isinstance(definition, Command):
                entities.append(self._command(definition))
            elif isinstance(definition, Event):
                arguments = self._use(definition.arguments or self.empty)
                entity = {"name": definition.name, "meta-type": "event", "arg-type": arguments}
                entities.append(self._with_features(entity, definition.features))
        at = 0
        while at < len(self.used):  # describing a type may bring in more
            entities.append(self._type(self.used[at]))
            at += 1
        return entities

    def _is_in(self, condition: Condition | None) -> bool:
        return condition is None or self.defined is None or condition.holds(self.defined)

    def _use(self, used: Type) -> str:
        """The name a type goes by; it will be described."""
        if isinstance(used, Builtin) and used.json == "int":
            used = self.int  # ranges are not told
        name = self.names.get(used)
        if name is not None:
            return name
        self.names[used] = ""  # an array can contain itself by way of an object
        self.used.append(used)
        if isinstance(used, Builtin):
            name = used.name
        elif isinstance(used, Array):
            name = f"[{self._use(used.element)}]"
        else:
            name = str(self.masked)
            self.masked += 1
        self.names[used] = name
        return name

    def _with_features(self, entity: Entity, features: list[Feature]) -> Entity:
        names = [feature.name for feature in features if self._is_in(feature.condition)]
        if names:
            entity["features"] = names
        return entity

    def _command(self, command: Command) -> Entity:
        entity: Entity = {
            "name": command.name,
            "meta-type": "command",
            "arg-type": self._use(command.arguments or self.empty),
            "ret-type": self._use(command.returns or self.empty),
        }
        if command.allow_oob:
            entity["allow-oob"] = True
        return self._with_features(entity, command.features)

    def _type(self, used: Type) -> Entity:
        entity: Entity = {"name": self.names[used]}
        if isinstance(used, Builtin):
            return entity | {"meta-type": "builtin", "json-type": used.json}
        if isinstance(used, Array):
            return entity | {"meta-type": "array", "element-type": self._use(used.element)}
        if isinstance(used, Enum):
            return self._enum(entity, used)
        if isinstance(used, Alternate):
            members = [{"type": self._use(m.type)} for m in used.members if self._is_in(m.condition)]
            return self._with_features(entity | {"meta-type": "alternate", "members": members}, used.features)
        return self._object(entity, used)

    def _enum(self, entity: Entity, used: Enum) -> Entity:
        values = [value for value in used.values if self._is_in(value.condition)]
        entity |= {
            "meta-type": "enum",
            "members": [self._with_features({"name": value.name}, value.features) for value in values],
            "values": [value.name for value in values],
        }
        return self._with_features(entity, used.features)

    def _object(self, entity: Entity, used: Object) -> Entity:
        entity["meta-type"] = "object"
        entity["members"] = [self._member(m) for m in used.all_members() if self._is_in(m.condition)]
        if used.discriminator is not None:
            entity["tag"] = used.discriminator.name
            entity["variants"] = self._variants(used)
        return self._with_features(entity, used.features)

    def _variants(self, used: Object) -> list[Entity]:
        """A case for every value of the tag: one without a branch has the empty object."""
        assert used.discriminator is not None
        assert isinstance(used.discriminator.type, Enum)
        branches = {branch.name: branch for branch in used.branches}
        variants = []
        for value in used.discriminator.type.values:
            branch = branches.get(value.name)
            if self._is_in(value.condition) and (branch is None or self._is_in(branch.condition)):
                variants.append({"case": value.name, "type": self._use(branch.type if branch else self.empty)})
        return variants

    def _member(self, member: Member) -> Entity:
        entity: Entity = {"name": member.name, "type": self._use(member.type)}
        if member.optional:
            entity["default"] = None
        return self._with_features(entity, member.features)
