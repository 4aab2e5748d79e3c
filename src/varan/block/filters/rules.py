"""The rules of blkdebug: what happens at which event, in which state. Pure: time and files are the node's business.

A state number (1 at first) and events decide which rules are active. An event first arms the `inject-error` and `delay`
rules that name it (in place of those armed before), then moves the state as `set-state` rules say. Rules without an
event are armed from the start. A request that meets an armed rule fails or waits.
"""

from __future__ import annotations

import configparser
import errno as errno_names
import os

from varan.block.base import BlockError, ErrorKind
from varan.light import TYPE_CHECKING, field, record

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

EVENTS = frozenset(
    {
        "l1_update",
        "l1_grow.alloc_table",
        "l1_grow.write_table",
        "l1_grow.activate_table",
        "l2_load",
        "l2_update",
        "l2_update_compressed",
        "l2_alloc.cow_read",
        "l2_alloc.write",
        "read_aio",
        "read_backing_aio",
        "read_compressed",
        "write_aio",
        "write_compressed",
        "vmstate_load",
        "vmstate_save",
        "cow_read",
        "cow_write",
        "reftable_load",
        "reftable_grow",
        "reftable_update",
        "refblock_load",
        "refblock_update",
        "refblock_update_part",
        "refblock_alloc",
        "refblock_alloc.hookup",
        "refblock_alloc.write",
        "refblock_alloc.write_blocks",
        "refblock_alloc.write_table",
        "refblock_alloc.switch_table",
        "cluster_alloc",
        "cluster_alloc_bytes",
        "cluster_free",
        "flush_to_os",
        "flush_to_disk",
        "pwritev_rmw.head",
        "pwritev_rmw.after_head",
        "pwritev_rmw.tail",
        "pwritev_rmw.after_tail",
        "pwritev",
        "pwritev_zero",
        "pwritev_done",
        "empty_image_prepare",
        "l1_shrink_write_table",
        "l1_shrink_free_l2_clusters",
        "cor_write",
        "cluster_alloc_space",
        "none",
    }
)
IO_TYPES = ("read", "write", "write-zeroes", "discard", "flush", "block-status")
_DEFAULT_TYPES = frozenset(IO_TYPES) - {"block-status"}
_SECTOR = 512
_MAX_CONFIG = 1 << 20

OPTIONS: dict[str, str] = {
    "inject-error.*.event": "str",
    "inject-error.*.state": "int",
    "inject-error.*.iotype": "str",
    "inject-error.*.errno": "int|str",
    "inject-error.*.sector": "int",
    "inject-error.*.once": "bool",
    "inject-error.*.immediately": "bool",
    "set-state.*.event": "str",
    "set-state.*.state": "int",
    "set-state.*.new_state": "int",
    "delay.*.event": "str",
    "delay.*.state": "int",
    "delay.*.iotype": "str",
    "delay.*.sector": "int",
    "delay.*.once": "bool",
    "delay.*.latency-ns": "int",
}
"""The options that describe rules, by pattern and kind. Delays are Varan's own."""


@record(slots=True, eq=False)
class Effect:
    """An armed rule: a request of one of `types` that touches `sector` fails with `errno`, or waits."""

    event: str
    state: int = 0
    """The state in which the event arms it; 0: any."""
    types: frozenset[str] = _DEFAULT_TYPES
    sector: int = -1
    """-1: any request; others do not meet requests without a place (flushes)."""
    once: bool = False
    errno: int = 0
    """0: it is a delay."""
    seconds: float = 0.0

    def meets(self, kind: str, offset: int, length: int) -> bool:
        """Whether a request is concerned."""
        if kind not in self.types:
            return False
        place = self.sector * _SECTOR
        return self.sector == -1 or offset <= place < offset + length


@record(frozen=True, slots=True)
class Move:
    """At `event` in `state` (0: any), the state becomes `new`."""

    event: str
    state: int
    new: int


@record(slots=True)
class Rules:
    """All rules of one node, and where they stand."""

    effects: list[Effect] = field(default_factory=list)
    moves: list[Move] = field(default_factory=list)
    state: int = 1
    armed: list[Effect] = field(default_factory=list)

    def start(self) -> None:
        """Arm the rules that wait for no event."""
        self.happen("none")

    def happen(self, event: str) -> None:
        """An event: arm rules, then move the state."""
        arming = [rule for rule in self.effects if rule.event == event and rule.state in (0, self.state)]
        if arming:
            self.armed = arming
        for move in self.moves:
            if move.event == event and move.state in (0, self.state):
                self.state = move.new
                break

    def strike(self, kind: str, offset: int, length: int) -> list[Effect]:
        """What happens to a request: the armed rules that it meets up to the first error; those meant for once are
        spent."""
        met = []
        for rule in [rule for rule in self.armed if rule.meets(kind, offset, length)]:
            met.append(rule)
            if rule.once:
                self.armed.remove(rule)
                self.effects.remove(rule)
            if rule.errno:
                break
        return met


