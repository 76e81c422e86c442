"""Where registries are reached."""

from __future__ import annotations

import pytest
from yarl import URL

from eagle_node.base.errors import Denied, UsageError
from eagle_node.config.tree import ProxyConfig, RegistryConfig
from eagle_node.registry.endpoints import Endpoints

MAPPED = RegistryConfig(name="GHCR.io", url="http://10.0.0.1:5000/cache/")


def test_a_name_is_reached_by_https_unless_mapped() -> None:
    """``--registry`` decides; Docker Hub's registry is not at docker.io."""
    endpoints = Endpoints(ProxyConfig(registries=(MAPPED,)))
    assert endpoints.of("quay.io").base == URL("https://quay.io")
    assert endpoints.of("[::1]:5000").base == URL("https://[::1]:5000")
    assert endpoints.of("docker.io").base == URL("https://registry-1.docker.io")
    url = endpoints.of("ghcr.io").url("/v2/a/tags/list", "last=a%2Fb")
    assert str(url) == "http://10.0.0.1:5000/cache/v2/a/tags/list?last=a%2Fb"


def test_docker_hub_can_be_mapped_by_any_of_its_names() -> None:
    """The names are one registry."""
    config = RegistryConfig(name="registry-1.docker.io", url="https://hub.test")
    endpoints = Endpoints(ProxyConfig(registries=(config,)))
    assert endpoints.of("docker.io").base == URL("https://hub.test")


def test_strangers_can_be_shut_out() -> None:
    """With ``only_configured``, another name is a 404 that names the way out."""
    endpoints = Endpoints(ProxyConfig(registries=(MAPPED,), only_configured=True))
    endpoints.of("ghcr.io")
    with pytest.raises(Denied, match=r"--registry quay\.io=URL") as caught:
        endpoints.of("quay.io")
    assert (caught.value.status, caught.value.code) == (404, "NAME_UNKNOWN")


@pytest.mark.parametrize(
    ("name", "url"),
    [
        ("a/b", "https://a.test"),
        ("a.test", "a.test"),
        ("a.test", "ftp://a.test"),
        ("a.test", "https://"),
        ("a.test", "https://a.test?x"),
        ("a.test", "https://user@a.test"),
        ("a.test", "https://a.test:port"),
    ],
)
def test_a_malformed_mapping_stops_the_program(name: str, url: str) -> None:
    """The error names the registry."""
    with pytest.raises(UsageError, match=name):
        Endpoints(ProxyConfig(registries=(RegistryConfig(name=name, url=url),)))


def test_a_path_cannot_change_the_server() -> None:
    """``@evil.test`` after the authority would make it user information."""
    endpoint = Endpoints(ProxyConfig()).of("quay.io")
    with pytest.raises(ValueError, match="absolute path"):
        endpoint.url("@evil.test/v2/")


def test_a_url_belongs_to_the_registry_of_its_origin() -> None:
    """So that a forward proxy's request gets the registry's CA."""
    endpoints = Endpoints(ProxyConfig(registries=(MAPPED,)))
    assert endpoints.at(URL("http://10.0.0.1:5000/x")).name == "ghcr.io"
    assert endpoints.at(URL("http://10.0.0.1:5001/x")).name == "10.0.0.1:5001"
