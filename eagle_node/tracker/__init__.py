"""The tracker: who holds what, and from whom a joining node should take it.

Nodes make two JSON calls: ``plan`` for a blob that they need, again and again until they have it
(it answers when something has changed), ``advertise`` for what they hold.
Unmodified BitTorrent clients announce and scrape by HTTP. Both see the same holders.

::

    handlers ─► directory ─► table      holdings of all nodes, in SQLite: survive a restart
                    └──────► machine    waves: blobs that are asked for now, in memory
                                ├► wave      one blob: its sources, and each downloader's parents
                                │    ├► plan     shape of the trees, what a cell hangs on: pure
                                │    ├► line     the cells, and what each hangs on
                                │    ├► cell     nodes that get a blob together
                                │    └► forest   who feeds whom within a cell: arithmetic
                                └► strangers BitTorrent clients that are no nodes

A wave is loaded from the table when its blob is first asked for, kept current by every advert, and
dropped when nobody has asked for a while. Who misses two intervals is gone from both.

``schema``    the JSON messages, parsed strictly, rendered back
``errands``   what somebody wants at certain nodes: left, picked up, reported on
``errand_schema``  its messages
``fields``    typed access to parsed JSON, with errors that name the field
``bitmap``    which segments a node has, most significant bit first (BEP 3)
``wire``      announce and scrape (BEP 3, 7, 23, 48, 52), no IO
``bencode``   the encoding of their replies
``distance``  how far two hosts are apart: labels, then common address prefix
``source``    a node's part in a wave
``holders``   complete sources by place, idle ones apart
``pace``      how fast a wave's nodes are
``gain``      what a downloader gets, by its adverts
``gauging``   whose links are measured against whose; ``ring`` who is near whom for that
``health``    who is believed to fail its children
``client``    the nodes' side: picks the tracker of a digest, fails over, backs off
"""
