"""Requests and the routes that they mean."""

from __future__ import annotations

import pytest

from eagle_node.base.digest import digest_of
from eagle_node.base.errors import BadDigest
from eagle_node.registry.names import BadName, BlobRef, Repository, Tag
from eagle_node.registry.route import (
    BlobRoute,
    CatalogRoute,
    ManifestRoute,
    OtherDigestRoute,
    Ping,
    ReferrersRoute,
    Route,
    TagsRoute,
    UploadRoute,
    parse_route,
)

DIGEST = digest_of(b"")


def route(path: str, *, method: str = "GET", **query: str) -> Route:
    """The route of a request to a node whose default registry is Docker Hub."""
    return parse_route(method, path, query, default_registry="docker.io")


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/v2/", Ping("docker.io")),
        ("/v2", Ping("docker.io")),
        ("/v2/_catalog", CatalogRoute("docker.io")),
        ("/v2/ghcr.io/_catalog", CatalogRoute("ghcr.io")),
        (
            "/v2/owner/app/manifests/v1",
            ManifestRoute(Repository("docker.io", "owner/app"), Tag("v1")),
        ),
        (f"/v2/a/b/blobs/{DIGEST}", BlobRoute(BlobRef(Repository("docker.io", "a/b"), DIGEST))),
        ("/v2/a/b/tags/list?n=3", TagsRoute(Repository("docker.io", "a/b"))),
        (f"/v2/a/b/referrers/{DIGEST}", ReferrersRoute(Repository("docker.io", "a/b"), DIGEST)),
    ],
)
def test_each_endpoint_has_its_route(path: str, expected: Route) -> None:
    """The distribution-spec's endpoints, with and without trailing parts."""
    assert route(path) == expected


@pytest.mark.parametrize("kind", ["blobs", "manifests", "referrers"])
@pytest.mark.parametrize("digest", ["sha512:" + "0" * 128, "blake3:ab", "sha512+b64u:A-b_="])
def test_other_algorithms_have_a_route_of_their_own(kind: str, digest: str) -> None:
    """Nothing is kept under a name that cannot be verified."""
    expected = OtherDigestRoute(Repository("ghcr.io", "a/b"), kind, digest)
    found = route(f"/v2/a/b/{kind}/{digest}", ns="ghcr.io")
    assert (found, found.path) == (expected, f"/v2/a/b/{kind}/{digest}")
    with pytest.raises(BadDigest):
        route(f"/v2/a/b/{kind}/{digest.upper()}:")


def test_uploads_have_a_route_with_and_without_session() -> None:
    """A push through a mirror is passed on, so its session must survive."""
    repository = Repository("docker.io", "a/b")
    assert route("/v2/a/b/blobs/uploads/", method="POST") == UploadRoute(repository)
    assert route("/v2/a/b/blobs/uploads", method="POST") == UploadRoute(repository)
    session = route("/v2/a/b/blobs/uploads/1f-x_=", method="PATCH")
    assert session == UploadRoute(repository, "1f-x_=")
    assert session.path == "/v2/a/b/blobs/uploads/1f-x_="


def test_ns_wins_over_the_path() -> None:
    """With containerd's ``ns``, the first element is part of the name, whatever it looks like."""
    assert route("/v2/ghcr.io/app/manifests/v1", ns="quay.io") == ManifestRoute(
        Repository("quay.io", "ghcr.io/app"), Tag("v1")
    )


@pytest.mark.parametrize("host", ["ghcr.io", "localhost", "registry:5000", "[::1]:5000"])
def test_a_host_in_front_of_the_name_is_the_registry(host: str) -> None:
    """podman's mirrors have no ``ns``; a dot, a colon or ``localhost`` marks a host."""
    assert route(f"/v2/{host}/app/manifests/v1") == ManifestRoute(
        Repository(host, "app"), Tag("v1")
    )


@pytest.mark.parametrize("host", ["r.example", "localhost", "127.0.0.1"])
def test_two_underscores_before_a_port_are_a_colon(host: str) -> None:
    """podman refuses a mirror whose path holds a colon."""
    assert route(f"/v2/{host}__5000/team/app/manifests/v1") == ManifestRoute(
        Repository(f"{host}:5000", "team/app"), Tag("v1")
    )


