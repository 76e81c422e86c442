"""Images as people name them."""

from __future__ import annotations

import pytest

from eagle_node.base.errors import BadDigest
from eagle_node.registry.image_reference import parse_image
from eagle_node.registry.names import BadName

DIGEST = "sha256:" + "0" * 64


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("nginx", "docker.io/library/nginx:latest"),
        ("nginx:1.27", "docker.io/library/nginx:1.27"),
        ("team/app", "docker.io/team/app:latest"),
        ("docker.io/nginx", "docker.io/library/nginx:latest"),
        ("index.docker.io/library/nginx", "docker.io/library/nginx:latest"),
        ("ghcr.io/team/app:1", "ghcr.io/team/app:1"),
        ("localhost/app", "localhost/app:latest"),
        ("localhost:5000/app", "localhost:5000/app:latest"),
        ("127.0.0.1:5000/team/app:a.b-c", "127.0.0.1:5000/team/app:a.b-c"),
        (f"ghcr.io/team/app@{DIGEST}", f"ghcr.io/team/app@{DIGEST}"),
        (f"ghcr.io/team/app:1@{DIGEST}", f"ghcr.io/team/app@{DIGEST}"),
        (" nginx\n", "docker.io/library/nginx:latest"),
    ],
)
def test_a_name_means_what_docker_pull_means(text: str, meant: str) -> None:
    """Registry, library and tag are filled in; a digest wins over a tag."""
    image = parse_image(text, default_registry="docker.io")
    assert str(image) == meant
    assert parse_image(str(image), default_registry="elsewhere.example") == image


def test_another_default_registry_has_no_library() -> None:
    """That is Docker Hub's custom alone."""
    assert str(parse_image("app", default_registry="ghcr.io")) == "ghcr.io/app:latest"


@pytest.mark.parametrize(
    "text", ["", ":", "@", "App", "a//b", "ghcr.io/", "a:b:c", "https://a/b", "a b", "-/a"]
)
def test_what_names_no_image_is_refused(text: str) -> None:
    """With an error that says why."""
    with pytest.raises(BadName):
        parse_image(text, default_registry="docker.io")


def test_a_malformed_digest_is_told() -> None:
    """As such."""
    with pytest.raises(BadDigest):
        parse_image("a@sha256:0", default_registry="docker.io")
