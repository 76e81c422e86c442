"""containerd's content store: there, and readable."""

from __future__ import annotations

import os

from eagle_node.base.findings import Finding, ok, warning
from eagle_node.base.sizes import format_size
from eagle_node.config.tree import Config
from eagle_node.doctor.process import Running
from eagle_node.mirror.content_store import Unreadable, configured_root, look


def check_content(config: Config, running: Running | None) -> list[Finding]:
    """Whether blobs can be offered from there; a running node tells itself (`check_status`)."""
    chosen = config.lending.store
    if chosen is None or running is not None:
        return []
    try:
        found = look(chosen.path or configured_root(), None, thorough=True)
    except Unreadable as trouble:
        return [
            warning("content store", f"no blobs are offered: {trouble.reason}", trouble.way_out)
        ]
    total = format_size(sum(identity.size for identity in found.files.values()))
    text = f"user {os.geteuid()} reads {found.directory}: {len(found.files)} blobs, {total}"
    return [ok("content store", text)]
