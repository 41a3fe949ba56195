"""A page of a list."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Page(Generic[T]):
    """Some of the items of a list, and where the others begin."""

    items: tuple[T, ...]
    next_page_token: str
    """Empty on the last page; may be given to the same list call as ``page_token``."""
    total_size: int | None = None
    """How many there are on all pages, where the service counts them."""
    unreachable: tuple[str, ...] = ()
    """What the service could not read, so that items may be missing here."""
