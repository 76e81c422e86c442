"""Nodes of the same cluster on the local network, by multicast DNS (RFC 6762, 6763; zeroconf)."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import ip_address
from typing import TYPE_CHECKING, Self

from eagle_node.base.errors import Unavailable
from eagle_node.base.ids import NodeId
from eagle_node.runtime.sockets import Address
from eagle_node.runtime.tasks import TaskSet

if TYPE_CHECKING:
    from zeroconf import ServiceStateChange, Zeroconf
    from zeroconf.asyncio import AsyncServiceBrowser, AsyncServiceInfo, AsyncZeroconf

log = logging.getLogger(__name__)

SERVICE = "_eagle-node._udp.local."
_TTL_S = 120
"""Of all records (RFC 6762 section 10 for host names): a node that was killed is forgotten then."""
_REQUEST_MS = 3000
"""How long the details of a node that was heard of are asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MdnsIdentity:
    """What this node says of itself; nothing leaves any interface but the advertised address's."""

    node_id: NodeId
    cluster: str
    address: Address
    """Advertised IP address and gossip port."""
    version: str


class Mdns:
    """Announces this node and hears the others, inside ``async with``; leaving says goodbye.

    ``found`` is called on the event loop with all addresses, whenever they change. `Unavailable`
    when the interface takes no multicast.
    """

    def __init__(self, identity: MdnsIdentity, found: Callable[[frozenset[Address]], None]) -> None:
        self._identity = identity
        self._found = found
        self._cluster = cluster_token(identity.cluster)
        self._nodes: dict[str, frozenset[Address]] = {}
        """By instance name; only nodes of this cluster, this one not among them."""
        self._tasks = TaskSet()
        self._zeroconf: AsyncZeroconf
        self._browser: AsyncServiceBrowser

    async def __aenter__(self) -> Self:
        from zeroconf import NonUniqueNameException
        from zeroconf.asyncio import AsyncServiceBrowser, AsyncZeroconf

        host = self._identity.address.host
        try:
            self._zeroconf = AsyncZeroconf(interfaces=[host])
        except (OSError, RuntimeError) as error:
            raise Unavailable(f"no multicast DNS on the interface of {host}: {error}") from error
        self._browser = AsyncServiceBrowser(
            self._zeroconf.zeroconf, SERVICE, handlers=[self._changed]
        )
        try:
            await self._zeroconf.async_register_service(self._info())
        except NonUniqueNameException:
            log.error(
                "another host on the network of %s announces node id %s: was its data directory "
                "copied? this node is not announced",
                host,
                self._identity.node_id,
            )
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._tasks.cancel()
        await self._browser.async_cancel()
        await self._zeroconf.async_close()

    def _info(self) -> AsyncServiceInfo:
        from zeroconf.asyncio import AsyncServiceInfo

        identity = self._identity
        return AsyncServiceInfo(
            SERVICE,
            f"{identity.node_id}.{SERVICE}",
            port=identity.address.port,
            properties={"cluster": self._cluster, "version": identity.version},
            server=f"{identity.node_id}.local.",
            addresses=[ip_address(identity.address.host).packed],
            host_ttl=_TTL_S,
            other_ttl=_TTL_S,
        )

    def _changed(
        self, zeroconf: Zeroconf, service_type: str, name: str, state_change: ServiceStateChange
    ) -> None:
        """A node is heard of, says something new, or is gone."""
        from zeroconf import ServiceStateChange

        if name.partition(".")[0] == self._identity.node_id:
            return
        if state_change is ServiceStateChange.Removed:
            self._set(name, frozenset())
        else:
            self._tasks.spawn(self._ask(name), name=f"mDNS details of {name}")

    async def _ask(self, name: str) -> None:
        from zeroconf.asyncio import AsyncServiceInfo

        info = AsyncServiceInfo(SERVICE, name)
        answered = await info.async_request(self._zeroconf.zeroconf, _REQUEST_MS)
        port, cluster = info.port, info.properties.get(b"cluster")
        if not answered or not port or cluster != self._cluster.encode():
            self._set(name, frozenset())
        else:
            hosts = info.parsed_scoped_addresses()
            self._set(name, frozenset(Address(host, port) for host in hosts))

    def _set(self, name: str, addresses: frozenset[Address]) -> None:
        if self._nodes.get(name, frozenset()) == addresses:
            return
        self._nodes[name] = addresses
        if not addresses:
            del self._nodes[name]
        self._found(frozenset().union(*self._nodes.values()))


def cluster_token(cluster: str) -> str:
    """Stands for the cluster's name in TXT records, which are short and read by everybody."""
    return hashlib.sha256(cluster.encode()).hexdigest()[:16]
