"""The errors that a session itself raises: about requests, negotiation and arguments.

Most of them have one sentence in protocol 1.1 and another today. Such a class derives from the class of 1.1, which
supplies name, data and sentence for the rich rendering, and has today's sentence as its own template.
"""

from __future__ import annotations

from varan.errors import (
    BlockJobNotActive,
    CommandNotFound,
    GenericError,
    InvalidParameter,
    NodeNotFound,
    QMPBadInputObject,
    QMPBadInputObjectMember,
    QmpError,
)


def rich_class(error: QmpError) -> type[QmpError]:
    """The class of protocol 1.1 that `error` belongs to."""
    return _RICH.get(type(error), type(error))


class NegotiationExpected(CommandNotFound):
    """A command other than qmp_capabilities before the end of negotiation."""

    template = "Expecting capabilities negotiation with 'qmp_capabilities'"
    class_name = "CommandNotFound"


class NegotiationComplete(CommandNotFound):
    """qmp_capabilities after the end of negotiation."""

    template = "Capabilities negotiation is already complete, command ignored"
    class_name = "CommandNotFound"


class OobNotSupported(GenericError):
    """exec-oob with a command that has to wait its turn."""

    class_name = "GenericError"

    def __init__(self, name: str) -> None:
        super().__init__(f"The command {name} does not support OOB")


class TooEarly(GenericError):
    """A command that needs a machine while there is only a configuration."""

    class_name = "GenericError"

    def __init__(self, name: str) -> None:
        super().__init__(f"The command '{name}' is permitted only after machine initialization has completed")


class MemberType(QMPBadInputObjectMember):
    """A member of the request that is not of its type."""

    template = "QMP input member '{member}' must be {article} {expected}"
    class_name = "QMPBadInputObjectMember"

    def __init__(self, member: str, expected: str) -> None:
        QmpError.__init__(self, member=member, expected=expected, article="an" if expected == "object" else "a")
        del self.data["article"]


class MemberMissing(QMPBadInputObject):
    """A request that does not say what to execute."""

    template = "QMP input lacks member 'execute'"
    class_name = "QMPBadInputObject"

    def __init__(self) -> None:
        super().__init__("execute")


class MembersClash(QMPBadInputObject):
    """A request with both ways to name a command."""

    template = "QMP input member 'execute' clashes with 'exec-oob'"
    class_name = "QMPBadInputObject"

    def __init__(self) -> None:
        super().__init__("execute")


class ParameterUnexpected(InvalidParameter):
    """An argument, or a member inside one, that the command does not have."""

    template = "Parameter '{name}' is unexpected"
    class_name = "InvalidParameter"


class ValueNotAccepted(InvalidParameter):
    """A string that is not one of an enumeration's."""

    template = "Parameter '{name}' does not accept value '{value}'"
    class_name = "InvalidParameter"

    def __init__(self, name: str, value: str) -> None:
        QmpError.__init__(self, name=name, value=value)
        self.data = {"name": name}


_RICH: dict[type[QmpError], type[QmpError]] = {
    kind: kind.__bases__[0]
    for kind in (
        NegotiationExpected,
        NegotiationComplete,
        OobNotSupported,
        TooEarly,
        MemberType,
        MemberMissing,
        MembersClash,
        ParameterUnexpected,
        ValueNotAccepted,
        NodeNotFound,
        BlockJobNotActive,
    )
}
