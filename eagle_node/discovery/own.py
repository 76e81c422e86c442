"""Which addresses are this node's own."""

from __future__ import annotations

import socket
from collections.abc import Callable

from eagle_node.runtime.sockets import Address

_ALL = ("", "0.0.0.0", "::")


def own_addresses(listen_host: str, port: int) -> Callable[[Address], bool]:
    """Tells addresses at which this node's gossip listener on ``listen_host`` is reached itself.

    A listener on all interfaces is reached at every address of this host, the virtual one included
    while it is here.
    """

    def is_own(address: Address) -> bool:
        if address.port != port:
            return False
        return is_of_this_host(address.host) if listen_host in _ALL else address.host == listen_host

    return is_own


def is_of_this_host(ip: str) -> bool:
    """Whether an interface has the address ``ip`` now: a socket can then be bound to it."""
    family = socket.AF_INET6 if ":" in ip else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((ip, 0))
        except OSError:
            return False
    return True
