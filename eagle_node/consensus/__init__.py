"""Who leads, who votes, who holds which role: raft, leases and the policy behind them.

Every node has one `service.Consensus`. Up to five of them keep the log (they vote), all of them
report to the leader, and so renew the leases that they hold.

::

    service ─► session     connections with other nodes: TCP, mutual TLS when there is a key
       ├─────► storage     log, term, vote, snapshot in SQLite, on disk before any answer
       └─────► machine     one node, sans-IO: which part sees what, and the node's reports
                 ├► affiliation                          which cluster it belongs to
                 │    ├► meeting, lifespan                 pure decisions: go over, begin, end
                 │    └► seat                              its part in that cluster's log
                 │        ├► raft ─► leadership, log         elections, replication, reads
                 │        ├► duty ─► leases, policy          a leader's work: grants, voters
                 │        └► telling                         what a leader tells whom
                 ├► attachment ─► holdings               whom to report to; what it holds
                 └► requests, members, outbox            who asks; who is there; effects in order

``records``      what is replicated and stored       ``messages``   what nodes send each other
``events``       into and out of ``machine``         ``raft_events``  into and out of ``raft``
``wire``         both as bytes                       ``timing``     all durations, and their trade

**Leases.** A lease is granted through the log (its epoch fences former holders off), but renewed
without it: a holder's beat is answered once a majority has confirmed, after it came, that the
leader leads. ``leases`` says why there are never two holders. A holder that is cut off loses its
lease by its own clock before the leader gives it to another.

**A cluster's life.** A node that finds no cluster starts one, with itself as the only voter. The
leader adds voters from the members that report to it, and replaces dead ones, one at a time. Two
clusters that meet become one: the lower in rank (`records.Lineage`) first confirms that it still
has a majority, then tells its nodes to go over. State is soft: they leave their log behind. Until
that is done each of the two clusters has its own holders; after it, the losers' have none.

**Two nodes** have one voter, four have three: an even number survives no more losses. So of two
nodes one cannot do without the other, unless `timing.Timing.reform_s` is set.
"""
