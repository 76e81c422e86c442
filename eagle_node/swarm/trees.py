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
        self._asked: dict[InfoHash, asyncio.Future[list[bytes]]] = {}

    async def leaves(self, info_hash: InfoHash, handle: Any) -> list[bytes]:
        """The hashes of a whole torrent's blocks, in order; empty if it cannot be told."""
        if info_hash not in self._asked:
            self._asked[info_hash] = asyncio.get_running_loop().create_future()
            handle.save_resume_data(lt.save_resume_flags_t.save_info_dict)
        asked = self._asked[info_hash]
        await asyncio.wait([asked], timeout=_PATIENCE_S)
        self._asked.pop(info_hash, None)
        return asked.result() if asked.done() else []

    def told(self, info_hash: InfoHash, parameters: Any) -> None:
        """libtorrent's answer; None: there is none."""
        asked = self._asked.pop(info_hash, None)
        if asked is not None and not asked.done():
            asked.set_result([] if parameters is None else leaves_in(parameters))


def leaves_in(parameters: Any) -> list[bytes]:
    """The leaves of the first file's tree, if all of them are known; else none.

    There is no other file, but for one that libtorrent pads it with.
    """
    content: Any = lt.bdecode(lt.write_resume_data_buf(parameters))
    try:
        tree = content[b"trees"][0]
        known, mask = tree[b"hashes"], int.from_bytes(tree[b"mask"], "big")
        bits = 8 * len(tree[b"mask"])
    except (KeyError, IndexError):
        return []
    count = -(-parameters.ti.layout().file_size(0) // BLOCK)
    first = (1 << (count - 1).bit_length()) - 1
    """Nodes above the leaves."""
    wanted = ((1 << count) - 1) << (bits - first - count)
    if first + count > bits or mask & wanted != wanted:
        return []
    above = (mask >> (bits - first)).bit_count()
    return [known[at : at + _HASH] for at in range(above * _HASH, (above + count) * _HASH, _HASH)]
