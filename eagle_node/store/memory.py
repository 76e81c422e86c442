"""Files that are a memory, not a source of truth: nobody fails for one that cannot be used."""

from __future__ import annotations

import logging
from collections.abc import Awaitable
from typing import TypeVar

from eagle_node.base.errors import Unavailable

T = TypeVar("T")

log = logging.getLogger(__name__)


class Memory:
    """While its file cannot be used (full disk) nothing is kept or found.

    ``what`` is that, in words; trouble is logged when it begins and when it ends.
    """

    def __init__(self, what: str) -> None:
        self._what = what
        self._works = True

    async def attempt(self, use: Awaitable[T]) -> T | None:
        """The result of a use of the file; None when it cannot be used."""
        try:
            result = await use
        except Unavailable as error:
            if self._works:
                log.warning("cannot remember %s: %s", self._what, error)
            self._works = False
            return None
        if not self._works:
            log.info("remembering %s again", self._what)
        self._works = True
        return result
