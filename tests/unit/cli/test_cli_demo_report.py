"""When a demo counts as right."""

from __future__ import annotations

import dataclasses
import io
from pathlib import Path

from rich.console import Console

from eagle_node.api.schema import ServedFrom, TrafficStatus
from eagle_node.base.digest import Digest, digest_of
from eagle_node.cli.demo_image import CONFIG_TYPE, LAYER_TYPE, Blob, Image
from eagle_node.cli.demo_pull import Pulled
from eagle_node.cli.demo_report import Outcome, faults, report

CONFIG = Blob(media_type=CONFIG_TYPE, digest=digest_of(b"config"), size=100, path=Path("config"))
LAYER = Blob(media_type=LAYER_TYPE, digest=digest_of(b"layer"), size=2048, path=Path("layer"))
IMAGE = Image(manifest=b"{}", blobs=(CONFIG, LAYER))
SIZES = {CONFIG.digest: 100, LAYER.digest: 2048}
RIGHT = Outcome(
    name="node 1",
    pulled=Pulled(manifest=IMAGE.digest, sizes=SIZES, seconds=1.5),
    traffic=TrafficStatus(
        origin_bytes=2148,
        peer_download_bytes=0,
        peer_upload_bytes=2148,
        served_bytes=2150,
        served_from=ServedFrom(local=0, swarm=0, origin=2150),
    ),
)


def test_right_is_everything_once() -> None:
    """Each node got each blob, and the registry sent each once."""
    assert faults(IMAGE, [RIGHT, RIGHT], SIZES) == []


def test_a_second_copy_from_the_registry_is_a_fault() -> None:
    """The point of the program is that there is none."""
    assert faults(IMAGE, [RIGHT], {**SIZES, LAYER.digest: 3072}) == [
        f"the registry sent 1.50 copies of blob {LAYER.digest[7:19]}"
    ]


def test_a_blob_that_the_registry_never_sent_is_a_fault() -> None:
    """Bytes cannot have come from nowhere."""
    (fault,) = faults(IMAGE, [RIGHT], {LAYER.digest: 2048})
    assert "sent 0.00 copies" in fault


def test_missing_and_foreign_content_is_a_fault() -> None:
    """A node that got less, another manifest, or did not count, is named."""
    pulled = Pulled(manifest=Digest("sha256:0"), sizes={CONFIG.digest: 100}, seconds=1.0)
    traffic = dataclasses.replace(RIGHT.traffic, served_bytes=100)
    wrong = Outcome(name="node 2", pulled=pulled, traffic=traffic)
    found = faults(IMAGE, [RIGHT, wrong], SIZES)
    assert len(found) == 3
    assert all(fault.startswith("node 2 ") for fault in found)


def test_the_table_shows_each_node_and_the_total() -> None:
    """People see where the bytes came from."""
    console = Console(file=io.StringIO(), width=100)
    other = dataclasses.replace(
        RIGHT, name="node 2", pulled=dataclasses.replace(RIGHT.pulled, seconds=2.5)
    )
    with console.capture() as captured:
        console.print(report(IMAGE, [RIGHT, other], SIZES))
    text = captured.get()
    assert "node 1" in text
    assert "2 of 2" in text
    assert "2.50 s" in text
