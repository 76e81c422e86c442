"""A fetch in a client's name proves the client's right to read."""

from __future__ import annotations

from eagle_node.registry.access import Access
from eagle_node.registry.names import BlobRef
from eagle_node.swarm.transfer import Transfer


def remember_once_opened(
    access: Access, transfer: Transfer, blob: BlobRef, authorization: str | None
) -> None:
    """Once ``transfer`` has opened, this client may read ``blob``: by the word that it rests on.

    Only for a transfer that was begun with this ``authorization``: joining one proves nothing.
    """
    access.prove(blob, authorization, transfer.opened, transfer.ask, lambda: transfer.word_age_s)
