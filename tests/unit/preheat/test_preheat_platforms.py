"""Which manifests of an index are wanted."""

from __future__ import annotations

import json

import pytest

from eagle_node.base.errors import Unavailable, UsageError
from eagle_node.preheat.platforms import (
    check_config,
    index_entries,
    parse_platform,
    wanted_entries,
)

PLATFORMS = ["linux/amd64", "linux/arm/v6", "linux/arm/v7", "unknown/unknown", ""]


def descriptor(number: int, platform: str) -> dict[str, object]:
    """Of an index."""
    found: dict[str, object] = {"digest": f"sha256:{number:064x}"}
    if platform:
        names = ("os", "architecture", "variant")
        found["platform"] = dict(zip(names, platform.split("/"), strict=False))
    return found


INDEX = json.dumps({"manifests": [descriptor(n, p) for n, p in enumerate(PLATFORMS)]}).encode()


def wanted(platform: str) -> list[str]:
    """Platforms of the manifests that are wanted."""
    entries = index_entries(INDEX)
    assert entries is not None
    return [entry.platform for entry in wanted_entries(entries, platform)]


def test_a_platform_means_its_variants() -> None:
    """One that names a variant means that one alone; all means attestations as well."""
    assert wanted("linux/amd64") == ["linux/amd64"]
    assert wanted("linux/arm") == ["linux/arm/v6", "linux/arm/v7"]
    assert wanted("linux/arm/v7") == ["linux/arm/v7"]
    assert wanted("all") == PLATFORMS


def test_a_platform_that_the_image_is_not_made_for_is_told() -> None:
    """With those that it is made for."""
    with pytest.raises(Unavailable, match="not made for linux/s390x, but for linux/amd64, linux/"):
        wanted("linux/s390x")


def test_an_image_is_no_index() -> None:
    """It has no platform to choose."""
    assert index_entries(b'{"layers": []}') is None


@pytest.mark.parametrize(
    "body", [b"", b"[]", b'{"manifests": [1]}', b'{"manifests": [{"digest": "sha256:0"}]}']
)
def test_a_broken_manifest_is_told(body: bytes) -> None:
    """As the registry's fault."""
    with pytest.raises(Unavailable, match="the registry sent"):
        index_entries(body)


def test_the_default_is_this_host() -> None:
    """As Go names it."""
    assert parse_platform("").startswith("linux/")
    assert "x86" not in parse_platform("")


@pytest.mark.parametrize("text", ["linux", "Linux/amd64", "linux/", "a/b/c/d", "linux/amd 64"])
def test_what_is_no_platform_is_refused(text: str) -> None:
    """With examples."""
    with pytest.raises(UsageError, match="is not like linux/amd64"):
        parse_platform(text)


@pytest.mark.parametrize("wanted", ["linux/arm/v7", "linux/arm"])
def test_an_image_without_an_index_is_for_what_its_config_says(wanted: str) -> None:
    """With or without the variant."""
    config = {"os": "linux", "architecture": "arm", "variant": "v7"}
    check_config(json.dumps(config).encode(), wanted, image="app")
    with pytest.raises(Unavailable, match="app is made for linux/arm/v7 alone, not for linux/x"):
        check_config(json.dumps(config).encode(), "linux/x", image="app")


@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b'{"os": "linux"}'])
def test_a_config_that_names_no_platform_is_told(body: bytes) -> None:
    """Charts and other artifacts have none."""
    with pytest.raises(Unavailable, match="names no platform"):
        check_config(body, "linux/amd64", image="chart")
