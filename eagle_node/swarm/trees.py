"""What libtorrent has found of a torrent's hash tree while it fetched it (BEP 52).

The bindings show it in resume data only: the nodes that are known, in the order of the tree as an
array from its root down, and a mask that says which these are.
"""

from __future__ import annotations

import asyncio
from typing import Any

import libtorrent as lt

from eagle_node.base.ids import InfoHash
from eagle_node.swarm.merkle import BLOCK

_HASH = 32
_PATIENCE_S = 10.0
"""For libtorrent's answer, which takes a millisecond unless the torrent goes meanwhile."""


class Trees:
    """Asks libtorrent for the leaves of torrents' hash trees."""

    def __init__(self) -> None:
        self._asked: dict[InfoHash, asyncio.Future[bytes]] = {}

    async def leaves(self, info_hash: InfoHash, handle: Any) -> list[bytes]:
        """The hashes of the blocks of a torrent's file, in order; empty unless all are known."""
        asked = self._asked.get(info_hash)
        if asked is None:
            handle.save_resume_data(lt.save_resume_flags_t.save_info_dict)
            asked = self._asked[info_hash] = asyncio.get_running_loop().create_future()
        try:
            await asyncio.wait([asked], timeout=_PATIENCE_S)
        finally:
            if self._asked.get(info_hash) is asked:
                del self._asked[info_hash]
        told = asked.result() if asked.done() else b""
        return await asyncio.to_thread(leaves_in, told) if told else []

    def told(self, info_hash: InfoHash, parameters: Any) -> None:
        """libtorrent's answer, valid during this call; None: there is none."""
        asked = self._asked.get(info_hash)
        if asked is not None and not asked.done():
            data = b"" if parameters is None else bytes(lt.write_resume_data_buf(parameters))
            asked.set_result(data)


def leaves_in(resume_data: bytes) -> list[bytes]:
    """The leaves of the first file's tree; empty unless all are known.

    There is no other file, but for one that libtorrent pads it with.
    """
    content: Any = lt.bdecode(resume_data)
    try:
        (node,) = content[b"info"][b"file tree"].values()
        count = -(-node[b""][b"length"] // BLOCK)
        tree = content[b"trees"][0]
        known, mask = tree[b"hashes"], int.from_bytes(tree[b"mask"], "big")
        bits = 8 * len(tree[b"mask"])
    except (KeyError, IndexError):
        return []
    first = (1 << (count - 1).bit_length()) - 1  # nodes above the leaves
    wanted = ((1 << count) - 1) << max(0, bits - first - count)
    if first + count > bits or mask & wanted != wanted:
        return []
    above = (mask >> (bits - first)).bit_count()
    return [known[at : at + _HASH] for at in range(above * _HASH, (above + count) * _HASH, _HASH)]
