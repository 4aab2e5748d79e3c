"""The protocol's error classes: one exception each, carrying the data its class documents.

Two generations of clients read these. Protocol 1.1 told errors apart by some seventy classes, each with its own
data members; since 1.2 almost all of them are rendered as `GenericError` with the same sentence, and only the few in
`LASTING_CLASSES` keep a class of their own. Which rendering a session gets is decided where replies are written
(`varan.qmp`), so raise the precise class here and never think of the client.
"""

from __future__ import annotations

from varan.light import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any, ClassVar


LASTING_CLASSES = frozenset({"CommandNotFound", "DeviceNotActive", "DeviceNotFound", "KVMMissingCap", "GenericError"})


class VaranError(Exception):
    """Something the user can mend: the text says what was wrong, where, and what to do."""


class QmpError(VaranError):
    """An error with a class and data of its own in the protocol.

    Subclasses set `template`; keyword arguments are the class's data members and fill the template.
    """

    template: ClassVar[str] = "{message}"
    data: dict[str, Any]

    def __init__(self, **data: Any) -> None:
        self.data = data
        super().__init__(self.template.format(**data))

    @property
    def class_name(self) -> str:
        """The rich class name, as protocol 1.1 spells it."""
        return type(self).__name__

    @property
    def lasting_class(self) -> str:
        """The class name today's protocol uses for this error."""
        return self.class_name if self.class_name in LASTING_CLASSES else "GenericError"


class GenericError(QmpError):
    """An error that has only a sentence."""

    def __init__(self, message: str) -> None:
        super().__init__(message=message)


class CommandNotFound(QmpError):
    template = "The command {name} has not been found"

    def __init__(self, name: str) -> None:
        super().__init__(name=name)


class CommandDisabled(QmpError):
    template = "The command {name} has been disabled for this instance"

    def __init__(self, name: str) -> None:
        super().__init__(name=name)


class DeviceNotFound(QmpError):
    template = "Device '{device}' not found"

    def __init__(self, device: str) -> None:
        super().__init__(device=device)


class NodeNotFound(DeviceNotFound):
    """Neither a device nor a block node: a `DeviceNotFound` that later protocols count among the general errors."""

    template = "Cannot find device='{device}' nor node-name='{node}'"
    class_name = "DeviceNotFound"
    lasting_class = "GenericError"

    def __init__(self, device: str, node: str | None = None) -> None:
        """`node`: the name of the node, where it was asked for by another name than the device."""
        QmpError.__init__(self, device=device, node=device if node is None else node)
        self.data = {"device": device or node or ""}


class BaseNotFound(QmpError):
    template = "Can't find '{base}' in the backing chain"

    def __init__(self, base: str) -> None:
        super().__init__(base=base)


class DeviceHasNoMedium(QmpError):
    """`reason`: another sentence."""

    template = "{reason}"

    def __init__(self, device: str, reason: str | None = None) -> None:
        super().__init__(reason=reason or f"Device '{device}' has no medium")
        self.data = {"device": device}


class DeviceIsReadOnly(QmpError):
    """`reason`: another sentence."""

    template = "{reason}"

    def __init__(self, device: str, reason: str | None = None) -> None:
        super().__init__(reason=reason or f"Device '{device}' is read only")
        self.data = {"device": device}


class DeviceNotRemovable(QmpError):
    """`reason`: another sentence."""

    template = "{reason}"

    def __init__(self, device: str, reason: str | None = None) -> None:
        super().__init__(reason=reason or f"Device '{device}' is not removable")
        self.data = {"device": device}


class DeviceLocked(QmpError):
    """The guest keeps the medium in."""

    template = "Device '{device}' is locked and force was not specified, wait for tray to open and try again"

    def __init__(self, device: str) -> None:
        super().__init__(device=device)


class TrayClosed(GenericError):
    """The medium moves only when the tray is out. `reason`: another sentence."""

    class_name = "GenericError"

    def __init__(self, device: str, reason: str | None = None) -> None:
        super().__init__(reason or f"Tray of device '{device}' is not open")


class MediumPresent(GenericError):
    """There is one, where one is to be put in."""

    class_name = "GenericError"

    def __init__(self) -> None:
        super().__init__("There already is a medium in the device")


class InvalidBlockFormat(QmpError):
    template = "Unknown {what} '{name}'"

    def __init__(self, name: str, what: str = "driver") -> None:
        super().__init__(name=name, what=what)
        self.data = {"name": name}


class DeviceNotActive(QmpError):
    template = "No {device} device has been activated"

    def __init__(self, device: str) -> None:
        super().__init__(device=device)


class BlockJobNotActive(DeviceNotActive):
    """There is no such block job."""

    template = "Block job '{device}' not found"
    class_name = "DeviceNotActive"
    lasting_class = "DeviceNotActive"


