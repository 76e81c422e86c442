"""Files of any HTTPS server through the swarm, for ``eagle-node get``. No IO.

``GET /eagle/v1/file?url=URL&digest=sha256:…`` with the header ``X-Eagle-Node`` (any value: a web
page cannot send it here unasked). The URL's host is looked up like a registry's name; plain HTTP
is dialled only where ``--registry`` says so. ``Authorization`` is shown to the file's server. Who
does not know the digest looks first (`looks`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from yarl import URL

from eagle_node.base.digest import parse_digest
from eagle_node.config.tree import RegistryConfig
from eagle_node.registry.file_ref import FileRef
from eagle_node.registry.names import BadName, BlobRef, authority_of, parse_registry

PATH = "/eagle/v1/file"
HEADER = "X-Eagle-Node"


@dataclass(frozen=True, slots=True)
class FileRequest:
    """What is wanted, and where its server has it."""

    blob: BlobRef
    url: URL


def parse_file(
    query: Mapping[str, str], headers: Mapping[str, str], registries: Iterable[RegistryConfig]
) -> FileRequest:
    """The file that a request names; `BadName` and `BadDigest` say what is wrong with it."""
    file, url = parse_url(query, headers, registries)
    return FileRequest(file.blob(parse_digest(query.get("digest", ""))), url)


def parse_url(
    query: Mapping[str, str], headers: Mapping[str, str], registries: Iterable[RegistryConfig]
) -> tuple[FileRef, URL]:
    """The file whose URL a request names; `BadName` says what is wrong with it."""
    if HEADER not in headers:
        raise BadName(f"this path needs the header {HEADER}", code="DENIED", status=403)
    text = query.get("url", "")
    try:
        url = URL(text, encoded=True)
        if url.scheme not in ("http", "https") or not url.host or url.user or url.password:
            raise ValueError("no URL of a file")
        if not url.raw_path_qs.isprintable() or len(text) > 4096:
            raise ValueError("no path that a server could know")
    except ValueError as error:
        raise BadName(f"{text[:200]!r} is not an https URL without credentials") from error
    known = {URL(each.url).origin(): each.name for each in registries}
    registry = known.get(url.origin())
    if registry is None and url.scheme == "http":
        raise BadName(
            f"plain HTTP is not used unasked: tell the node --registry {authority_of(url)}="
            f"{url.origin()}",
            code="DENIED",
            status=403,
        )
    return FileRef.of(registry or parse_registry(authority_of(url)), url), url
