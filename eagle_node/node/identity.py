"""Who a node is: its id, kept with its data; its address; which addresses are its own."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from ipaddress import ip_address
from pathlib import Path

from eagle_node.base.errors import StartError
from eagle_node.base.ids import NodeId, new_node_id
from eagle_node.config.places import HostTarget
from eagle_node.config.tree import Config
from eagle_node.runtime.sockets import Address, interface_addresses, route_source

_ANYWHERE = Address("192.0.2.1", 9)
"""An address of a documentation network (RFC 5737), to ask the routing table for our own."""


def node_id(data_dir: Path) -> NodeId:
    """The id kept in the data directory, drawn when there is none."""
    path = data_dir / "node-id"
    try:
        text = path.read_text(encoding="ascii").strip()
    except FileNotFoundError:
        text = new_node_id()
        path.write_text(text + "\n", encoding="ascii")
    except (OSError, UnicodeDecodeError) as error:
        raise StartError(f"cannot read {path}: {error}") from error
    if len(text) != 32 or set(text) - set("0123456789abcdef"):
        raise StartError(f"{path} holds no node id (32 hex digits); remove it to get a new one")
    return NodeId(text)


def advertised_host(config: Config) -> str:
    """The IP at which others reach this node: as told, else the source of the route to them.

    Where nobody is named and no route leads out of the local network: that network's interface's.
    """
    if config.node.advertise:
        return config.node.advertise
    for target in (*config.seeder.pinned, *_join_addresses(config), _ANYWHERE):
        try:
            return route_source(target)
        except OSError:
            continue
    return next(interface_addresses(), "127.0.0.1")


def _join_addresses(config: Config) -> list[Address]:
    """Nodes to join that are named by an IP of another host: asking for names may take long."""
    return [
        target.address
        for target in config.discovery.join
        if isinstance(target, HostTarget) and _is_remote_ip(target.address.host)
    ]


def _is_remote_ip(host: str) -> bool:
    try:
        return not ip_address(host).is_loopback
    except ValueError:
        return False


def is_local(host: str) -> bool:
    """Whether ``host`` is an address of this machine: one that a socket can be bound to."""
    try:
        found = socket.getaddrinfo(host, 0, type=socket.SOCK_DGRAM)
    except OSError:
        return False
    for family, kind, protocol, _, where in found:
        with socket.socket(family, kind, protocol) as probe:
            try:
                probe.bind(where)
            except OSError:
                continue
            return True
    return False


def own_among(addresses: Sequence[Address], port: int) -> set[Address]:
    """Those of ``addresses`` that name a listener of this node on ``port``."""
    return {each for each in addresses if each.port == port and is_local(each.host)}
