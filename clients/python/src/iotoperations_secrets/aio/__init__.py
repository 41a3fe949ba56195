"""The same client for asyncio: every call is awaited, lists and watches are iterated with ``async for``."""

from ._client import AsyncSecretServiceClient as SecretServiceClient
from ._client import connect
from ._pager import AsyncPager as Pager
from ._watch import AsyncWatch as Watch

__all__ = ["Pager", "SecretServiceClient", "Watch", "connect"]
