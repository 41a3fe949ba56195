"""Secret values, texts and bytes: nothing shows them but a call that says so."""

from __future__ import annotations

import hmac
from typing import NoReturn


class SecretValue:
    """The value of a secret, on its way to the vault.

    Neither ``repr``, ``str``, a format string, a log line nor a traceback shows it; :meth:`reveal` does.
    """

    __slots__ = ("__value",)

    def __init__(self, value: str | SecretValue) -> None:
        self.__value: str = value.reveal() if isinstance(value, SecretValue) else value

    def reveal(self) -> str:
        """The value itself."""
        return self.__value

    def __repr__(self) -> str:
        return "SecretValue('**********')"

    def __str__(self) -> str:
        return "**********"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, SecretValue):
            return NotImplemented
        return hmac.compare_digest(self.__value.encode(), other.__value.encode())

    def __hash__(self) -> int:
        return hash((SecretValue, self.__value))

    def __reduce__(self) -> NoReturn:
        raise TypeError("a SecretValue is not pickled: that would write the value down")


class SecretData:
    """The bytes of a secret, such as the file of a certificate, on their way to the vault; hidden as a value is."""

    __slots__ = ("__data",)

    def __init__(self, data: bytes | SecretData) -> None:
        self.__data: bytes = data.reveal() if isinstance(data, SecretData) else bytes(data)

    def reveal(self) -> bytes:
        """The bytes themselves."""
        return self.__data

    def __repr__(self) -> str:
        return "SecretData('**********')"

    def __str__(self) -> str:
        return "**********"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, SecretData):
            return NotImplemented
        return hmac.compare_digest(self.__data, other.__data)

    def __hash__(self) -> int:
        return hash((SecretData, self.__data))

    def __reduce__(self) -> NoReturn:
        raise TypeError("a SecretData is not pickled: that would write the bytes down")


Secret = str | bytes | SecretValue | SecretData
"""What is to be stored: a text, or bytes."""


def hidden(secret: Secret) -> SecretValue | SecretData:
    """The same as nothing shows it."""
    return SecretData(secret) if isinstance(secret, bytes | SecretData) else SecretValue(secret)
