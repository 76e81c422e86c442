"""Which requests of the forward proxy go through the swarm."""

from __future__ import annotations

import pytest
from yarl import URL

from eagle_node.base.digest import digest_of
from eagle_node.base.errors import UsageError
from eagle_node.config.tree import ProxyConfig, RegistryConfig
from eagle_node.proxy.rules import Rules

DIGEST = digest_of(b"blob")
HEX = DIGEST[7:]
OTHER = "f" * 64
BASE = "http://registry.test:5000"
CONFIG = ProxyConfig(registries=(RegistryConfig(name="registry.test", url=BASE),))


def rules(*expressions: str) -> Rules:
    return Rules(ProxyConfig(registries=CONFIG.registries, rules=expressions))


def test_blobs_of_a_configured_registry_go_through_the_swarm() -> None:
    """By its address; the registry's name is what the blob is known by."""
    blob = rules().blob_of("GET", URL(f"{BASE}/v2/team/app/blobs/{DIGEST}"))
    assert blob is not None
    assert (blob.repository.registry, blob.repository.name) == ("registry.test", "team/app")
    assert (blob.digest, blob.served_at) == (DIGEST, "")


@pytest.mark.parametrize(
    ("method", "url"),
    [
        ("HEAD", f"{BASE}/v2/app/blobs/{DIGEST}"),
        ("POST", f"{BASE}/v2/app/blobs/{DIGEST}"),
        ("GET", f"{BASE}/v2/app/manifests/latest"),
        ("GET", f"{BASE}/v2/"),
        ("GET", f"{BASE}/v2/app/blobs/sha256:short"),
        ("GET", f"{BASE}/elsewhere/{HEX}"),
        ("GET", f"http://registry.test/v2/app/blobs/{DIGEST}"),
        ("GET", f"https://registry.test:5000/v2/app/blobs/{DIGEST}"),
        ("GET", f"http://other.test:5000/v2/app/blobs/{DIGEST}"),
    ],
)
def test_everything_else_is_passed_on(method: str, url: str) -> None:
    """Other methods, other things, other servers."""
    assert rules().blob_of(method, URL(url)) is None


def test_a_rule_names_a_blob_by_the_hex_digits_in_its_url() -> None:
    """It is fetched from where it was asked for, query included."""
    url = URL(f"{BASE}/files/{HEX}.tar?sig=a%2Fb", encoded=True)
    blob = rules(r"/files/").blob_of("GET", url)
    assert blob is not None
    assert blob.digest == DIGEST
    assert blob.path == f"/files/{HEX}.tar?sig=a%2Fb"


def test_a_rule_may_say_where_the_digest_is() -> None:
    """When a URL holds several."""
    expression = rf"/(?P<digest>{HEX[:4]}[0-9a-f]+)$"
    blob = rules(expression).blob_of("GET", URL(f"{BASE}/{OTHER}/{HEX}"))
    assert blob is not None
    assert blob.digest == DIGEST


@pytest.mark.parametrize("path", ["/files/latest.tar", f"/files/{HEX}0", f"/files/{HEX[:-1]}"])
def test_what_cannot_be_verified_does_not_go_through_the_swarm(path: str) -> None:
    """A match without a whole sha256 is none."""
    assert rules(".*").blob_of("GET", URL(BASE + path)) is None


def test_rules_do_not_reach_other_servers() -> None:
    """They are for registries that are configured: names are keys, never addresses."""
    assert rules(".*").blob_of("GET", URL(f"http://other.test/{HEX}")) is None


def test_a_rule_that_is_no_expression_is_a_usage_error() -> None:
    """It names the flag and the rule."""
    with pytest.raises(UsageError, match=r"--rule '\['"):
        rules("[")
