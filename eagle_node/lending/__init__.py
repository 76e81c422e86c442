"""Blobs out of containerd's own content store: advertised and served from there, never copied.

containerd keeps each blob whole in ``ROOT/io.containerd.content.v1.content/blobs/sha256/HEX``. A
name in there says nothing: a blob is lent to the cache, and told to trackers, once this node has
read all of it and found its digest. Whoever asks for it is judged as for any cached blob.

::

    service ─► policy     what to verify next, what is offered, what no longer: sans IO
       ├─────► hashing    digest and piece hashes of a file, in one reading
       ├─────► index      what was verified, in SQLite: not to be read again after a restart
       ├─────► offers     torrents of blobs that are lent, within the limit of torrents
       ├─────► listener   sends pieces to peers: BitTorrent out of a file at any offset
       │          ├► wire its messages, no IO
       │          └► obfuscation  the opening that libtorrent prefers
       └─────► dedupe     drops the cache's own copies, once nobody uses them

Where the store is, and what lies in it now, `mirror.content_store` tells.

libtorrent cannot seed a segment that lies in the middle of a file, and links would keep what
containerd has removed. So these blobs have a listener of their own, a seed that asks for nothing:
its port stands in this node's adverts beside the blobs.

A file is trusted while its identity stays (`blobs.lent`); it is looked at before each use. Removed,
replaced, truncated or altered files are gone from service with the next look, at the latest.
"""
