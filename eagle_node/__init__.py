"""eagle-node: every container host is a proxy, a peer, and where needed a seeder and a tracker.

The journey of a blob, top to bottom (floors import only floors below them):

    cli        arguments, exit codes, the demo
    node       composition root: builds every part, runs them in one TaskGroup
    proxy      what the container runtime talks to: mirror and plain-HTTP forward proxy
    peer       one download per blob: metainfo in, swarm, fallbacks, committed blob out
    seeder     fetches a blob once (store, then origin), cuts it into segments, seeds it
    registry   OCI names, challenges, credentials, the upstream client
    swarm      libtorrent behind asyncio: torrents in, events out
    tracker    who holds what, the plan, announces
    metainfo   the gRPC contract between peers and seeders
    api        control API, its client and schema
    blobs      the cache: segment layout, verified ingest, eviction
    storage    the seeder's pluggable blob store
    store      SQLite behind one writer thread
    trust      the cluster key and what follows from it
    metrics    every instrument
    config     one frozen tree
    runtime    tasks, clocks, sockets, byte budgets
    base       digests, ids, sizes, errors
"""

__version__ = "0.1.0"
