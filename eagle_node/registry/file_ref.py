"""Files of web servers, which have a URL where a blob has a digest. No IO."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl

from yarl import URL

from eagle_node.base.digest import Digest
from eagle_node.registry.names import BlobRef, Repository

_SECRET_PREFIXES = ("x-amz-", "x-goog-", "x-oss-", "x-ms-")
_SECRETS = frozenset(
    {
        *("signature", "sig", "sign", "hmac", "policy", "expires", "key-pair-id"),
        *("token", "access_token", "auth", "authorization", "jwt", "private_token"),
        *("apikey", "api_key", "api-key", "password", "passwd", "pwd", "secret"),
        *("awsaccesskeyid", "googleaccessid", "ossaccesskeyid", "security-token"),
        *("sv", "se", "sp", "sr", "st", "spr", "skoid", "sktid", "skt", "ske", "sks", "skv"),
    }
)
"""Names of query parameters that hold secrets, or change with them: of the signed URLs of S3,
CloudFront, GCS, Azure and OSS, and of tokens as servers commonly call them."""
_ID_DIGITS = 16


@dataclass(frozen=True, slots=True)
class FileRef:
    """A file of a server that is looked up like a registry."""

    registry: str
    """``host[:port]``, as `parse_registry` returns it."""
    served_at: str = field(repr=False)
    """Path and query, which may be signed: never kept, never shown."""

    @property
    def path(self) -> str:
        """Without the query."""
        return self.served_at.partition("?")[0]

    @property
    def repository(self) -> Repository:
        """What rights to it hang on."""
        return Repository(self.registry, self.path.strip("/"))

    @property
    def name(self) -> str:
        """What it is known by: server, path, and a hash of what of the query is no secret.

        Two signed URLs of one file have one name; no query can be read back from it.
        """
        query = self.served_at.partition("?")[2]
        kept = [
            f"{key}={value}"
            for key, value in parse_qsl(query, keep_blank_values=True)
            if key.lower() not in _SECRETS and not key.lower().startswith(_SECRET_PREFIXES)
        ]
        if not kept:
            return self.registry + self.path
        hashed = hashlib.sha256("&".join(kept).encode("utf-8", "surrogateescape")).hexdigest()
        return f"{self.registry}{self.path}?{hashed[:_ID_DIGITS]}"

    def blob(self, digest: Digest) -> BlobRef:
        """The file as a blob, once its digest is known."""
        return BlobRef(self.repository, digest, served_at=self.served_at, owned_as=self.name)

    @classmethod
    def of(cls, registry: str, url: URL) -> FileRef:
        """The file at ``url``, whose server is known as ``registry``."""
        return cls(registry, url.raw_path_qs)

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True, kw_only=True)
class FileState:
    """What a server tells of a file without sending it."""

    size: int | None
    """Bytes; None if it does not tell."""
    validator: str
    """Changes whenever the file does (RFC 9110 section 8.8); empty: the server gives none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileFound:
    """What a file was when it was last fetched."""

    digest: Digest
    size: int


def validator_of(headers: Mapping[str, str]) -> str:
    """``ETag``, or else ``Last-Modified``: what tells one state of a file from the next."""
    return headers.get("ETag", "").strip() or headers.get("Last-Modified", "").strip()
