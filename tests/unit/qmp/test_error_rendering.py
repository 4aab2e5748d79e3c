"""The errors of disks as sessions of both generations read them."""

from __future__ import annotations

from typing import Any

import pytest

from varan import errors as e
from varan.errors import QmpError
from varan.qmp.profile import Profile

CASES: list[tuple[QmpError, str, dict[str, Any], str]] = [
    (e.DeviceNotFound("d"), "DeviceNotFound", {"device": "d"}, "Device 'd' not found"),
    (e.NodeNotFound("d"), "DeviceNotFound", {"device": "d"}, "Cannot find device='d' nor node-name='d'"),
    (e.NodeNotFound("d", ""), "DeviceNotFound", {"device": "d"}, "Cannot find device='d' nor node-name=''"),
    (e.NodeNotFound("", "n"), "DeviceNotFound", {"device": "n"}, "Cannot find device='' nor node-name='n'"),
    (e.DeviceHasNoMedium("d"), "DeviceHasNoMedium", {"device": "d"}, "Device 'd' has no medium"),
    (e.DeviceIsReadOnly("d"), "DeviceIsReadOnly", {"device": "d"}, "Device 'd' is read only"),
    (e.DeviceIsReadOnly("d", "Image is read-only"), "DeviceIsReadOnly", {"device": "d"}, "Image is read-only"),
    (e.DeviceNotRemovable("d"), "DeviceNotRemovable", {"device": "d"}, "Device 'd' is not removable"),
    (e.DeviceInUse("d"), "DeviceInUse", {"device": "d"}, "Device 'd' is in use"),
    (e.DeviceInUse("d", "a job has it"), "DeviceInUse", {"device": "d"}, "a job has it"),
    (e.DeviceNotActive("d"), "DeviceNotActive", {"device": "d"}, "No d device has been activated"),
    (e.BlockJobNotActive("d"), "DeviceNotActive", {"device": "d"}, "Block job 'd' not found"),
    (e.DeviceEncrypted("d", "f"), "DeviceEncrypted", {"device": "d", "filename": "f"}, "'d' (f) is encrypted"),
    (e.Unsupported(), "Unsupported", {}, "This operation is not supported by this machine"),
    (e.Unsupported("no resize"), "Unsupported", {}, "no resize"),
    (e.NotSupported(), "NotSupported", {}, "Not supported"),
    (
        e.InvalidParameterValue("size", "a >0 size"),
        "InvalidParameterValue",
        {"name": "size", "expected": "a >0 size"},
        "Parameter 'size' expects a >0 size",
    ),
    (e.InvalidParameterCombination("both"), "InvalidParameterCombination", {}, "both"),
    (e.OpenFileFailed("f", "why"), "OpenFileFailed", {"filename": "f"}, "Could not open 'f': why"),
    (e.BaseNotFound("b"), "BaseNotFound", {"base": "b"}, "Can't find 'b' in the backing chain"),
    (e.MissingParameter("p"), "MissingParameter", {"name": "p"}, "Parameter 'p' is missing"),
]
LASTING = {"DeviceNotFound", "DeviceNotActive"}
AMONG_THE_GENERAL = (e.NodeNotFound,)
"""Classes of 1.1 that are no class of their own since, though their parent is."""


@pytest.mark.parametrize(("error", "name", "data", "sentence"), CASES)
def test_today_most_errors_are_of_one_class(error: QmpError, name: str, data: dict[str, Any], sentence: str) -> None:
    lasts = name in LASTING and not isinstance(error, AMONG_THE_GENERAL)
    expected = {"class": name if lasts else "GenericError", "desc": sentence}
    assert Profile.named("latest").render(error) == expected
    assert Profile.named("7.0").render(error) == expected


@pytest.mark.parametrize(("error", "name", "data", "sentence"), CASES)
def test_protocol_1_1_has_classes_with_data(error: QmpError, name: str, data: dict[str, Any], sentence: str) -> None:
    rendered = Profile.named("1.1").render(error)
    assert (rendered["class"], rendered["data"]) == (name, data)
    assert rendered["desc"]
