"""Images as people name them (``docker pull``'s grammar: distribution/reference). No IO."""

from __future__ import annotations

from dataclasses import dataclass

from eagle_node.registry.names import (
    DOCKER_HUB,
    BadName,
    Reference,
    Repository,
    Tag,
    parse_reference,
    parse_registry,
    parse_repository_name,
)


@dataclass(frozen=True, slots=True)
class ImageReference:
    """A manifest, by tag or digest."""

    repository: Repository
    reference: Reference

    def __str__(self) -> str:
        sign = "@" if ":" in self.reference else ":"
        return f"{self.repository}{sign}{self.reference}"


def parse_image(text: str, *, default_registry: str) -> ImageReference:
    """The image that ``[registry/]repository[:tag][@digest]`` names; a digest wins over a tag.

    The first part is a registry if it holds a dot or a colon, or is ``localhost``. Docker Hub's
    repositories without a slash are in ``library/``. `BadName` and `BadDigest` say what is wrong.
    """
    name, _, digest = text.strip().partition("@")
    first, slash, rest = name.partition("/")
    if slash and (first == "localhost" or "." in first or ":" in first):
        registry = parse_registry(first)
    else:
        registry, rest = parse_registry(default_registry), name
    path, _, tag = rest.partition(":")
    if registry == DOCKER_HUB and "/" not in path:
        path = f"library/{path}"
    if ":" in tag:
        raise BadName(f"{text[:140]!r} has two tags")
    if tag:
        parse_reference(tag)
    reference = parse_reference(digest) if digest else Tag(tag or "latest")
    return ImageReference(Repository(registry, parse_repository_name(path)), reference)
