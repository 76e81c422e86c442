"""What is said of a registry that cannot be understood."""

from __future__ import annotations

import aiohttp
import pytest
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from eagle_node.base.errors import Unavailable
from eagle_node.registry.transport import translated

ASKED = aiohttp.RequestInfo(
    url=URL("http://registry.example/v2/"), method="HEAD", headers=CIMultiDictProxy(CIMultiDict())
)


def test_what_is_no_http_is_told_in_a_line() -> None:
    """The library quotes megabytes of what came: none of that gets into logs and answers."""
    quoted = "Bad status line:\n\n  b'" + "\\x00" * 10**6 + "'\n    ^"
    error = aiohttp.ClientResponseError(ASKED, (), status=400, message=quoted)
    with pytest.raises(Unavailable) as caught, translated("registry r.example", 15.0):
        raise error
    assert str(caught.value) == "registry r.example: what it sends is no HTTP: Bad status line"
