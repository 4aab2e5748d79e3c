"""-netdev and what else leads to the network."""

from __future__ import annotations

from varan.cli import catalogue
from varan.cli.builder import Builder
from varan.cli.folds.common import HELP_WORDS
from varan.cli.option import HelpRequested, UsageError
from varan.core.keyval import escape, parse
from varan.machine.spec import DeviceSpec, NetdevSpec
from varan.net import registry

DEFAULT_MODEL = "virtio"
MODEL_NAMES = {"virtio": "virtio-net-pci"}
"""Short names of adapters."""
_ADAPTER_KEYS = ("model", "mac", "macaddr")


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


def fold_nic(builder: Builder, value: str) -> None:
    """-nic KIND[,model=MODEL][,mac=MAC][,option=value]... or none: an adapter with a back end of its own."""
    if value == "none":
        return
    pairs = [(pair.key, pair.value) for pair in parse(value, "type")]
    named = dict(pairs)
    id = named.get("id") or f"nic{sum(netdev.id.startswith('#nic') for netdev in builder.netdevs)}"
    netdev = f"#{id}" if "id" not in named else f"#nic-{id}"
    rest = [f"{key}={escape(text)}" for key, text in pairs if key not in ("type", "id", *_ADAPTER_KEYS)]
    fold_netdev(builder, ",".join([named.get("type", ""), f"id={netdev}", *rest]))
    _add_adapter(builder, named, netdev, named.get("id"))


def fold_net(builder: Builder, value: str) -> None:
    """-net nic[,...] or KIND[,...]: an adapter, or a back end, at hub 0; or none."""
    if value == "none":
        return
    pairs = [(pair.key, pair.value) for pair in parse(value, "type")]
    named = dict(pairs)
    place = f"#hub0port{sum(netdev.kind == 'hubport' for netdev in builder.netdevs)}"
    if named.get("type") == "nic":
        for key in named.keys() - {"type", "id", "netdev", *_ADAPTER_KEYS}:
            raise UsageError(f"invalid parameter '{key}'")
        netdev = named.get("netdev")
        if netdev is None:
            builder.netdevs.append(NetdevSpec(place, "hubport", (("hubid", "0"),)))
            netdev = place
        _add_adapter(builder, named, netdev, named.get("id"))
        return
    behind = named.get("id") or f"#net{len(builder.netdevs)}"
    rest = [f"{key}={escape(text)}" for key, text in pairs if key not in ("type", "id")]
    fold_netdev(builder, ",".join([named.get("type", ""), f"id={behind}", *rest]))
    builder.netdevs.append(NetdevSpec(place, "hubport", (("hubid", "0"), ("netdev", behind))))


def _add_adapter(builder: Builder, named: dict[str, str], netdev: str, id: str | None) -> None:
    model = named.get("model", DEFAULT_MODEL)
    settings = {"netdev": netdev}
    mac = named.get("mac") or named.get("macaddr")
    if mac is not None:
        settings["mac"] = mac
    builder.devices.append(DeviceSpec(MODEL_NAMES.get(model, model), id, None, settings))
