"""-netdev and what else leads to the network."""

from __future__ import annotations

from varan.cli import catalogue
from varan.cli.builder import Builder
from varan.cli.folds.common import HELP_WORDS
from varan.cli.option import HelpRequested, UsageError
from varan.core.keyval import parse
from varan.machine.spec import NetdevSpec
from varan.net import registry


def fold_netdev(builder: Builder, value: str) -> None:
    """-netdev KIND,id=ID[,option=value]..."""
    pairs = [(pair.key, pair.value) for pair in parse(value, "type")]
    named = dict(pairs)
    kind = named.get("type", "")
    if kind in HELP_WORDS:
        raise HelpRequested(catalogue.netdevs())
    if kind not in registry.kinds():
        raise UsageError(f"parameter 'type' expects one of {', '.join(registry.kinds())}, not '{kind}'")
    id = named.get("id")
    if not id:
        raise UsageError("parameter 'id' is missing")
    if any(other.id == id for other in builder.netdevs):
        raise UsageError(f"duplicate ID '{id}' for netdev")
    builder.netdevs.append(NetdevSpec(id, kind, tuple((k, v) for k, v in pairs if k not in ("type", "id"))))
