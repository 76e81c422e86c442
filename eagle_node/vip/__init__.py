"""The virtual address: on an interface of the node that holds its lease, and of no other.

::

    lease granted, renewed, lost ─► service
                                      ├► sockets   probe: does somebody else answer for it?
                                      ├► netlink   the kernel's table
                                      └► sockets   announcements: neighbours learn the new place

What bounds two holders is the kernel, not this process: the address is added with a lifetime that
ends before the lease does, and each renewal extends it. A process that is killed, stopped (SIGSTOP)
or stuck renews nothing, so the kernel takes the address away in time by itself.

``policy``     lifetimes and moments of announcements, pure functions
``wire``       ARP and neighbour discovery packets (RFC 826, 5227, 4861), no IO
``placement``  which interface the address belongs to, a pure function
``netlink``    the kernel's address table (pyroute2)
``sockets``    raw sockets for probes and announcements
"""