class DeviceInUse(QmpError):
    """`reason`: a sentence of its own, for those who read sentences."""

    template = "{reason}"

    def __init__(self, device: str, reason: str | None = None) -> None:
        super().__init__(reason=reason or f"Device '{device}' is in use")
        self.data = {"device": device}


class DeviceEncrypted(QmpError):
    template = "'{device}' ({filename}) is encrypted"

    def __init__(self, device: str, filename: str) -> None:
        super().__init__(device=device, filename=filename)


class DeviceNotEncrypted(QmpError):
    template = "Device '{device}' is not encrypted"

    def __init__(self, device: str) -> None:
        super().__init__(device=device)


class InvalidPassword(QmpError):
    template = "Password incorrect"

    def __init__(self) -> None:
        super().__init__()


class DuplicateId(QmpError):
    template = "Duplicate ID '{id}' for {object}"

    def __init__(self, id: str, object: str) -> None:
        super().__init__(id=id, object=object)


class FdNotFound(QmpError):
    template = "File descriptor named '{name}' not found"

    def __init__(self, name: str) -> None:
        super().__init__(name=name)


class FeatureDisabled(QmpError):
    template = "The feature '{name}' is not enabled"

    def __init__(self, name: str) -> None:
        super().__init__(name=name)


class InvalidParameter(QmpError):
    template = "Invalid parameter '{name}'"

    def __init__(self, name: str) -> None:
        super().__init__(name=name)


class InvalidParameterCombination(QmpError):
    """`reason`: a sentence of its own, for those who read sentences."""

    template = "{reason}"

    def __init__(self, reason: str = "Invalid parameter combination") -> None:
        super().__init__(reason=reason)
        self.data = {}


class InvalidParameterType(QmpError):
    template = "Invalid parameter type for '{name}', expected: {expected}"

    def __init__(self, name: str, expected: str) -> None:
        super().__init__(name=name, expected=expected)


class InvalidParameterValue(QmpError):
    template = "Parameter '{name}' expects {expected}"

    def __init__(self, name: str, expected: str) -> None:
        super().__init__(name=name, expected=expected)


class MissingParameter(QmpError):
    template = "Parameter '{name}' is missing"

    def __init__(self, name: str) -> None:
        super().__init__(name=name)


class IOError(QmpError):
    """Reading or writing a host file failed; `detail` is the host's own words."""

    template = "An IO error has occurred{suffix}"

    def __init__(self, detail: str = "") -> None:
        super().__init__(suffix=f": {detail}" if detail else "")
        self.data = {}


class JSONParsing(QmpError):
    template = "JSON parse error, {message}"

    def __init__(self, message: str = "Invalid JSON syntax") -> None:
        super().__init__(message=message)
        self.data = {}


class KVMMissingCap(QmpError):
    template = "Using KVM without {capability}, {feature} unavailable"

    def __init__(self, capability: str, feature: str) -> None:
        super().__init__(capability=capability, feature=feature)


class MigrationExpected(QmpError):
    template = "An incoming migration is expected before this command can be executed"

    def __init__(self) -> None:
        super().__init__()


class NotSupported(QmpError):
    template = "Not supported"

    def __init__(self) -> None:
        super().__init__()


class OpenFileFailed(QmpError):
    """A host file could not be opened; `detail` is the host's own words, `whole` a sentence that stands for itself."""

    template = "Could not open '{filename}'{suffix}"

    def __init__(self, filename: str, detail: str = "", *, whole: str | None = None) -> None:
        super().__init__(filename=filename, suffix=f": {detail}" if detail else "")
        self.data = {"filename": filename}
        if whole is not None:
            self.args = (whole,)


class CreateFileFailed(OpenFileFailed):
    """A host file could not be made."""

    template = "Could not create '{filename}'{suffix}"
    class_name = "OpenFileFailed"
    lasting_class = "GenericError"


class PermissionDenied(QmpError):
    template = "Insufficient permission to perform this operation"

    def __init__(self) -> None:
        super().__init__()


class QMPBadInputObject(QmpError):
    template = "QMP input must be a JSON {expected}"

    def __init__(self, expected: str) -> None:
        super().__init__(expected=expected)


class QMPBadInputObjectMember(QmpError):
    template = "QMP input member '{member}' must be a JSON {expected}"

    def __init__(self, member: str, expected: str) -> None:
        super().__init__(member=member, expected=expected)


class QMPExtraInputObjectMember(QmpError):
    template = "QMP input member '{member}' is unexpected"

    def __init__(self, member: str) -> None:
        super().__init__(member=member)


class Unsupported(QmpError):
    """`reason`: a sentence of its own, for those who read sentences."""

    template = "{reason}"

    def __init__(self, reason: str = "This operation is not supported by this machine") -> None:
        super().__init__(reason=reason)
        self.data = {}
