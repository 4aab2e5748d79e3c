"""`secret`: a password or key, kept where images and servers look for it."""

from __future__ import annotations

from typing import Any

from varan.block.crypto.secret import Secrets
from varan.core.properties import Property
from varan.devices.backends.userobject import UserObject
from varan.devices.environment import Environment
from varan.errors import GenericError


class Secret(UserObject):
    """Its value is read when it is made: a file that changes later changes nothing."""

    type_name = "secret"
    abstract = False
    description = "a password or key"
    properties = (
        Property("data", "string", "the secret itself"),
        Property("file", "string", "the file that holds it"),
        Property("format", "QCryptoSecretFormat", "how it is written", default="raw", choices=("raw", "base64")),
        Property("keyid", "string", "the secret it is encrypted with"),
        Property("iv", "string", "the initialization vector of that"),
        Property("loaded", "bool", read=lambda secret: secret.loaded),
    )
    _secrets: Secrets | None = None

    @property
    def loaded(self) -> bool:
        """Whether it can be used."""
        return self._secrets is not None

    async def complete(self, environment: Environment) -> None:
        given = {name: value for name, value in self.settings.items() if value is not None}
        if "data" not in given and "file" not in given:
            raise GenericError("Either 'file' or 'data' must be provided")
        if "data" in given and "file" in given:
            raise GenericError("'file' and 'data' are mutually exclusive")
        secrets: Any = environment.ends.secrets
        secrets.add({"id": self.name, **given})
        self._secrets = secrets

    async def dispose(self) -> None:
        if self._secrets is not None:
            self._secrets.remove(self.name)
            self._secrets = None
