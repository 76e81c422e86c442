"""The peer: one download per blob, from the swarm while it moves, from elsewhere when it does not.

``events``     what happens to a download, and what it wants done
``machine``    the life cycle of a download: events and time in, effects out; no IO
``lane``       how long a stripe's parent is waited for, and what is tried next (no IO)
``asking``     which seeder is asked, and whether one is waited for (no IO)
``fill``       a transfer's source: the swarm, then the origin
``download``   performs the effects of one run, and tells the machine what has happened
``stream``     the metainfo that a seeder tells as it becomes ready
``segments``   the torrents of a run's segments
``guide``      asks the trackers whom to draw on, ``parents`` remembers it (no IO)
``succession`` whose turn it is to ask the origin, as seeders die and others are elected (no IO)
``means``      what downloads work with
``parts``      parts of segments, where readers want no more
``holders``    brings them from nodes that hold the segment, verified, rather than from the seeders
``beside``     blobs for which there is no room, passed on from the seeders
``reach``      whether a peer lives, and how far away it is
``announce``   the loopback endpoint that tells libtorrent whom the plan names
``links``      measures this node's link while nothing uses it
``advertise``  tells the trackers what this node holds, in batches
``discretion`` what other nodes are told of a reader's credentials
``relay``      has the seeder that owns a repository ask its registry
``looks``      has the seeder that owns a file's name find out the file's digest
``service``    what the proxy and the node see: open a blob, whoever else has asked for it

Degradation, one stage at a time and reset by any progress: the planned parent, the next parent, all
peers of the plan, another seeder, the origin.
"""
