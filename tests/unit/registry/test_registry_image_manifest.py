"""What a manifest names."""

from __future__ import annotations

import json
from typing import Any

import pytest

from eagle_node.base.digest import digest_of
from eagle_node.registry.image_manifest import NamedBlob, named_blobs

OCI = "application/vnd.oci.image."
DOCKER = "application/vnd.docker."
CONFIG = {"mediaType": OCI + "config.v1+json", "digest": digest_of(b"config"), "size": 6}


def layer(content: bytes, media_type: str = OCI + "layer.v1.tar+gzip", **more: Any) -> Any:
    described = {"mediaType": media_type, "digest": digest_of(content), "size": len(content)}
    return described | more


def manifest(*layers: Any, **more: Any) -> bytes:
    return json.dumps({"schemaVersion": 2, "config": CONFIG, "layers": layers} | more).encode()


def names(*contents: bytes) -> list[NamedBlob]:
    return [NamedBlob(digest=digest_of(each), size=len(each)) for each in contents]


def test_config_and_layers_in_their_order() -> None:
    """Clients ask for them like this."""
    body = manifest(layer(b"one"), layer(b"two!"), layer(b"three"))
    assert named_blobs(body) == names(b"config", b"one", b"two!", b"three")


def test_a_layer_that_comes_twice_is_one_blob() -> None:
    """The empty layer does, in many images."""
    assert named_blobs(manifest(layer(b"a"), layer(b""), layer(b"a"))) == names(
        b"config", b"a", b""
    )


@pytest.mark.parametrize(
    "foreign",
    [
        layer(b"f", DOCKER + "image.rootfs.foreign.diff.tar.gzip"),
        layer(b"f", OCI + "layer.nondistributable.v1.tar+gzip"),
        layer(b"f", urls=["https://elsewhere.example/f"]),
    ],
)
def test_layers_that_are_elsewhere_are_left_out(foreign: Any) -> None:
    """Their registry does not have them, and this program dials no address out of a manifest."""
    assert named_blobs(manifest(foreign, layer(b"own"))) == names(b"config", b"own")


@pytest.mark.parametrize(
    "odd",
    [
        None,
        "layer",
        layer(b"x", size="1"),
        layer(b"x", size=-1),
        layer(b"x", size=1 << 60),
        layer(b"x", digest="sha512:" + "0" * 128),
        layer(b"x", digest=7),
        {"digest": digest_of(b"x"), "size": 1},
    ],
)
def test_a_malformed_description_is_left_out(odd: Any) -> None:
    """Those beside it are not harmed."""
    assert named_blobs(manifest(odd, layer(b"own"))) == names(b"config", b"own")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"\xff",
        b"[" * 100_000,
        json.dumps({"manifests": [layer(b"m", OCI + "manifest.v1+json")]}).encode(),
        json.dumps({"schemaVersion": 1, "fsLayers": [{"blobSum": digest_of(b"x")}]}).encode(),
        json.dumps({"layers": {}}).encode(),
        manifest(layer(b"own"), annotations={"filler": "x" * (1 << 20)}),
    ],
    ids=["empty", "list", "no text", "deep", "index", "schema 1", "odd", "huge"],
)
def test_what_is_no_images_manifest_names_nothing(body: bytes) -> None:
    """An index above all: of its manifests a client wants one."""
    assert named_blobs(body) == ()


def test_the_number_of_blobs_is_bounded() -> None:
    """A manifest is written by strangers."""
    assert len(named_blobs(manifest(*(layer(str(n).encode()) for n in range(1000))))) == 256
