"""CPU models as the protocol describes them."""

from __future__ import annotations

from typing import Any

from varan.accel import cpuid
from varan.accel import registry as accelerators
from varan.accel.base import Accelerator
from varan.api.values import CpuDefinitionInfo, CpuModelExpansionInfo, CpuModelInfo
from varan.errors import GenericError, InvalidParameterType
from varan.machine.cpus import cpu_type
from varan.machine.machine import Machine

_OF_THE_HOST = frozenset({"host", "max"})
"""Models that are what the host can do."""


def accelerator_of(machine: Machine) -> Accelerator:
    """What runs the machine's CPUs, or would if it had any. Raises AcceleratorError."""
    return machine.accelerator or accelerators.choose(machine.spec.accelerators)


def definitions(accelerator: Accelerator) -> list[CpuDefinitionInfo]:
    """The accelerator's models. Takes a moment: each is made and looked at."""
    return [_definition(accelerator, name) for name in accelerator.cpu_models()]


def _definition(accelerator: Accelerator, name: str) -> CpuDefinitionInfo:
    return CpuDefinitionInfo(
        name=name,
        typename=cpu_type(name).type_name,
        static=False,
        migration_safe=name not in _OF_THE_HOST,
        unavailable_features=list(accelerator.describe_model(name).missing),
        deprecated=False,
    )


def expand(accelerator: Accelerator, model: CpuModelInfo) -> CpuModelExpansionInfo:
    """Everything that a guest would see. Raises QmpError for a model or feature there is not."""
    if model.name not in accelerator.cpu_models():
        raise GenericError(f"CPU model '{model.name}' not found")
    chosen = _chosen(model.props if isinstance(model.props, dict) else {})
    described = accelerator.describe_model(",".join([model.name, *chosen]))
    props = {**cpuid.identity(described.cpuid), **cpuid.features(described.cpuid)}
    return CpuModelExpansionInfo(model=CpuModelInfo(name=model.name, props=props))


def _chosen(props: dict[str, Any]) -> list[str]:
    for name, value in props.items():
        if not isinstance(value, bool):
            raise InvalidParameterType(name, "boolean")
    return [f"{'+' if value else '-'}{name}" for name, value in props.items()]
