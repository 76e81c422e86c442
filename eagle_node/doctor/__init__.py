"""What could keep this host's node from working: findings, each with its remedy.

    examine   all checks, side by side
    process   whether the node of this data directory runs, and where it listens
    ports     ports: free, the node's own, or somebody else's
    host      clock, file limit
    disk      the data directory: rights, file system, room
    content   containerd's content store, if blobs are offered from there
    secrets   cluster key, API token, certificates: there, private, well-formed, not expired
    reach     registries, seeders and trackers
    status    what the running node says about itself and its cluster

Nothing is changed. What the runtimes do is `eagle_node.mirror.check`'s to find.
"""
