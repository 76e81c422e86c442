"""What the running node says about itself and its cluster."""

from __future__ import annotations

from eagle_node.api.client import ApiClient
from eagle_node.api.schema import Readiness, Status
from eagle_node.api.token import read_token
from eagle_node.base.errors import EagleError
from eagle_node.base.findings import Finding, error, ok, warning
from eagle_node.base.sizes import format_size
from eagle_node.config.tree import Config
from eagle_node.doctor.process import Running
from eagle_node.runtime.sockets import Address


async def check_status(config: Config, running: Running | None) -> list[Finding]:
    """Whether it is ready, and sees a leader and live members."""
    if running is None:
        text = f"no node runs on {config.node.data_dir}"
        return [warning("node", text, "start it: eagle-node run, or systemctl start eagle-node")]
    port = running.ports.get("api") or config.api.listen.port
    url = f"http://{Address(_reached(config.api.listen.host), port)}"
    try:
        token = read_token(config.api.token_file) if config.api.token_file else None
        async with ApiClient(url, token=token) as api:
            status, readiness = await api.status(), await api.ready()
    except EagleError as failure:
        return [error("node", str(failure), "read its log; restart it if it hangs")]
    return [*_node(config, status, readiness), *_containerd(status), *_cluster(config, status)]


def _reached(host: str) -> str:
    """An address to dial for one to listen on."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(host, host)


def _node(config: Config, status: Status, readiness: Readiness) -> list[Finding]:
    roles = ", ".join(status.node.roles)
    if not readiness.ready:
        remedy = f"make room on the disk of {config.node.data_dir}, or lower --cache-reserve"
        if config.cluster.enabled and status.cluster.leader is None:
            remedy = (
                "wait some seconds; if it stays so, correct --join, or let the gossip port "
                f"({config.cluster.gossip_listen.port}, UDP and TCP) through between the nodes"
            )
        return [error("node", f"it is not ready: {'; '.join(readiness.reasons)}", remedy)]
    return [ok("node", f"version {status.node.version} is ready; roles: {roles}")]


def _containerd(status: Status) -> list[Finding]:
    """What the node says of containerd's content store."""
    store = status.containerd
    if store is None:
        return []
    if store.trouble:
        reason, _, way_out = store.trouble.partition(": ")
        return [warning("content store", f"no blobs are offered: {reason}", way_out)]
    findings = [
        ok(
            "content store",
            f"{store.blobs} blobs, {format_size(store.bytes)}, are offered out of {store.path}; "
            f"{store.waiting} are to be verified",
        )
    ]
    if store.wrong:
        text = f"{store.wrong} files in {store.path} hold other bytes than their names say"
        findings.append(warning("content store", text, "the node's log names them: ctr content rm"))
    return findings


def _cluster(config: Config, status: Status) -> list[Finding]:
    cluster = status.cluster
    if cluster.leader is None and config.cluster.enabled:
        text = "the cluster has no leader, so roles cannot move"
        remedy = "start a majority of its voters, and let the raft port through between them"
        return [error("cluster", text, remedy)]
    lost = [each for each in cluster.members if each.state in ("suspect", "dead")]
    findings = [
        warning(
            "cluster",
            f"member {each.id} at {each.address} is {each.state}",
            "start it, or let the gossip port through (UDP and TCP) in both directions",
        )
        for each in lost
    ]
    alive = len(cluster.members) - len(lost)
    return [ok("cluster", f"{alive} of {len(cluster.members)} members are alive"), *findings]
