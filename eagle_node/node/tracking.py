"""Starts this node's tracker."""

from __future__ import annotations

from yarl import URL

from eagle_node.node.identity import own_among
from eagle_node.node.parts import Parts
from eagle_node.node.serving import serve
from eagle_node.runtime.sockets import Address, parse_address
from eagle_node.tracker.handlers import TrackerService


async def start_tracker(parts: Parts) -> None:
    """Listen, and know this node among those that are pinned."""
    config = parts.config.tracker
    database = parts.config.node.data_dir / "tracker.sqlite"
    service = await parts.stack.enter_async_context(TrackerService(config, parts.metrics, database))
    tls = parts.identity.ssl_context(server=True) if parts.identity else None
    port = await serve(parts, service.app(), config.listen, flag="--tracker-port", tls=tls)
    parts.place.listeners["tracker"] = port
    pinned = {url: parse_address(URL(url).authority) for url in config.pinned}
    own = own_among(list(pinned.values()), port)
    own_urls = [url for url, address in pinned.items() if address in own]
    own_urls = own_urls or [f"http://{Address(parts.place.host, port)}"]
    parts.place.own_trackers = {parts.place.tracker_url(url) for url in own_urls}
