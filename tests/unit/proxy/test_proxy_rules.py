"""Which requests of the forward proxy go through the swarm."""

from __future__ import annotations

import pytest
from yarl import URL

from eagle_node.base.digest import digest_of
from eagle_node.base.errors import UsageError
from eagle_node.config.tree import ProxyConfig, RegistryConfig
from eagle_node.proxy.rules import Rules
from eagle_node.registry.names import BlobRef
from eagle_node.registry.route import BlobRoute, ManifestRoute

DIGEST = digest_of(b"blob")
HEX = DIGEST[7:]
OTHER = "f" * 64
BASE = "http://registry.test:5000"
CONFIG = ProxyConfig(registries=(RegistryConfig(name="registry.test", url=BASE),))


def rules(*expressions: str) -> Rules:
    return Rules(ProxyConfig(registries=CONFIG.registries, rules=expressions))


def blob_of(rules: Rules, method: str, url: URL) -> BlobRef | None:
    """The blob that a request is routed to."""
    registry = rules.registry_at(url)
    route = None if registry is None else rules.route_at(registry, method, url)
    assert route is None or isinstance(route, BlobRoute)
    return None if route is None else route.blob


def test_blobs_of_a_configured_registry_go_through_the_swarm() -> None:
    """By its address; the registry's name is what the blob is known by."""
    blob = blob_of(rules(), "GET", URL(f"{BASE}/v2/team/app/blobs/{DIGEST}"))
    assert blob is not None
    assert (blob.repository.registry, blob.repository.name) == ("registry.test", "team/app")
    assert (blob.digest, blob.served_at) == (DIGEST, "")


@pytest.mark.parametrize(
    ("method", "url"),
    [
        ("POST", f"{BASE}/v2/app/blobs/{DIGEST}"),
        ("PUT", f"{BASE}/v2/app/manifests/latest"),
        ("HEAD", f"{BASE}/elsewhere/{HEX}"),
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
    assert blob_of(rules(), method, URL(url)) is None


def test_a_rule_names_a_blob_by_the_hex_digits_in_its_url() -> None:
    """It is fetched from where it was asked for, query included."""
    url = URL(f"{BASE}/files/{HEX}.tar?sig=a%2Fb", encoded=True)
    blob = blob_of(rules(r"/files/"), "GET", url)
    assert blob is not None
    assert blob.digest == DIGEST
    assert blob.path == f"/files/{HEX}.tar?sig=a%2Fb"


def test_a_rule_may_say_where_the_digest_is() -> None:
    """When a URL holds several."""
    expression = rf"/(?P<digest>{HEX[:4]}[0-9a-f]+)$"
    blob = blob_of(rules(expression), "GET", URL(f"{BASE}/{OTHER}/{HEX}"))
    assert blob is not None
    assert blob.digest == DIGEST


@pytest.mark.parametrize("path", ["/files/latest.tar", f"/files/{HEX}0", f"/files/{HEX[:-1]}"])
def test_what_cannot_be_verified_does_not_go_through_the_swarm(path: str) -> None:
    """A match without a whole sha256 is none."""
    assert blob_of(rules(".*"), "GET", URL(BASE + path)) is None


def test_rules_do_not_reach_other_servers() -> None:
    """They are for registries that are configured: names are keys, never addresses."""
    assert blob_of(rules(".*"), "GET", URL(f"http://other.test/{HEX}")) is None


def test_a_rule_that_is_no_expression_is_a_usage_error() -> None:
    """It names the flag and the rule."""
    with pytest.raises(UsageError, match=r"--rule '\['"):
        rules("[")


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_manifests_are_answered_as_the_mirror_would(method: str) -> None:
    """So that they are remembered, and there while the registry is not."""
    url = URL(f"{BASE}/v2/team/app/manifests/latest")
    assert rules().registry_at(url) == "registry.test"
    route = rules().route_at("registry.test", method, url)
    assert isinstance(route, ManifestRoute)
    assert (route.repository.registry, route.reference) == ("registry.test", "latest")


def test_what_is_asked_of_an_opened_host_is_of_its_registry() -> None:
    """Whatever its address, and whether it is configured or not."""
    url = URL(f"https://other.test/v2/app/blobs/{DIGEST}")
    route = rules().route_at("other.test", "HEAD", url)
    assert isinstance(route, BlobRoute)
    assert str(route.blob) == f"other.test/app@{DIGEST}"


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
def test_what_writes_is_told_from_what_reads(method: str) -> None:
    """It is passed on, and known for what it changes."""
    url = URL(f"{BASE}/v2/team/app/manifests/latest")
    assert rules().route_at("registry.test", method, url) is None
    (route,) = rules().writes_at("registry.test", method, url)
    assert isinstance(route, ManifestRoute)
    assert rules().writes_at("registry.test", "GET", url) == []
    assert rules().writes_at("registry.test", method, URL(f"{BASE}/elsewhere")) == []


def test_a_write_is_one_to_every_name_of_the_registry() -> None:
    """What is remembered of the same place under another name is void as well."""
    other = RegistryConfig(name="alias.test", url=BASE)
    both = Rules(ProxyConfig(registries=(*CONFIG.registries, other)))
    routes = both.writes_at("alias.test", "PUT", URL(f"{BASE}/v2/team/app/manifests/latest"))
    names = [route.repository.registry for route in routes if isinstance(route, ManifestRoute)]
    assert names == ["alias.test", "registry.test"]