def test_two_underscores_in_a_name_are_a_name() -> None:
    """Without a host before them they belong to the repository."""
    assert route("/v2/team__5000/app/manifests/v1") == ManifestRoute(
        Repository("docker.io", "team__5000/app"), Tag("v1")
    )


def test_a_host_alone_is_a_name() -> None:
    """Something must follow the registry, or else it is the repository."""
    assert route("/v2/my.app/manifests/v1") == ManifestRoute(
        Repository("docker.io", "library/my.app"), Tag("v1")
    )


def test_docker_hubs_official_images_are_in_library() -> None:
    """One-element names get their ``library/``, on Docker Hub only, under each of its names."""
    for ns in ("docker.io", "index.docker.io", "registry-1.docker.io"):
        found = route("/v2/nginx/manifests/1", ns=ns)
        assert found.path == "/v2/library/nginx/manifests/1"
    assert route("/v2/docker.io/nginx/manifests/1").path == "/v2/library/nginx/manifests/1"
    assert route("/v2/nginx/manifests/1", ns="ghcr.io").path == "/v2/nginx/manifests/1"


@pytest.mark.parametrize(
    "path",
    [
        "/v2/a/../b/manifests/v1",
        "/v2/./a/manifests/v1",
        "/v2//a/manifests/v1",
        "/v2/a//manifests/v1",
        "/v2/a%2Fb/manifests/v1",
        "/v2/a/manifests/%2e%2e",
        "/v2/A/manifests/v1",
        "/v2/a\\b/manifests/v1",
        "/v2/manifests/v1",
        "/v2/" + "a/" * 1500 + "manifests/v1",
        "/v2/é/manifests/v1",
    ],
)
def test_paths_that_could_be_read_twice_are_refused(path: str) -> None:
    """Encoding, relative and empty elements, and excess length are 400."""
    with pytest.raises(BadName) as caught:
        route(path)
    assert caught.value.status == 400


@pytest.mark.parametrize("path", ["/", "/v1/", "/v20", "/v2/a/b", "/v2/a/tags/", "/v2/a/tags/x"])
def test_what_is_no_endpoint_is_not_found(path: str) -> None:
    """A fast 404, as clients expect of a mirror that cannot help."""
    with pytest.raises(BadName) as caught:
        route(path)
    assert caught.value.status == 404


@pytest.mark.parametrize("ns", ["", "https://ghcr.io", "a b", "ghcr.io/x", "user@host"])
def test_a_malformed_ns_is_refused(ns: str) -> None:
    """The name of the registry is never guessed."""
    with pytest.raises(BadName, match="registry name"):
        route("/v2/a/manifests/v1", ns=ns)


def test_a_malformed_digest_is_its_own_error() -> None:
    """DIGEST_INVALID, not NAME_INVALID."""
    for path in ("/v2/a/blobs/sha256:1", "/v2/a/referrers/x", "/v2/a/manifests/sha256:G"):
        with pytest.raises(BadDigest):
            route(path)


@pytest.mark.parametrize("method", ["POST", "OPTIONS", "get", ""])
def test_a_method_that_an_endpoint_lacks_is_405(method: str) -> None:
    """Blobs are read, and nothing else is done to them by accident."""
    with pytest.raises(BadName) as caught:
        route(f"/v2/a/blobs/{DIGEST}", method=method)
    assert (caught.value.status, caught.value.code) == (405, "UNSUPPORTED")


def test_a_manifest_route_knows_whether_its_content_is_pinned() -> None:
    """By digest it is immutable; by tag it has to be revalidated."""
    pinned, tagged = route(f"/v2/a/manifests/{DIGEST}"), route("/v2/a/manifests/v1")
    assert isinstance(pinned, ManifestRoute)
    assert isinstance(tagged, ManifestRoute)
    assert (pinned.is_digest, tagged.is_digest) == (True, False)
