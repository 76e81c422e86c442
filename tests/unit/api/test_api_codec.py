"""Documents of the control API as JSON."""

from __future__ import annotations

import dataclasses
import json

import pytest

from eagle_node.api.codec import BadDocument, from_json, to_json
from eagle_node.api.schema import BlobRow, Blobs, Member, Status
from tests.unit.api.documents import STATUS


def test_the_status_has_the_promised_keys() -> None:
    """Scripts rely on these keys of ``status --json``."""
    document = json.loads(json.dumps(to_json(STATUS)))
    promised = {
        "node": {"id", "address", "roles", "zone", "version", "uptime_s"},
        "cluster": {"name", "leader", "term", "members"},
        "traffic": {
            "origin_bytes",
            "peer_download_bytes",
            "peer_upload_bytes",
            "served_bytes",
            "served_from",
        },
        "cache": {"used_bytes", "limit_bytes", "blobs"},
    }
    assert {part: keys - set(document[part]) for part, keys in promised.items()} == {
        part: set() for part in promised
    }
    member = document["cluster"]["members"][0]
    assert {"id", "address", "state", "roles", "zone"} <= set(member)
    assert set(document["traffic"]["served_from"]) == {"local", "swarm", "origin"}


def test_what_an_older_node_does_not_tell_has_its_default() -> None:
    """A newer client reads an older node: fields that came later may be missing."""
    member = {"id": "n1", "address": "192.0.2.1", "state": "alive", "roles": [], "zone": ""}
    assert from_json(Member, member).name == ""


def test_a_document_survives_the_wire() -> None:
    """What a client reads is what the node said."""
    assert from_json(Status, json.loads(json.dumps(to_json(STATUS)))) == STATUS


def test_a_leader_survives_the_wire() -> None:
    """A field that may be null may also hold its value."""
    cluster = dataclasses.replace(STATUS.cluster, leader="n1", term=3)
    status = dataclasses.replace(STATUS, cluster=cluster)
    assert from_json(Status, to_json(status)) == status


def test_keys_of_newer_nodes_are_ignored() -> None:
    """An older client reads a newer node."""
    row = {"digest": "sha256:0", "size": 1, "have_bytes": 1, "colour": "red"}
    assert from_json(Blobs, {"blobs": [row]}).blobs == (
        BlobRow(digest="sha256:0", size=1, have_bytes=1),
    )


@pytest.mark.parametrize(
    ("document", "told"),
    [
        ([], "Blobs: an object was expected, not list"),
        ({}, "Blobs.blobs: missing"),
        ({"blobs": 1}, "Blobs.blobs: a list was expected, not int"),
        ({"blobs": [1]}, "Blobs.blobs[0]: an object was expected, not int"),
        ({"blobs": [{"digest": 1}]}, "Blobs.blobs[0].digest: str was expected, not int"),
        (
            {"blobs": [{"digest": "", "size": True, "have_bytes": 1}]},
            "Blobs.blobs[0].size: int was expected, not bool",
        ),
    ],
)
def test_a_wrong_document_is_told_by_its_field(document: object, told: str) -> None:
    """What is no document of ours is refused with the path of the first wrong field."""
    with pytest.raises(BadDocument) as caught:
        from_json(Blobs, document)
    assert str(caught.value) == told
