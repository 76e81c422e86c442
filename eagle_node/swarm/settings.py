"""libtorrent's settings for a data-centre swarm that follows a plan, each with its reason."""

from __future__ import annotations

from eagle_node.config.tree import SwarmConfig

_ALWAYS: dict[str, int | bool | str] = {
    "user_agent": "eagle-node",
    # Nothing is told to, or asked from, anybody but the tracker's plan.
    "enable_dht": False,
    "enable_lsd": False,
    "enable_upnp": False,
    "enable_natpmp": False,
    "enable_ip_notifier": False,
    "dht_bootstrap_nodes": "",
    "webtorrent_stun_server": "",
    "listen_system_port_fallback": False,
    "max_retry_port_bind": 0,
    # TCP only: uTP yields to other traffic, which is the last thing that a cold wave needs.
    "enable_outgoing_utp": False,
    "enable_incoming_utp": False,
    "mixed_mode_algorithm": 0,
    # Containers wait for it: libtorrent's own mark is "lower effort" (RFC 8622), which networks
    # that heed it serve last.
    "peer_dscp": 0,
    # Several nodes may share an address (tests, NAT); a plan names peers, so dial them at once.
    "allow_multiple_connections_per_ip": True,
    "torrent_connect_boost": 50,
    "connection_speed": 200,
    "smooth_connects": False,
    # A parent that did not know a torrent yet may know it some milliseconds later.
    "min_reconnect_time": 0,
    "max_failcount": 30,
    "peer_connect_timeout": 4,
    "handshake_timeout": 6,
    "seeding_outgoing_connections": False,
    # A node that becomes a seed must keep the child that still wants its last piece.
    "close_redundant_connections": False,
    "inactivity_timeout": 30,
    "peer_turnover": 0,
    "connections_limit": 4000,
    "listen_queue_size": 128,
    # Requests in flight: enough for fast links, few enough that a slow one can change its parent.
    "request_queue_time": 3,
    "max_out_request_queue": 1500,
    "max_allowed_in_request_queue": 3000,
    "whole_pieces_threshold": 5,
    "send_buffer_watermark": 3 << 20,
    "send_buffer_low_watermark": 128 << 10,
    "send_buffer_watermark_factor": 150,
    "request_timeout": 8,
    "piece_timeout": 5,
    "peer_timeout": 20,
    # A child asks for a piece while the last blocks of it come to its parent: a round trip less at
    # every hop, milliseconds ahead.
    "predictive_piece_announce": 500,
    # Obfuscation costs each end two exponentiations and a round trip for every segment, and hides
    # nothing: SSL torrents are what protects a cluster.
    "out_enc_policy": 2,
    # The announce endpoint is on loopback and answers from memory.
    "tracker_completion_timeout": 5,
    "tracker_receive_timeout": 5,
    "stop_tracker_timeout": 1,
    "min_announce_interval": 1,
    "max_concurrent_http_announces": 200,
    "tracker_backoff": 50,
    # Plain reads and writes: mapped files would count as this process's memory.
    "mmap_file_size_cutoff": 1 << 30,
    "max_queued_disk_bytes": 16 << 20,
    "aio_threads": 2,
    "hashing_threads": 1,
    "file_pool_size": 256,
    # Our LAN is the place whose bandwidth is to be shared fairly.
    "rate_limit_ip_overhead": True,
    "active_limit": -1,
    "alert_queue_size": 20_000,
}


def session_settings(config: SwarmConfig, *, ssl: bool, mask: int) -> dict[str, object]:
    """Settings of a session that listens as ``config`` says; ``ssl``: SSL torrents only."""
    hosts = [config.listen_host] if config.listen_host else ["0.0.0.0", "[::]"]
    suffix = f"{config.ssl_port}s" if ssl else str(config.port)
    return {
        **_ALWAYS,
        "listen_interfaces": ",".join(f"{_bracketed(host)}:{suffix}" for host in hosts),
        "unchoke_slots_limit": config.unchoke_slots,
        "alert_mask": mask,
    }


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host and not host.startswith("[") else host
