# Generated from aio/_pager.py by tools/generate.py: change that one.
"""Lists that page by themselves."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from ._pages import Page

T = TypeVar("T")


class Pager(Generic[T]):
    """What a list call returns: iterate it for the items, or :meth:`pages` for page after page.

    Nothing is asked of the service until the iteration begins, and the next page only when it is needed.
    """

    def __init__(self, fetch: Callable[[str], Page[T]], page_token: str = "") -> None:
        self._fetch = fetch
        self._page_token = page_token

    def __iter__(self) -> Iterator[T]:
        for page in self.pages():
            for item in page.items:
                yield item

    def pages(self) -> Iterator[Page[T]]:
        """Page after page."""
        token = self._page_token
        while True:
            page = self._fetch(token)
            yield page
            token = page.next_page_token
            if not token:
                return
