"""The table of routes: it drives the router, the OpenAPI document and what a caller must show."""

from __future__ import annotations

from dataclasses import dataclass

from eagle_node.api.query import BLOB_ORDERS, MOST_BLOBS
from eagle_node.api.schema import (
    BlobAction,
    Blobs,
    Event,
    Health,
    History,
    Members,
    PreheatJob,
    PreheatJobs,
    PreheatRequest,
    Readiness,
    SettingChange,
    Settings,
    Status,
    Transfers,
)

ACTIONS = ("pin", "unpin", "evict", "verify")
"""What can be done with a blob."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """A query parameter, a header, or a part of the path."""

    name: str
    help: str
    place: str = "query"
    kind: str = "string"
    """Of JSON Schema."""
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One thing that can be asked for."""

    method: str
    path: str
    name: str
    """Of its handler, and its ``operationId``."""
    summary: str
    answer: type | None
    """Schema of a JSON answer; None: ``media_type`` says what comes."""
    media_type: str = "application/json"
    also: tuple[str, ...] = ()
    """Media types that come instead to those who ask for them (``Accept``)."""
    status: int = 200
    body: type | None = None
    """Schema of the request's body; None: an empty object, or none."""
    parameters: tuple[Parameter, ...] = ()
    refusals: tuple[int, ...] = ()
    """Statuses of problem documents, beside those of every route."""
    open: bool = False
    """Whether anybody may ask, token or not."""


_JOB = Parameter(name="job", help="Number of the job.", place="path", kind="integer")
_BLOB_PARAMETERS = (
    Parameter(name="q", help="Part of the digest or of the image's name."),
    Parameter(
        name="sort",
        help="Order; with a minus before it, the other way round.",
        choices=tuple(sign + order for order in BLOB_ORDERS for sign in ("", "-")),
    ),
    Parameter(name="limit", help=f"Blobs on the page, {MOST_BLOBS} at most.", kind="integer"),
    Parameter(name="offset", help="Matching blobs to leave out before it.", kind="integer"),
)
_ACTION_PARAMETERS = (
    Parameter(name="digest", help="``sha256:`` and 64 hex digits.", place="path"),
    Parameter(name="action", help="What to do.", place="path", choices=ACTIONS),
)
_EVENT_PARAMETERS = (
    Parameter(name="kinds", help="Kinds to tell of, separated by commas; default: all."),
    Parameter(
        name="replay",
        help="true: first the events of the last minutes.",
        choices=("true", "false"),
    ),
    Parameter(name="after", help="Id of the last event that came, as ``Last-Event-ID``."),
    Parameter(name="Last-Event-ID", help="Id of the last event that came.", place="header"),
)

ROUTES = (
    Route(
        method="GET",
        path="/healthz",
        name="healthz",
        summary="Whether the process serves requests at all.",
        answer=Health,
        open=True,
    ),
    Route(
        method="GET",
        path="/readyz",
        name="readyz",
        summary="Whether clients can be served; a 503 lists the reasons why not.",
        answer=Readiness,
        refusals=(503,),
        open=True,
    ),
    Route(
        method="GET",
        path="/metrics",
        name="metrics",
        summary="Instruments, as Prometheus text or OpenMetrics.",
        answer=None,
        media_type="text/plain",
        also=("application/openmetrics-text",),
    ),
    Route(
        method="GET",
        path="/v1/openapi.json",
        name="openapi",
        summary="This document.",
        answer=None,
    ),
    Route(
        method="GET",
        path="/v1/status",
        name="status",
        summary="The node, its cluster, traffic and cache.",
        answer=Status,
    ),
    Route(
        method="GET",
        path="/v1/members",
        name="members",
        summary="The nodes of the cluster as this one sees them.",
        answer=Members,
    ),
    Route(
        method="GET",
        path="/v1/transfers",
        name="transfers",
        summary="Blobs that are on their way here or to others.",
        answer=Transfers,
    ),
    Route(
        method="GET",
        path="/v1/history",
        name="history",
        summary="Rates of the last minutes.",
        answer=History,
    ),
    Route(
        method="GET",
        path="/v1/blobs",
        name="blobs",
        summary="What the cache holds.",
        answer=Blobs,
        parameters=_BLOB_PARAMETERS,
        refusals=(400,),
    ),
    Route(
        method="POST",
        path="/v1/blobs/{digest}/{action}",
        name="act",
        summary="Pin, unpin, evict or verify a blob.",
        answer=BlobAction,
        parameters=_ACTION_PARAMETERS,
        refusals=(400, 404, 409),
    ),
    Route(
        method="GET",
        path="/v1/events",
        name="events",
        summary="What happens, as server-sent events; each one's data is an Event.",
        answer=Event,
        media_type="text/event-stream",
        parameters=_EVENT_PARAMETERS,
        refusals=(400,),
    ),
    Route(
        method="GET",
        path="/v1/settings",
        name="settings",
        summary="What can be changed while the node runs.",
        answer=Settings,
    ),
    Route(
        method="POST",
        path="/v1/settings",
        name="change",
        summary="Change one setting.",
        answer=Settings,
        body=SettingChange,
        refusals=(400, 404, 409),
    ),
    Route(
        method="GET",
        path="/v1/preheat",
        name="preheat_jobs",
        summary="Preheat jobs of this node, newest first.",
        answer=PreheatJobs,
    ),
    Route(
        method="POST",
        path="/v1/preheat",
        name="preheat",
        summary="Begin to bring an image to nodes.",
        answer=PreheatJob,
        status=202,
        body=PreheatRequest,
        refusals=(400, 429),
    ),
    Route(
        method="GET",
        path="/v1/preheat/{job}",
        name="preheat_job",
        summary="One preheat job.",
        answer=PreheatJob,
        parameters=(_JOB,),
        refusals=(404,),
    ),
    Route(
        method="POST",
        path="/v1/preheat/{job}/cancel",
        name="cancel_preheat",
        summary="Stop a preheat job; what nodes have fetched stays.",
        answer=PreheatJob,
        parameters=(_JOB,),
        refusals=(404, 409),
    ),
)
