"""The messages about errands: values, valid once parsed, and their JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field

from eagle_node.base.digest import Digest, parse_digest
from eagle_node.base.errors import BadDigest
from eagle_node.base.ids import NodeId
from eagle_node.tracker.fields import Fields, Malformed, base64_text
from eagle_node.tracker.schema import MAX_SIZE, NodeInfo, parse_node

MOST_BLOBS = 4096
MOST_TARGETS = 65536
_MAX_AUTHORIZATION = 16 << 10
"""Bytes: tokens with long lists of scopes have some thousand."""
_NODE_ID = re.compile(r"[0-9a-f]{32}\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrandBlob:
    """A blob that the targets are to hold."""

    digest: Digest
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Errand:
    """Blobs of one repository, and the nodes that are to fetch them."""

    id: str
    """Unique among all owners."""
    registry: str
    repository: str
    blobs: tuple[ErrandBlob, ...]
    targets: tuple[NodeId, ...]
    authorization: str = field(default="", repr=False)
    """To show to the registry; empty: each node shows its own. Never shown, never kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """How far a node is with an errand."""

    errand: str
    blobs: int
    """That it has verified."""
    have_bytes: int
    ended: bool = False
    """It will report nothing else: it has all blobs, or has failed."""
    error: str = ""
    """Why it has failed."""


def parse_errand(body: bytes) -> Errand:
    """The errand that ``body`` spells, or `Malformed`."""
    return _errand(Fields.of(body))


def render_errand(errand: Errand) -> bytes:
    """``errand`` as JSON."""
    return _json(_errand_json(errand))


def parse_progress(body: bytes) -> dict[NodeId, Report]:
    """Reports by node."""
    fields = Fields.of(body)
    return {_node_id(each): _report(each) for each in fields.objects("reports")}


def render_progress(reports: Mapping[NodeId, Report]) -> bytes:
    """``reports`` as JSON."""
    rows = [{"node_id": node, **asdict(report)} for node, report in reports.items()]
    return _json({"reports": rows})


def parse_pick_up(body: bytes) -> tuple[NodeId, list[Report]]:
    """Who asks, and what it reports."""
    fields = Fields.of(body)
    return _node_id(fields), [_report(each) for each in fields.objects("reports")]


def render_pick_up(node: NodeId, reports: Iterable[Report]) -> bytes:
    """The opposite of `parse_pick_up`."""
    return _json({"node_id": node, "reports": [asdict(report) for report in reports]})


def parse_errands(body: bytes) -> list[Errand]:
    """What waits for a node."""
    return [_errand(each) for each in Fields.of(body).objects("errands")]


def render_errands(errands: Iterable[Errand]) -> bytes:
    """``errands`` as JSON."""
    return _json({"errands": [_errand_json(errand) for errand in errands]})


def parse_withdrawal(body: bytes) -> str:
    """The id of an errand."""
    return Fields.of(body).text("id")


def render_withdrawal(errand_id: str) -> bytes:
    """The opposite of `parse_withdrawal`."""
    return _json({"id": errand_id})


def parse_nodes(body: bytes) -> list[NodeInfo]:
    """The nodes that a tracker knows."""
    return [parse_node(each) for each in Fields.of(body).objects("nodes")]


def render_nodes(nodes: Iterable[NodeInfo]) -> bytes:
    """``nodes`` as JSON."""
    return _json({"nodes": [asdict(node) for node in nodes]})


def _errand(fields: Fields) -> Errand:
    blobs = tuple(_blob(each) for each in fields.objects("blobs"))
    targets = tuple(_checked(fields, text) for text in fields.texts("targets"))
    if len(blobs) > MOST_BLOBS or len(targets) > MOST_TARGETS:
        raise Malformed("an errand of too many blobs or targets")
    authorization = fields.binary("authorization") or b""
    if len(authorization) > _MAX_AUTHORIZATION:
        raise fields.wrong("authorization", "too long")
    return Errand(
        id=fields.text("id"),
        registry=fields.text("registry"),
        repository=fields.text("repository"),
        blobs=blobs,
        targets=targets,
        authorization=authorization.decode(errors="replace"),
    )


def _errand_json(errand: Errand) -> dict[str, object]:
    return {**asdict(errand), "authorization": base64_text(errand.authorization.encode())}


def _blob(fields: Fields) -> ErrandBlob:
    try:
        digest = parse_digest(fields.text("digest"))
    except BadDigest as error:
        raise fields.wrong("digest", str(error)) from error
    return ErrandBlob(digest=digest, size=fields.integer("size", 0, MAX_SIZE))


def _report(fields: Fields) -> Report:
    return Report(
        errand=fields.text("errand"),
        blobs=fields.integer("blobs", 0, MOST_BLOBS),
        have_bytes=fields.integer("have_bytes", 0, MAX_SIZE),
        ended=fields.boolean("ended"),
        error=fields.text("error"),
    )


def _node_id(fields: Fields) -> NodeId:
    return _checked(fields, fields.text("node_id"))


def _checked(fields: Fields, text: str) -> NodeId:
    if not _NODE_ID.match(text):
        raise fields.wrong("node_id", "expected node ids of 32 lower-case hex digits")
    return NodeId(text)


def _json(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()
