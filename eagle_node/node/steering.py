"""Starts what people and registries steer this node by: the control API, and webhooks."""

from __future__ import annotations

from eagle_node.api.handlers import build_api
from eagle_node.api.token import read_token
from eagle_node.base.errors import UsageError
from eagle_node.config.tree import ApiConfig
from eagle_node.node.activity import Activity
from eagle_node.node.cluster_view import ClusterView
from eagle_node.node.control import NodeControl
from eagle_node.node.parts import Parts
from eagle_node.node.serving import serve
from eagle_node.node.settings import NodeSettings
from eagle_node.node.status import NodeStatus
from eagle_node.runtime.sockets import is_loopback


async def start_api(parts: Parts) -> None:
    """Serve the control API; the peer comes first."""
    assert parts.preheater is not None, "the peer comes first"
    view = None
    if parts.place.cluster is not None:
        view = ClusterView(parts.config, parts.place.cluster, parts.events)
    status = NodeStatus(
        config=parts.config,
        info=parts.place.info,
        metrics=parts.metrics,
        cache=parts.cache,
        swarm=parts.swarm,
        cluster=parts.place.cluster,
        view=view,
        upstream=parts.registry.upstream,
        lending=parts.lending,
    )
    activity = Activity(
        transfers=parts.transfers,
        swarm=parts.swarm,
        images=parts.images,
        metrics=parts.metrics,
        events=parts.events,
        node_at=view.node_at if view is not None else lambda _: "",
    )
    parts.work.append(("activity", activity.run()))
    control = NodeControl(
        status=status,
        activity=activity,
        cache=parts.cache,
        lending=parts.lending,
        images=parts.images,
        settings=NodeSettings(
            cache=parts.cache,
            governor=parts.governor,
            limited=parts.watch_traffic,
            cluster=view,
        ),
        preheater=parts.preheater,
        events=parts.events,
    )
    app = build_api(control, parts.metrics, events=parts.events, token=_api_token(parts.config.api))
    port = await serve(parts, app, parts.config.api.listen, flag="--api-listen")
    parts.place.listeners["api"] = port


async def start_webhooks(parts: Parts) -> None:
    """Listen for notifications of pushes, if that is wanted; the peer comes first."""
    config = parts.config.webhook
    if config.listen is None:
        return
    from eagle_node.preheat.selection import parse_selection
    from eagle_node.preheat.webhooks import Webhooks

    assert parts.preheater is not None, "the peer comes first"
    if config.token_file is None and not is_loopback(config.listen.host):
        raise UsageError(
            f"whoever reaches {config.listen} could have images fetched; give it a secret with "
            "--webhook-token-file, or listen on loopback (--webhook-listen)"
        )
    webhooks = Webhooks(
        parts.preheater,
        parts.config.proxy.registries,
        token=read_token(config.token_file) if config.token_file is not None else None,
        nodes=parse_selection(config.nodes).text,
    )
    port = await serve(parts, webhooks.app(), config.listen, flag="--webhook-listen")
    parts.place.listeners["webhook"] = port


def _api_token(config: ApiConfig) -> str | None:
    """What users of the API must show; `UsageError` when everybody could use it."""
    if config.token_file is not None:
        return read_token(config.token_file)
    if not is_loopback(config.listen.host):
        raise UsageError(
            f"the control API would be open to whoever reaches {config.listen}; give it a secret "
            "with --api-token-file, or listen on loopback (--api-listen)"
        )
    return None
