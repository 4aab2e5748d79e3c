"""The accelerators there are, and which one a machine gets when nobody chose."""

from __future__ import annotations

import importlib
import logging
from collections.abc import Sequence

from varan.accel.base import Accelerator, AcceleratorError

log = logging.getLogger("varan.accel")

_MODULES = {"kvm": "varan.accel.kvm.accelerator", "unicorn": "varan.accel.unicorn.accelerator"}
_ALIASES = {"tcg": "unicorn"}


def names() -> list[str]:
    """Every accelerator's name, in order of preference."""
    return list(_MODULES)


def canonical(name: str) -> str | None:
    """The name behind `name` or an alias, None for an unknown one. Loads nothing."""
    name = _ALIASES.get(name, name)
    return name if name in _MODULES else None


def load(name: str) -> type[Accelerator]:
    """The accelerator class called `name` (or an alias). Raises AcceleratorError for an unknown one."""
    module = _MODULES.get(_ALIASES.get(name, name))
    if module is None:
        known = ", ".join([*_MODULES, *_ALIASES])
        raise AcceleratorError(f"invalid accelerator {name}: known are {known}")
    accelerator: type[Accelerator] = importlib.import_module(module).ACCELERATOR
    return accelerator


def choose(wanted: Sequence[tuple[str, dict[str, str]]] = ()) -> Accelerator:
    """The first of `wanted` (name, options) that works here; with none wanted, the best sensible one.

    A KVM without hardware virtualization works but is never chosen unasked. Says in one log line which and why.
    Raises AcceleratorError when none can be used.
    """
    refused: list[str] = []
    for name, options in wanted or [(name, {}) for name in names()]:
        accelerator = load(name)
        availability = accelerator.availability()
        if availability.usable and (wanted or availability.preferred):
            chosen = accelerator(options)
            log.info("accelerator %s: %s", accelerator.name, "; ".join([availability.reason, *refused]))
            return chosen
        refused.append(f"{accelerator.name}: {availability.reason}")
    raise AcceleratorError("no accelerator can be used here: " + "; ".join(refused))
