"""Where a registry is really reached."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from yarl import URL

from eagle_node.base.errors import Denied, UsageError
from eagle_node.config.tree import ProxyConfig, RegistryConfig
from eagle_node.registry.names import DOCKER_HUB, BadName, parse_registry
from eagle_node.registry.redirects import same_origin

HUB_URL = URL("https://registry-1.docker.io")
"""Docker Hub's registry; its name in references, docker.io, is a web site."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """One registry as it is dialled."""

    name: str
    """The registry's name in references."""
    base: URL
    """What ``/v2/…`` is appended to."""
    ca_file: Path | None = None
    client_cert_file: Path | None = None
    client_key_file: Path | None = None

    def url(self, path: str, query: str = "") -> URL:
        """The URL of a path and a query string that are encoded already."""
        if not path.startswith("/"):
            raise ValueError(f"{path!r} is not an absolute path")
        prefix = str(self.base.origin()) + self.base.raw_path.rstrip("/")
        return URL(f"{prefix}{path}?{query}" if query else f"{prefix}{path}", encoded=True)


class Endpoints:
    """The endpoint of each registry name; raises `UsageError` when the configuration is wrong."""

    def __init__(self, config: ProxyConfig) -> None:
        self._only_configured = config.only_configured
        self._configured = {e.name: e for e in map(_endpoint, config.registries)}

    def of(self, registry: str) -> Endpoint:
        """Where ``registry`` is reached; `Denied` with 404 if it may not be."""
        known = self._configured.get(registry)
        if known is not None:
            return known
        if self._only_configured:
            raise Denied(
                f"registry {registry} is not configured on this node (--registry {registry}=URL)",
                status=404,
                code="NAME_UNKNOWN",
            )
        base = HUB_URL if registry == DOCKER_HUB else URL(f"https://{registry}")
        return Endpoint(name=registry, base=base)

    def is_configured(self, registry: str) -> bool:
        """Whether ``--registry`` names it."""
        return registry in self._configured

    def at(self, url: URL) -> Endpoint:
        """The configured endpoint that shares ``url``'s origin; else a stranger's made of it."""
        for endpoint in self._configured.values():
            if same_origin(endpoint.base, url):
                return endpoint
        return Endpoint(name=url.authority, base=url.origin())


def _endpoint(config: RegistryConfig) -> Endpoint:
    try:
        name, base = parse_registry(config.name), URL(config.url)
    except (BadName, ValueError) as error:
        raise UsageError(f"registry {config.name!r}: {error}") from error
    if base.scheme not in ("http", "https") or not base.host or base.query_string or base.user:
        raise UsageError(
            f"registry {config.name!r}: {config.url!r} is not a base URL; "
            "write https://host[:port] or http://host[:port]"
        )
    return Endpoint(
        name=name,
        base=base,
        ca_file=config.ca_file,
        client_cert_file=config.client_cert_file,
        client_key_file=config.client_key_file,
    )
