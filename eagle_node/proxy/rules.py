"""Which requests of the forward proxy are answered as the mirror's are (pure).

By default those that read blobs and manifests are, when the registry is one that ``--registry``
names as reached by plain HTTP at that address, or a host that is opened. User rules (``--rule``,
regular expressions over the whole URL) add GETs of other blobs: the URL must hold the blob's
sha256, in hex, or nothing could be verified; its first match of the expression's group ``digest``,
or else of 64 hex digits, names it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from yarl import URL

from eagle_node.base.digest import Digest
from eagle_node.base.errors import EagleError, UsageError
from eagle_node.config.tree import ProxyConfig
from eagle_node.registry.names import BlobRef, Repository
from eagle_node.registry.route import BlobRoute, ManifestRoute, Route, parse_route

_READS = ("GET", "HEAD")
_HEX = re.compile(r"(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])")


Routed = BlobRoute | ManifestRoute
"""What is not simply passed on."""


class Rules:
    """The rule list of one node."""

    def __init__(self, config: ProxyConfig) -> None:
        self._registries = {URL(each.url).origin(): each.name for each in config.registries}
        self._places = {each.name: URL(each.url).origin() for each in config.registries}
        self._expressions = compile_rules(config.rules)

    def registry_at(self, url: URL) -> str | None:
        """The registry that a request of the plain forward proxy is for; None: none of ours."""
        return self._registries.get(url.origin())

    def route_at(self, registry: str, method: str, url: URL) -> Routed | None:
        """What a request to ``registry`` means, by the URL that the client knows."""
        if method not in _READS:
            return None
        route = _parsed(method, registry, url)
        if isinstance(route, BlobRoute | ManifestRoute):
            return route
        blob = self._by_rule(registry, url) if method == "GET" else None
        return None if blob is None else BlobRoute(blob)

    def writes_at(self, registry: str, method: str, url: URL) -> list[Route]:
        """What a request to ``registry`` may change there, by each name that the registry has."""
        if method in _READS:
            return []
        place = self._places.get(registry)
        names = {registry} | {name for name, at in self._places.items() if at == place}
        routes = (_parsed(method, name, url) for name in sorted(names))
        return [route for route in routes if route is not None]

    def _by_rule(self, registry: str, url: URL) -> BlobRef | None:
        for expression in self._expressions:
            match = expression.search(str(url))
            if match is None:
                continue
            named = match.groupdict().get("digest")
            found = _HEX.search(named if named is not None else str(url))
            if found is not None:
                repository = Repository(registry, url.raw_path.strip("/"))
                digest = Digest(f"sha256:{found[0]}")
                return BlobRef(repository, digest, served_at=url.raw_path_qs)
        return None


def _parsed(method: str, registry: str, url: URL) -> Route | None:
    try:
        return parse_route(method, url.raw_path, {"ns": registry}, default_registry=registry)
    except EagleError:
        return None


def compile_rules(rules: Sequence[str]) -> list[re.Pattern[str]]:
    """The expressions; `UsageError` names the first that is none."""
    compiled = []
    for rule in rules:
        try:
            compiled.append(re.compile(rule))
        except re.error as error:
            raise UsageError(f"--rule {rule!r} is not a regular expression: {error}") from error
    return compiled
