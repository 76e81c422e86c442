"""Names of registries, repositories, blobs and tags (OCI distribution-spec, "Pulling")."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NewType

from yarl import URL

from eagle_node.base.digest import Digest, looks_like_digest, parse_digest
from eagle_node.base.errors import EagleError

Tag = NewType("Tag", str)
"""A name that a repository gives to a manifest, and may give to another one later."""

Reference = Tag | Digest
"""What follows ``/manifests/``; only a digest holds a colon."""

DOCKER_HUB = "docker.io"
_ALIASES = {"index.docker.io": DOCKER_HUB, "registry-1.docker.io": DOCKER_HUB}

_MAX_HOST = 253
"""Characters of a DNS name (RFC 1035 2.3.4, without the root)."""
_MAX_NAME = 255
"""Characters of a repository name (OCI distribution-spec, the clients' limit)."""

_HOST_PORT = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9.-]+)(?::([0-9]{1,5}))?\Z")
_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\Z")
_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_NAME = re.compile(rf"{_COMPONENT}(?:/{_COMPONENT})*\Z")
_TAG = re.compile(r"[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}\Z")


class BadName(EagleError):
    """A client's request names nothing that a registry could serve.

    ``code`` is the OCI error code and ``status`` the HTTP status to answer with.
    """

    def __init__(self, message: str, *, code: str = "NAME_INVALID", status: int = 400) -> None:
        super().__init__(message)
        self.code = code
        self.status = status


@dataclass(frozen=True, slots=True)
class Repository:
    """A repository of one registry; both names are as `parse_registry` and co. return them."""

    registry: str
    name: str

    @property
    def attributes(self) -> Mapping[str, str]:
        """What a span tells of it."""
        return {"oci.registry": self.registry, "oci.repository": self.name}

    def __str__(self) -> str:
        return f"{self.registry}/{self.name}"


@dataclass(frozen=True, slots=True)
class BlobRef:
    """A blob, by the repository that it is read through: rights to it hang on the repository."""

    repository: Repository
    digest: Digest
    served_at: str = ""
    """Path and query where the registry serves it; empty: where the protocol says."""
    owned_as: str = field(default="", compare=False)
    """What its seeder is chosen by; empty: its digest."""

    @property
    def path(self) -> str:
        """Its path at its registry."""
        return self.served_at or f"/v2/{self.repository.name}/blobs/{self.digest}"

    @property
    def right(self) -> tuple[str, ...]:
        """What a right to it is for: repository, digest, and where it is asked for, if by a URL.

        A URL's query may be signed, so this is kept as a salted hash only.
        """
        named = (self.repository.registry, self.repository.name, self.digest)
        return (*named, self.served_at) if self.served_at else named

    @property
    def attributes(self) -> Mapping[str, str]:
        """What a span tells of it; not `served_at`, whose query may be signed."""
        return {**self.repository.attributes, "oci.digest": self.digest}

    def __str__(self) -> str:
        return f"{self.repository}@{self.digest}"


def parse_registry(text: str) -> str:
    """The registry that ``host[:port]`` names, in lower case, Docker Hub's aliases resolved.

    The host is a DNS name, ``localhost``, an IPv4 address or an IPv6 address in brackets; a scheme,
    a path, user information or a zone id make it `BadName`.
    """
    lowered = text.lower() if text.isascii() else text
    match = _HOST_PORT.match(lowered)
    if match is None:
        raise BadName(f"{text[:80]!r} is not a registry name; expected host or host:port")
    host, port = match.groups()
    if port is not None and not 0 < int(port) <= 65535:
        raise BadName(f"registry name {text[:80]!r} has a port out of range")
    host = _canonical_ipv6(host) if host.startswith("[") else host
    if not host.startswith("[") and not _is_host(host):
        raise BadName(f"{text[:80]!r} is not a registry name: {host[:80]!r} is no host")
    name = host if port is None else f"{host}:{int(port)}"
    return _ALIASES.get(name, name)


def authority_of(url: URL) -> str:
    """``host``, or ``host:port`` where the port is not its scheme's own."""
    return url.host_port_subcomponent or ""


def parse_repository_name(text: str) -> str:
    """``text`` if it is a repository's name within its registry; `BadName` otherwise."""
    if len(text) > _MAX_NAME:
        raise BadName(f"repository name {text[:40]!r}… is longer than {_MAX_NAME} characters")
    if not _NAME.match(text):
        raise BadName(
            f"{text!r} is not a repository name; it is made of lower-case letters, digits and "
            "single separators, in parts joined by /"
        )
    return text


def parse_reference(text: str) -> Reference:
    """The tag or digest that ``text`` spells.

    A malformed tag is a 404, since no manifest can bear it (the OCI conformance suite asks for
    this); a malformed digest raises `BadDigest`.
    """
    if looks_like_digest(text):
        return parse_digest(text)
    if not _TAG.match(text):
        raise BadName(
            f"{text[:140]!r} is not a tag; it is made of at most 128 letters, digits, _ . and -",
            code="MANIFEST_UNKNOWN",
            status=404,
        )
    return Tag(text)


def _canonical_ipv6(bracketed: str) -> str:
    try:
        return f"[{ipaddress.IPv6Address(bracketed[1:-1])}]"
    except ValueError as error:
        raise BadName(f"{bracketed!r} is not an IPv6 address") from error


def _is_host(host: str) -> bool:
    labels = host.split(".")
    if len(host) > _MAX_HOST or not all(_LABEL.match(label) for label in labels):
        return False
    if not labels[-1].isdecimal():
        return True
    try:
        ipaddress.IPv4Address(host)
    except ValueError:
        return False
    return True
