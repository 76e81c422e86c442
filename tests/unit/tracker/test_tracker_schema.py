"""Messages that break the grammar are refused by field."""

from __future__ import annotations

import json
from typing import Any

import pytest

from eagle_node.tracker.fields import MAX_BODY, Malformed
from eagle_node.tracker.schema import parse_advert, parse_plan, parse_plan_request

NODE: dict[str, Any] = {"node_id": "0" * 32, "host": "10.0.0.1", "port": 61007}
DIGEST = "sha256:" + "0" * 64


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"digest": "latest"}, "digest: "),
        ({"size": -1}, "size: "),
        ({"size": True}, "size: "),
        ({"size": 1 << 50}, "size: "),
        ({"failed": "x"}, "failed: "),
        ({"failed": ["x"]}, "failed: "),
        ({"failed": [3]}, "failed[0]: "),
        ({"node": None}, "node: "),
        ({"node": NODE | {"port": 0}}, "node.port: "),
        ({"node": NODE | {"host": "example.org"}}, "node.host: "),
        ({"node": NODE | {"node_id": "A" * 32}}, "node.node_id: "),
        ({"node": NODE | {"zone": 3}}, "node.zone: "),
        ({"node": NODE | {"zone": "z" * 256}}, "node.zone: "),
        ({"node": NODE | {"seeder": 1}}, "node.seeder: "),
        ({"node": NODE | {"upload_rate": 1.5}}, "node.upload_rate: "),
    ],
)
def test_a_wrong_field_is_named(change: dict[str, Any], complaint: str) -> None:
    """The error starts with the path of the field."""
    good = {"node": NODE, "digest": DIGEST, "size": 10}
    parse_plan_request(json.dumps(good).encode())
    with pytest.raises(Malformed) as caught:
        parse_plan_request(json.dumps(good | change).encode())
    assert str(caught.value).startswith(complaint)


@pytest.mark.parametrize(
    ("held", "complaint"),
    [
        ({"have": "!"}, "held[0].have: "),
        ({"have": 5}, "held[0].have: "),
        ({"have": "AAA="}, "held[0].have: "),
        ({"have": "fw=="}, "held[0].have: "),
        ({"info_hashes": "AAAA"}, "held[0].info_hashes: "),
        ({"size": None}, "held[0].size: "),
    ],
)
def test_a_wrong_holding_is_named(held: dict[str, Any], complaint: str) -> None:
    """Bitmaps must cover the segments of the size, with spare bits zero."""
    row = {"digest": DIGEST, "size": 1, "have": "gA=="} | held
    with pytest.raises(Malformed) as caught:
        parse_advert(json.dumps({"node": NODE, "held": [row]}).encode())
    assert str(caught.value).startswith(complaint)


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"[" * 100_000, b"\xff", b" " * (MAX_BODY + 1)])
def test_what_is_no_object_is_refused(body: bytes) -> None:
    """Anything but a JSON object of bounded size is malformed."""
    with pytest.raises(Malformed):
        parse_plan(body)


def test_unknown_fields_are_ignored() -> None:
    """A newer node may say more."""
    advert = parse_advert(json.dumps({"node": NODE | {"colour": "red"}, "mood": 1}).encode())
    assert advert.node.host == "10.0.0.1"


def test_addresses_are_spelt_one_way() -> None:
    """A v4 address mapped into v6 is the v4 address."""
    node = NODE | {"host": "::ffff:10.0.0.1"}
    assert parse_advert(json.dumps({"node": node}).encode()).node.host == "10.0.0.1"
