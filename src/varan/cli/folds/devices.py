"""-device and -object: what is plugged into the machine, and what that refers to."""

from __future__ import annotations

import json
from typing import Any

from varan.cli import catalogue
from varan.cli.builder import Builder
from varan.cli.folds.common import HELP_WORDS
from varan.cli.option import HelpRequested, UsageError
from varan.core.keyval import Arguments
from varan.machine.spec import DeviceSpec, ObjectSpec


def fold_device(builder: Builder, value: str) -> None:
    """-device DRIVER[,id=ID][,bus=BUS][,setting=value]..., or the same as a JSON object"""
    if value.startswith("{"):
        settings = json_object(value)
        driver = settings.pop("driver", None)
    else:
        arguments = Arguments(value, "driver")
        driver = arguments.take("driver")
        settings = arguments.rest()
    if driver in HELP_WORDS:
        raise HelpRequested(catalogue.devices())
    if not isinstance(driver, str) or not driver:
        raise UsageError("Parameter 'driver' is missing")
    if HELP_WORDS & settings.keys():
        raise HelpRequested(catalogue.device_settings(driver))
    id, bus = settings.pop("id", None), settings.pop("bus", None)
    if id is not None and any(device.id == id for device in builder.devices):
        raise UsageError(f"Duplicate device ID '{id}'")
    builder.devices.append(DeviceSpec(driver, id, bus, settings, f"-device {value}"))


def fold_object(builder: Builder, value: str) -> None:
    """-object TYPE,id=ID[,setting=value]..., or the same as a JSON object"""
    if value.startswith("{"):
        settings = json_object(value)
    else:
        settings = dict(Arguments(value, "qom-type").rest())
    kind = settings.pop("qom-type", None)
    if kind in HELP_WORDS:
        raise HelpRequested(catalogue.objects())
    if not isinstance(kind, str) or not kind:
        raise UsageError("Parameter 'qom-type' is missing")
    if HELP_WORDS & settings.keys():
        raise HelpRequested(catalogue.object_settings(kind))
    id = settings.pop("id", None)
    if not isinstance(id, str):
        raise UsageError("Parameter 'id' is missing")
    builder.objects.append(ObjectSpec(kind, id, settings, f"-object {value}"))


def json_object(text: str) -> dict[str, Any]:
    """The members of a JSON object that stands where an option's argument does. Raises UsageError."""
    try:
        value = json.loads(text)
    except ValueError as error:
        raise UsageError(f"JSON parse error, {error}") from None
    if not isinstance(value, dict):
        raise UsageError("expected a JSON object")
    return value
