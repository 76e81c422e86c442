"""The demo's image."""

from __future__ import annotations

import gzip
import hashlib
import json
import tarfile
from pathlib import Path

from eagle_node.base.digest import digest_of
from eagle_node.cli.demo_image import Image, build_image

SIZE = 2 << 20


def built(directory: Path) -> Image:
    """A small image in a directory of its own."""
    directory.mkdir()
    return build_image(directory, SIZE)


def test_the_image_is_what_its_manifest_says(tmp_path: Path) -> None:
    """Descriptors, diff ids and files agree, as a container runtime checks them."""
    image = built(tmp_path / "a")
    manifest = json.loads(image.manifest)
    config, *layers = image.blobs
    assert [manifest["config"], *manifest["layers"]] == [b.descriptor for b in image.blobs]
    for blob in image.blobs:
        content = blob.path.read_bytes()
        assert (digest_of(content), len(content)) == (blob.digest, blob.size)
    diff_ids = json.loads(config.path.read_bytes())["rootfs"]["diff_ids"]
    for layer, diff_id in zip(layers, diff_ids, strict=True):
        with gzip.open(layer.path) as tar:
            assert "sha256:" + hashlib.file_digest(tar, "sha256").hexdigest() == diff_id
        with tarfile.open(layer.path) as tar_file:
            assert tar_file.getnames()


def test_the_image_has_the_size_that_was_asked_for(tmp_path: Path) -> None:
    """Several layers, together as large as asked or a little larger."""
    image = built(tmp_path / "a")
    assert len(image.blobs) == 6
    assert SIZE <= image.size < 2 * SIZE


def test_the_same_machine_makes_the_same_image(tmp_path: Path) -> None:
    """No time stamps, no owners, no order of chance."""
    assert built(tmp_path / "a").digest == built(tmp_path / "b").digest
