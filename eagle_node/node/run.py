"""A node's life: start, serve until cancelled, stop in reverse."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import resource
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import asdict
from pathlib import Path

from eagle_node import __version__
from eagle_node.config.tree import Config
from eagle_node.node.build import build
from eagle_node.node.place import NodePorts, Place
from eagle_node.runtime.lock import exclusive

log = logging.getLogger(__name__)

__all__ = ["NodePorts", "run_node"]


async def run_node(config: Config, *, ready: Callable[[NodePorts], None] | None = None) -> None:
    """Run a node until cancelled; ``ready`` is called once it serves.

    Raises `StartError` or `UsageError` when it cannot start. ``ports.json`` in the data directory
    tells where it listens, for as long as it does.
    """
    with exclusive(config.node.data_dir):
        ports_file = config.node.data_dir / "ports.json"
        ports_file.unlink(missing_ok=True)
        _raise_file_limit()
        async with AsyncExitStack() as stack:
            parts = await build(config, stack)
            stack.callback(ports_file.unlink, missing_ok=True)
            _write_atomically(ports_file, json.dumps(asdict(parts.place.ports)))
            _announce(config, parts.place)
            if ready is not None:
                ready(parts.place.ports)
            async with asyncio.TaskGroup() as tasks:
                for name, work in parts.running():
                    tasks.create_task(work, name=name)


def _announce(config: Config, place: Place) -> None:
    roles = ", ".join(sorted(config.node.roles))
    log.info("eagle-node %s, node %s, roles: %s", __version__, place.node_id, roles)
    ports = " ".join(f"{name}={port}" for name, port in asdict(place.ports).items() if port)
    log.info("reached by other nodes at %s; ports: %s", place.host, ports)
    if config.node.cluster_key_file is None and len(place.seeders()) + len(place.trackers()) > 2:
        log.warning(
            "no --cluster-key-file: whoever reaches the swarm and metainfo ports can join and read"
        )


def _raise_file_limit() -> None:
    """Each torrent connection and open segment is a file; use all that we may."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _write_atomically(path: Path, text: str) -> None:
    part = path.with_suffix(".part")
    part.write_text(text, encoding="utf-8")
    os.replace(part, path)
