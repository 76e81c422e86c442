"""Whom a registry's TLS must convince, and what it is shown. Verification is never off."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path

from eagle_node.base.errors import Unavailable
from eagle_node.registry.endpoints import Endpoint

_Identity = tuple[Path | None, ...]
_Versions = tuple[tuple[int, int, int] | None, ...]


class TlsContexts:
    """Verifying contexts, made when first used and kept until one of their files changes.

    A renewed certificate takes effect with the next connection; those that are open stay.
    """

    def __init__(self) -> None:
        self._contexts: dict[_Identity, tuple[_Versions, ssl.SSLContext]] = {}

    async def context(self, endpoint: Endpoint, *, own: bool) -> ssl.SSLContext:
        """The context for a connection that ``endpoint`` leads to; `Unavailable` names bad files.

        Its ``own`` host must convince its ``ca_file`` and is shown the client certificate. Another
        one, which it redirects to, may also convince the system's CAs, since registries with
        private CAs do send to public storage, and is shown none.
        """
        cert, key = endpoint.client_cert_file, endpoint.client_key_file
        identity: _Identity = (endpoint.ca_file, cert, key) if own else (endpoint.ca_file,)
        versions = tuple(map(_version, identity))
        known = self._contexts.get(identity)
        if known is None or known[0] != versions:
            build = _own_context if own else _foreign_context
            try:
                known = versions, await asyncio.to_thread(build, endpoint)
            except OSError as error:
                files = ", ".join(str(file) for file in identity if file is not None)
                raise Unavailable(
                    f"cannot use the TLS files of registry {endpoint.name} ({files}): "
                    f"{error.strerror or error}"
                ) from error
            self._contexts[identity] = known
        return known[1]


def _version(path: Path | None) -> tuple[int, int, int] | None:
    """Changes with the file; None for one that cannot be found, which is told when it is read."""
    try:
        status = path.stat() if path is not None else None
    except OSError:
        return None
    return status and (status.st_mtime_ns, status.st_ino, status.st_size)


def _own_context(endpoint: Endpoint) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=endpoint.ca_file)
    if endpoint.client_cert_file is not None:
        context.load_cert_chain(endpoint.client_cert_file, endpoint.client_key_file)
    return context


def _foreign_context(endpoint: Endpoint) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if endpoint.ca_file is not None:
        context.load_verify_locations(cafile=endpoint.ca_file)
    return context
