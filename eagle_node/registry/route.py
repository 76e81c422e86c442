"""Which thing of which registry a request means (OCI distribution-spec, "Endpoints")."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from eagle_node.base.digest import Digest, is_of_other_algorithm, looks_like_digest, parse_digest
from eagle_node.registry.names import (
    DOCKER_HUB,
    BadName,
    BlobRef,
    Reference,
    Repository,
    parse_reference,
    parse_registry,
    parse_repository_name,
)

MAX_PATH = 2048
"""Characters of a request path: a name of 255, a digest, an upload session, and room."""

_PORT_IN_PATH = re.compile(r"(localhost|[^_]*\.[^_]*)__([0-9]{1,5})\Z")
"""``host__port``: no element of an image's name holds a colon, and no host a ``_``."""

_READ = frozenset({"GET", "HEAD"})


@dataclass(frozen=True, slots=True)
class Ping:
    """``/v2/``: does the registry speak this protocol, and what credentials does it want."""

    registry: str

    @property
    def path(self) -> str:
        """Path at the registry."""
        return "/v2/"


@dataclass(frozen=True, slots=True)
class ManifestRoute:
    """A manifest by tag or digest."""

    repository: Repository
    reference: Reference

    @property
    def is_digest(self) -> bool:
        """Whether the reference pins the content."""
        return looks_like_digest(self.reference)

    @property
    def path(self) -> str:
        """Path at the registry."""
        return f"/v2/{self.repository.name}/manifests/{self.reference}"


@dataclass(frozen=True, slots=True)
class BlobRoute:
    """A layer or config."""

    blob: BlobRef

    @property
    def path(self) -> str:
        """Path at the registry."""
        return self.blob.path


@dataclass(frozen=True, slots=True)
class TagsRoute:
    """The tags of a repository."""

    repository: Repository

    @property
    def path(self) -> str:
        """Path at the registry."""
        return f"/v2/{self.repository.name}/tags/list"


@dataclass(frozen=True, slots=True)
class ReferrersRoute:
    """The manifests that refer to a manifest (signatures, SBOMs)."""

    repository: Repository
    digest: Digest

    @property
    def path(self) -> str:
        """Path at the registry."""
        return f"/v2/{self.repository.name}/referrers/{self.digest}"


@dataclass(frozen=True, slots=True)
class UploadRoute:
    """The start of an upload, or the upload ``session`` when it is not empty."""

    repository: Repository
    session: str = ""

    @property
    def path(self) -> str:
        """Path at the registry."""
        return f"/v2/{self.repository.name}/blobs/uploads/{self.session}"


@dataclass(frozen=True, slots=True)
class CatalogRoute:
    """The list of a registry's repositories."""

    registry: str

    @property
    def path(self) -> str:
        """Path at the registry."""
        return "/v2/_catalog"


@dataclass(frozen=True, slots=True)
class OtherDigestRoute:
    """Content with a digest that is not sha256: nothing here can verify it, so it is passed on."""

    repository: Repository
    kind: str
    """``blobs``, ``manifests`` or ``referrers``."""
    digest: str

    @property
    def path(self) -> str:
        """Path at the registry."""
        return f"/v2/{self.repository.name}/{self.kind}/{self.digest}"


Route = (
    Ping
    | ManifestRoute
    | BlobRoute
    | TagsRoute
    | ReferrersRoute
    | UploadRoute
    | CatalogRoute
    | OtherDigestRoute
)

_METHODS: dict[type[Route], frozenset[str]] = {
    Ping: _READ,
    ManifestRoute: _READ | {"PUT", "DELETE"},
    BlobRoute: _READ | {"DELETE"},
    TagsRoute: _READ,
    ReferrersRoute: _READ,
    UploadRoute: _READ | {"POST", "PUT", "PATCH", "DELETE"},
    CatalogRoute: _READ,
    OtherDigestRoute: _READ | {"PUT", "DELETE"},
}


