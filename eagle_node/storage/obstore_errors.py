"""obstore's errors as the error family."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from eagle_node.base.errors import NoSpace, Unavailable
from eagle_node.storage.interface import BlobNotFound

_FULL = re.compile(r"\(os error (?:28|122)\)")
"""ENOSPC and EDQUOT (errno.h of Linux), as the library spells them."""
_QUERY = re.compile(r"\?[^\s)\"']+")
"""Queries of URLs hold signatures."""
_NO_AUTHORITIES = "No CA certificates were loaded"
"""What its TLS library says, in the debug text only, to plain HTTP as well."""


@contextmanager
def translated(name: str) -> Iterator[None]:
    """Raise what obstore says about the object ``name`` as `BlobNotFound` and co."""
    from obstore.exceptions import BaseError

    try:
        yield
    except FileNotFoundError as error:
        raise BlobNotFound(f"{name} is not in the blob store") from error
    except TimeoutError as error:
        raise Unavailable(f"the blob store does not answer about {name}") from error
    except (BaseError, OSError) as error:
        text = f"the blob store failed for {name}: {first_line(error)}"
        if _FULL.search(str(error)):
            raise NoSpace(text) from error
        raise Unavailable(text) from error


def first_line(error: BaseException) -> str:
    """What ``error`` says, without the library's debug text and without queries of URLs."""
    if _NO_AUTHORITIES in str(error):
        return (
            "this host has no certificate authorities; install ca-certificates, or name a file of "
            "them in SSL_CERT_FILE"
        )
    return _QUERY.sub("?…", str(error).partition("\n")[0])
