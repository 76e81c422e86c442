"""An answer on its way through this node."""

from __future__ import annotations

from collections.abc import AsyncIterator

from multidict import CIMultiDict

from eagle_node.registry.transport import Reply


class ForwardReply:
    """An answer to pass on: status, end-to-end headers and body, whatever they say."""

    def __init__(self, reply: Reply, headers: CIMultiDict[str]) -> None:
        self._reply = reply
        self.status = reply.status
        self.headers = headers
        """May hold a name more than once; ``Content-Length`` is there if the origin sent it."""

    def chunks(self) -> AsyncIterator[bytes]:
        """The body as it comes, content codings untouched; `Unavailable` if it breaks off."""
        return self._reply.chunks()
