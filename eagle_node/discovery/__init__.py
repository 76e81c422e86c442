"""Discovery: addresses at which the cluster may answer, from every place that was named.

It says where to try, never who is a member: an address may be stale, a stranger's, or nobody's.

::

    join targets ─► service ─► addresses now, and each new one
                      ├► dns     host names, SRV, A and AAAA records, asked again as they age
                      └► mdns    the local network: announces this node, hears the others

A place that fails keeps its last addresses, is tried again, and is told of once. This node's own
addresses (``own``) are left out when asked for, since the virtual address comes and goes.
"""