def parse_route(
    method: str, raw_path: str, query: Mapping[str, str], *, default_registry: str
) -> Route:
    """The route of a request whose path, still percent-encoded, is ``raw_path``.

    The registry is ``?ns=`` (containerd); else the first path element, when it looks like a host
    (holds ``.`` or ``:``, or is ``localhost``; ``host__port`` is ``host:port``) and more of the
    name follows (podman); else ``default_registry``. Docker Hub's one-element names get their
    ``library/``. Raises `BadName` for what no registry serves, and `BadDigest` for a malformed
    digest. No registry's names need percent-encoding, so it is refused rather than decoded: nothing
    can hide behind it.
    """
    path = raw_path.partition("?")[0]
    elements = _elements(path)
    named = parse_registry(query["ns"]) if "ns" in query else None
    route = _endpoint(elements, named, default_registry)
    if method not in _METHODS[type(route)]:
        raise BadName(f"{method[:20]} is not a method of {path}", code="UNSUPPORTED", status=405)
    return route


def _elements(path: str) -> list[str]:
    """What follows ``/v2/``; a trailing slash leaves an empty last element."""
    if len(path) > MAX_PATH:
        raise BadName(f"path is longer than {MAX_PATH} characters")
    if "%" in path or not path.isascii() or not path.isprintable():
        raise BadName(f"path {path[:200]!r} holds characters that no registry name has")
    if path in ("/v2", "/v2/"):
        return []
    if not path.startswith("/v2/"):
        raise _unknown(path)
    elements = path[4:].split("/")
    if "" in elements[:-1] or ".." in elements or "." in elements:
        raise BadName(f"path {path!r} holds an empty or a relative element")
    return elements


def _endpoint(elements: list[str], named: str | None, default: str) -> Route:
    match elements:
        case []:
            return Ping(named or default)
        case ["_catalog"]:
            return CatalogRoute(named or default)
        case [first, "_catalog"] if named is None and (host := _host(first)) is not None:
            return CatalogRoute(parse_registry(host))
        case [*name, ("manifests" | "blobs" | "referrers") as kind, digest] if (
            is_of_other_algorithm(digest)
        ):
            return OtherDigestRoute(_repository(name, named, default), kind, digest)
        case [*name, "manifests", reference]:
            return ManifestRoute(_repository(name, named, default), parse_reference(reference))
        case [*name, "blobs", "uploads", session]:
            return UploadRoute(_repository(name, named, default), _session(session))
        case [*name, "blobs", "uploads"]:
            return UploadRoute(_repository(name, named, default))
        case [*name, "blobs", digest]:
            return BlobRoute(BlobRef(_repository(name, named, default), parse_digest(digest)))
        case [*name, "tags", "list"]:
            return TagsRoute(_repository(name, named, default))
        case [*name, "referrers", digest]:
            return ReferrersRoute(_repository(name, named, default), parse_digest(digest))
    raise _unknown("/v2/" + "/".join(elements))


def _repository(elements: list[str], named: str | None, default: str) -> Repository:
    registry = named or default
    if named is None and len(elements) > 1 and (host := _host(elements[0])) is not None:
        registry, elements = parse_registry(host), elements[1:]
    if registry == DOCKER_HUB and len(elements) == 1:
        elements = ["library", *elements]
    return Repository(registry, parse_repository_name("/".join(elements)))


def _host(element: str) -> str | None:
    """The registry that a path's first element names, None: it is part of a repository's name."""
    if match := _PORT_IN_PATH.match(element):
        return f"{match[1]}:{match[2]}"
    return element if "." in element or ":" in element or element == "localhost" else None


def _session(text: str) -> str:
    if not all(c.isalnum() or c in "-._~=+@:" for c in text):
        raise BadName(f"{text[:80]!r} is not an upload session", code="BLOB_UPLOAD_UNKNOWN")
    return text


def _unknown(path: str) -> BadName:
    return BadName(f"{path[:200]!r} is no registry endpoint", code="NAME_UNKNOWN", status=404)
