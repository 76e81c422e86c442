"""What registries and Harbor tell of pushes, as they write it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from eagle_node.api.schema import PreheatJob, PreheatTarget
from eagle_node.base.errors import UsageError
from eagle_node.preheat.notifications import (
    Pushed,
    parse_distribution,
    parse_harbor,
    parse_kraken,
)
from eagle_node.preheat.providers import parse_dragonfly, render_dragonfly

DIGEST = "sha256:" + "0" * 64
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
PUSHED = Pushed(hosts=("r.example:5000",), repository="team/app", reference=DIGEST)


def event(**changes: Any) -> dict[str, Any]:
    """An event of distribution; ``target__x`` changes a part of its target."""
    target = {
        "mediaType": MANIFEST,
        "digest": DIGEST,
        "repository": "team/app",
        "url": f"http://r.example:5000/v2/team/app/manifests/{DIGEST}",
        "tag": "1.2",
    }
    target |= {key[8:]: value for key, value in changes.items() if key.startswith("target__")}
    found: dict[str, Any] = {
        "id": "1",
        "action": "push",
        "target": target,
        "request": {"host": "r.example:5000", "method": "PUT"},
    }
    return found | {key: value for key, value in changes.items() if "__" not in key}


def told(*events: object) -> bytes:
    """A notification."""
    return json.dumps({"events": events}).encode()


def test_a_push_of_a_manifest_is_taken() -> None:
    """By its digest, and by what the registry was called in the request and in the URL."""
    assert parse_distribution(told(event())) == [PUSHED]
    (found,) = parse_distribution(told(event(request={"host": "other"})))
    assert found.hosts == ("other", "r.example:5000")


def test_other_events_are_nothing_to_do() -> None:
    """Pulls, blobs, mounts and deletions; events that are none."""
    others = [
        event(action="pull"),
        event(action="delete"),
        event(action="mount"),
        event(target__mediaType="application/octet-stream"),
        event(target__digest=None, target__tag=None),
        event(target=None),
        event(target__repository=5),
        1,
    ]
    assert parse_distribution(told(*others)) == []


def test_kraken_writes_capitals_and_no_media_type() -> None:
    """Harbor says that everything is docker's; an OCI image is preheated all the same."""
    target = {"MediaType": "x", "Digest": DIGEST, "Repository": "team/app", "Tag": "1.2"}
    target["Url"] = "https://r.example:5000/v2/team/app/manifests/1.2"
    body = json.dumps({"Events": [{"Action": "push", "Target": target}]}).encode()
    assert parse_kraken(body) == [PUSHED]


def test_harbor_in_both_forms() -> None:
    """Its own and CloudEvents; other events than pushes are nothing to do."""
    data = {
        "resources": [
            {"digest": DIGEST, "tag": "1.2", "resource_url": "r.example:5000/team/app:1.2"}
        ],
        "repository": {"name": "app", "namespace": "team", "repo_full_name": "team/app"},
    }
    own = {"type": "PUSH_ARTIFACT", "occur_at": 1, "event_data": data}
    cloud = {"specversion": "1.0", "type": "harbor.artifact.pushed", "data": data}
    for document in (own, cloud):
        assert parse_harbor(json.dumps(document).encode()) == [PUSHED]
    assert parse_harbor(json.dumps(own | {"type": "DELETE_ARTIFACT"}).encode()) == []


@pytest.mark.parametrize("parse", [parse_distribution, parse_kraken, parse_harbor, parse_dragonfly])
@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"events": 1}', b"[" * 9999, b"\xff"])
def test_what_is_no_message_is_refused(parse: Any, body: bytes) -> None:
    """As the sender's fault."""
    with pytest.raises(UsageError):
        parse(body)


def order(**changes: Any) -> bytes:
    """What Harbor posts to its Dragonfly provider."""
    args = {
        "type": "image",
        "url": "https://r.example:5000/v2/team/app/manifests/1.2",
        "headers": {"authorization": "Bearer x"},
        "scope": "all_peers",
    }
    return json.dumps({"type": "preheat", "args": args | changes}).encode()


def test_an_order_of_harbor() -> None:
    """The image, the nodes, and what to show to the registry."""
    found = parse_dragonfly(order())
    assert (found.host, found.repository, found.reference) == ("r.example:5000", "team/app", "1.2")
    assert (found.nodes, found.authorization) == ("all", "Bearer x")
    assert "Bearer" not in repr(found)
    assert parse_dragonfly(order(scope="single_seed_peer", headers=None)).nodes == "seeders"


@pytest.mark.parametrize(
    "changes",
    [
        {"type": "file"},
        {"url": "https://r.example/v2/team/app/blobs/sha256:0"},
        {"url": "not a url"},
        {"url": "/v2/a/b/manifests/c"},
        {"scope": "everybody"},
    ],
)
def test_an_order_that_makes_no_sense_is_refused(changes: dict[str, Any]) -> None:
    """With the field that is wrong."""
    with pytest.raises(UsageError, match=r"args|only jobs"):
        parse_dragonfly(order(**changes))


@pytest.mark.parametrize(
    ("state", "shown"),
    [
        ("pending", "PENDING"),
        ("running", "PENDING"),
        ("succeeded", "SUCCESS"),
        ("failed", "FAILURE"),
        ("cancelled", "FAILURE"),
    ],
)
def test_harbor_is_told_one_of_three_states(state: str, shown: str) -> None:
    """It knows no others."""
    target = PreheatTarget(node="n1", address="192.0.2.1", state="succeeded", blobs=1, have_bytes=1)
    job = PreheatJob(
        id=7,
        image="a/b:c",
        nodes="all",
        platform="linux/amd64",
        state=state,
        created_at="2026-01-02T03:04:05.678Z",
        updated_at="2026-01-02T03:04:05.678Z",
        digest=DIGEST,
        blobs=1,
        size_bytes=1,
        targets=(target,),
    )
    told = render_dragonfly(job)
    assert (told["id"], told["state"]) == (7, shown)
    (task,) = told["result"]["job_states"][0]["results"][0]["success_tasks"]
    assert (task["hostname"], task["ip"]) == ("n1", "192.0.2.1")