def parse_rules(options: Mapping[str, Any], config: Iterable[tuple[str, Mapping[str, str]]] = ()) -> Rules:
    """The rules in flat options (`inject-error.0.event`...) and in a configuration's groups. Raises BlockError."""
    groups: dict[tuple[str, str], dict[str, Any]] = {}
    for name, value in options.items():
        kind, _, rest = name.partition(".")
        if kind in ("inject-error", "set-state", "delay"):
            index, _, member = rest.partition(".")
            groups.setdefault((kind, index), {})[member] = value
    rules = Rules()
    for kind, members in [*config, *((kind, members) for (kind, _), members in sorted(groups.items()))]:
        _add(rules, kind, dict(members))
    rules.start()
    return rules


def _add(rules: Rules, kind: str, members: dict[str, Any]) -> None:
    event = str(members.pop("event", "none"))
    if event not in EVENTS:
        raise _invalid(f"blkdebug has no event '{event}'")
    state = _int(members.pop("state", 0), "state")
    if kind == "set-state":
        if "new_state" not in members:
            raise _invalid("a set-state rule needs 'new_state'")
        rules.moves.append(Move(event, state, _int(members.pop("new_state"), "new_state")))
    else:
        rules.effects.append(_effect(kind, event, state, members))
    if members:
        raise _invalid(f"blkdebug's {kind} has no option '{next(iter(members))}'")


def _effect(kind: str, event: str, state: int, members: dict[str, Any]) -> Effect:
    types = _DEFAULT_TYPES
    if "iotype" in members:
        name = str(members.pop("iotype"))
        if name not in IO_TYPES:
            raise _invalid(f"blkdebug has no iotype '{name}'; known are {', '.join(IO_TYPES)}")
        types = frozenset({name})
    effect = Effect(event, state, types, _int(members.pop("sector", -1), "sector"), _bool(members.pop("once", False)))
    if kind == "delay":
        effect.seconds = _int(members.pop("latency-ns", 0), "latency-ns") / 1e9
        if effect.seconds < 0:
            raise _invalid("option 'latency-ns' cannot be negative")
    else:
        effect.errno = _errno(members.pop("errno", errno_names.EIO))
        # Here a request fails in its caller's await either way: there is no later or sooner to choose.
        _bool(members.pop("immediately", False))
    return effect


def _errno(value: Any) -> int:
    number = getattr(errno_names, value, None) if isinstance(value, str) and value.startswith("E") else None
    number = number if isinstance(number, int) else _int(value, "errno")
    if number <= 0 or number > 4095:
        raise _invalid(f"{value} is no error number")
    return number


def _int(value: Any, name: str) -> int:
    try:
        return int(value, 0) if isinstance(value, str) else int(value)
    except ValueError:
        raise _invalid(f"option '{name}' expects a number, not '{value}'") from None


def _bool(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if value in ("on", "off"):
        return bool(value == "on")
    raise _invalid(f"'{value}' is neither 'on' nor 'off'")


def _invalid(message: str) -> BlockError:
    return BlockError(ErrorKind.INVALID, message)


def read_config(path: str) -> list[tuple[str, dict[str, str]]]:
    """The groups of a configuration file (`[inject-error]`, `event = "read_aio"`), in order. Raises BlockError."""
    try:
        with open(path, encoding="utf-8") as stream:
            text = stream.read(_MAX_CONFIG)
    except (OSError, UnicodeDecodeError) as error:
        reason = os.strerror(error.errno or 0) if isinstance(error, OSError) else "it is not text"
        raise BlockError(
            ErrorKind.NOT_FOUND, f"could not read blkdebug's configuration: {reason}", where=path
        ) from None
    return parse_config(text, path)


def parse_config(text: str, where: str) -> list[tuple[str, dict[str, str]]]:
    """The groups in a configuration's text. Raises BlockError."""
    lines, groups = text.splitlines(), []
    # Several groups may have one name, which the parser does not allow: number them.
    numbered = "\n".join(
        f"[{n} {line.strip()[1:]}" if line.strip().startswith("[") else line for n, line in enumerate(lines)
    )
    parser = configparser.RawConfigParser(delimiters=("=",), strict=True, default_section="\0")
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    try:
        parser.read_string(numbered, where)
    except configparser.Error as error:
        raise BlockError(
            ErrorKind.INVALID, f"bad configuration: {error.message.splitlines()[0]}", where=where
        ) from None
    for section in parser.sections():
        kind = section.split(None, 1)[1].split()[0] if len(section.split()) > 1 else ""
        if kind not in ("inject-error", "set-state", "delay"):
            raise BlockError(ErrorKind.INVALID, f"bad configuration: no group can be called '{kind}'", where=where)
        groups.append((kind, {name: value.strip().strip('"') for name, value in parser.items(section)}))
    return groups
