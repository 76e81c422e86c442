"""The cluster as one node sees it: who is there, and who does what.

::

    discovery ─► membership ─► consensus ─► vip
    where to look    who lives     who holds what     the address follows its lease
                         └─────┬─────┘
                           directory     seeders, trackers and roles, at this moment

``service``    starts these rooms, connects them, ends them in order; tells who does what
``directory``  members and leases in, addresses by role out; no IO
``describe``   what a node says of itself, and how the leader sees a member; no IO
``address``    puts the virtual address where its lease is

**A lease says who is asked, not who can.** Every node that may be elected has its seeder and its
tracker running from the start, so a role moves with the next look into the directory: nothing has
to be started, and who is asked a moment too late or too early answers all the same. Both are soft
state: a tracker is told everything by the nodes that find it in their directory, a seeder has the
registry behind it.

**Without a leader** (two nodes of which one is gone, a partition's smaller half, the first second)
the holders that live go on. When none does, the nodes that could agree without talking: the
directory names the same stand-ins on all nodes that see the same members. Roles may then be held
twice, in both halves of a partition; the virtual address is not: it follows its lease only.
"""
