"""Which requests of the forward proxy go through the swarm (pure).

By default GETs of registry blobs do, when the registry is one that ``--registry`` names as reached
by plain HTTP at that address. User rules (``--rule``, regular expressions over the whole URL) add
others: the URL must hold the blob's sha256, in hex, or nothing could be verified; its first match
of the expression's group ``digest``, or else of 64 hex digits, names it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from yarl import URL

from eagle_node.base.digest import Digest
from eagle_node.base.errors import EagleError, UsageError
from eagle_node.config.tree import ProxyConfig
from eagle_node.registry.names import BlobRef, Repository
from eagle_node.registry.route import BlobRoute, parse_route

_HEX = re.compile(r"(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])")


class Rules:
    """The rule list of one node."""

    def __init__(self, config: ProxyConfig) -> None:
        self._registries = {URL(each.url).origin(): each.name for each in config.registries}
        self._expressions = compile_rules(config.rules)

    def blob_of(self, method: str, url: URL) -> BlobRef | None:
        """The blob to bring through the swarm, or None to pass the request on."""
        if method != "GET":
            return None
        registry = self._registries.get(url.origin())
        if registry is None:
            return None
        try:
            route = parse_route(method, url.raw_path, {"ns": registry}, default_registry=registry)
        except EagleError:
            return self._by_rule(registry, url)
        return route.blob if isinstance(route, BlobRoute) else self._by_rule(registry, url)

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


def compile_rules(rules: Sequence[str]) -> list[re.Pattern[str]]:
    """The expressions; `UsageError` names the first that is none."""
    compiled = []
    for rule in rules:
        try:
            compiled.append(re.compile(rule))
        except re.error as error:
            raise UsageError(f"--rule {rule!r} is not a regular expression: {error}") from error
    return compiled
