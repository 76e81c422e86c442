"""BitTorrent: libtorrent behind asyncio.

``torrents``  a segment's metainfo: made deterministically, checked when it comes from elsewhere
``merkle``    the hash tree over a segment's bytes
``settings``  libtorrent's settings as functions of the configuration, each with its reason
``events``    what happens in the swarm, as facts
``session``   torrents in, events out; woken by the alert file descriptor, never polling
``progress``  what downloading torrents come to, ``connections`` who is connected for which
``trees``     the hashes that came with a torrent's pieces
``transfer``  one blob on its way, shared by all who want it
``transfers`` all of them, from their start to the cache
``seeding``   what is offered to peers
``peer_wire`` messages between peers, for what libtorrent does not do (no IO)
``blocks``    single blocks of segments from other nodes
``gauge``     how fast the way from another node is
``parts``     keeps parts of segments coming
``lender``    what offers whole blobs out of files of others, at a port of its own
``window``    how much may be under way on each connection
``governor``  one bandwidth limit over the swarm and everything else that the node transfers
"""
