"""Whatever a registry holds, a client gets it through a node as it is."""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from eagle_node.base.digest import digest_of
from tests.integration.content.documents import (
    DOCKER_LIST,
    DOCKER_MANIFEST,
    EMPTY,
    OCI_INDEX,
    OCI_MANIFEST,
    Document,
    artifact,
    descriptor,
    entry,
    image,
    index,
    referring,
)
from tests.integration.content.ground import REPOSITORY, Ground, ground
from tests.support import http
from tests.support.node import eagle_node
from tests.support.origin import scripted_origin
from tests.support.pulls import blob_url, manifest_url, pull_blob, refusal
from tests.support.upload import upload_blob

pytestmark = pytest.mark.asyncio(loop_scope="module")

EVERY_TYPE = ", ".join((OCI_INDEX, DOCKER_LIST, OCI_MANIFEST, DOCKER_MANIFEST, "*/*"))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def here(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Ground]:
    """One ground for all tests of this file."""
    async with ground(tmp_path_factory.mktemp("content")) as made:
        yield made


async def pull(here: Ground, document: Document, tag: str) -> None:
    """By tag, by digest, and every blob of it, each by HEAD and by GET."""
    for reference in (tag, digest_of(document.body)):
        path = f"{REPOSITORY}/manifests/{reference}"
        for method in ("HEAD", "GET"):
            answer = await here.agree(path, method=method, Accept=EVERY_TYPE)
            assert answer.status == 200
            assert answer.headers["Content-Type"] == document.media_type
            assert answer.headers["Docker-Content-Digest"] == digest_of(document.body)
        assert answer.body == document.body
    for blob in document.blobs:
        path = f"{REPOSITORY}/blobs/{digest_of(blob)}"
        for method in ("HEAD", "GET"):
            answer = await here.agree(path, method=method, Accept_Encoding="zstd, gzip, deflate")
        assert answer.body == blob


@pytest.mark.parametrize("docker", [False, True], ids=["OCI", "docker"])
@pytest.mark.parametrize("compression", ["gzip", "zstd"])
async def test_an_image_is_byte_identical(here: Ground, docker: bool, compression: str) -> None:
    """Nobody unpacks or encodes a layer, whatever the client accepts."""
    tag = f"image-{docker}-{compression}".lower()
    document = image(tag, docker=docker, compression=compression)
    await document.push(here.registry, REPOSITORY, tag)
    await pull(here, document, tag)


@pytest.mark.parametrize(
    ("media_type", "docker"), [(OCI_INDEX, False), (DOCKER_LIST, True)], ids=["OCI", "docker"]
)
async def test_an_index_and_all_that_it_names(here: Ground, media_type: str, docker: bool) -> None:
    """Images of several architectures, and the attestations that build tools add."""
    name = f"multi-{docker}".lower()
    images = {each: image(f"{name}-{each}", docker=docker) for each in ("amd64", "arm64")}
    entries = [entry(each, architecture) for architecture, each in images.items()]
    documents = [*images.values()]
    if not docker:
        statement = json.dumps({"_type": "https://in-toto.io/Statement/v0.1"}).encode()
        attestation = artifact(
            "application/vnd.in-toto+json",
            "application/vnd.oci.image.config.v1+json",
            ("application/vnd.in-toto+json", statement),
        )
        notes = {
            "vnd.docker.reference.type": "attestation-manifest",
            "vnd.docker.reference.digest": digest_of(images["amd64"].body),
        }
        entries.append(entry(attestation, "unknown", annotations=notes))
        documents.append(attestation)
    for document in documents:
        await document.push(here.registry, REPOSITORY)
    whole = index(media_type, *entries)
    await whole.push(here.registry, REPOSITORY, name)
    await pull(here, whole, name)
    for document in documents:
        await pull(here, document, digest_of(document.body))


@pytest.mark.parametrize("config", [EMPTY, b'{"name":"eagle","version":"1.0.0"}'])
async def test_artifacts_are_content_like_any_other(here: Ground, config: bytes) -> None:
    """Helm charts and files that ORAS has pushed: unknown types, tiny configs."""
    chart = artifact(
        "application/vnd.cncf.helm.chart.v1",
        "application/vnd.cncf.helm.config.v1+json",
        ("application/vnd.cncf.helm.chart.content.v1.tar+gzip", b"\x1f\x8b" + config * 50_000),
        ("application/vnd.cncf.helm.chart.provenance.v1.prov", b"signed" + config),
        ("text/plain", b""),
    )
    tag = f"chart-{len(config)}"
    await chart.push(here.registry, REPOSITORY, tag)
    await pull(here, chart, tag)


async def test_referrers_are_found_as_the_registry_lists_them(here: Ground) -> None:
    """By the API where there is one, else (as with this registry) by the fallback tag."""
    subject = image("signed")
    await subject.push(here.registry, REPOSITORY, "signed")
    signature = referring(subject, b"signature")
    await signature.push(here.registry, REPOSITORY)
    await pull(here, signature, digest_of(signature.body))
    digest = digest_of(subject.body)
    answer = await here.agree(f"{REPOSITORY}/referrers/{digest}")
    assert answer.status == 404
    tag = digest.replace(":", "-")
    listing = index(OCI_INDEX, descriptor(OCI_MANIFEST, signature.body))
    await listing.push(here.registry, REPOSITORY, tag)
    await pull(here, listing, tag)


@pytest.mark.parametrize("stored", [DOCKER_LIST, DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST])
async def test_negotiation_is_the_registrys(here: Ground, stored: str) -> None:
    """Clients that accept less get what it makes for them, in whatever order they come."""
    docker = stored in (DOCKER_LIST, DOCKER_MANIFEST)
    tag = "for-" + stored.rpartition("/")[2].replace("+", "-")
    document = image(tag, docker=docker)
    if stored in (DOCKER_LIST, OCI_INDEX):
        await document.push(here.registry, REPOSITORY)
        document = index(stored, entry(document, "amd64"))
    await document.push(here.registry, REPOSITORY, tag)
    path = f"{REPOSITORY}/manifests/{tag}"
    for accept in (EVERY_TYPE, DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST, DOCKER_LIST, "*/*"):
        first, again = [await here.direct(path, Accept=accept) for _ in range(2)]
        if first.body == again.body:
            await here.agree(path, Accept=accept)
            continue
        # For clients of 2015 distribution signs a manifest anew each time.
        found = await here.through(path, Accept=accept)
        assert found.status == 200
        assert found.headers["Content-Type"] == first.headers["Content-Type"].partition(";")[0]
        assert "manifest.v1" in found.headers["Content-Type"]


async def test_layers_that_are_elsewhere_are_left_to_the_client(
    tmp_path: Path,
) -> None:
    """The manifest of an image with foreign layers is served; nobody goes to their URLs."""
    async with scripted_origin() as origin, scripted_origin() as elsewhere:
        foreign = b"a base layer of another vendor"
        url = f"{elsewhere.url}/{elsewhere.add(foreign)}"
        config, layer = b"{}", b"\x1f\x8b" + b"x" * 300_000
        for blob in (config, layer):
            origin.add(blob)
        kind = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"
        document = {
            "schemaVersion": 2,
            "mediaType": DOCKER_MANIFEST,
            "config": descriptor("application/vnd.docker.container.image.v1+json", config),
            "layers": [
                descriptor(kind, foreign, urls=[url]),
                descriptor("application/vnd.docker.image.rootfs.diff.tar.gzip", layer),
            ],
        }
        body = json.dumps(document).encode()
        origin.add_manifest("latest", body)
        async with (
            eagle_node(tmp_path / "a", *origin.flags) as seeder,
            eagle_node(tmp_path / "b", *origin.flags, *seeder.pins) as peer,
        ):
            await http.download(manifest_url(peer, "latest"), digest=digest_of(body))
            await pull_blob(peer, digest_of(layer))
            missing = blob_url(peer, digest_of(foreign))
            assert "404" in await refusal(missing, status=404)
        assert elsewhere.requests == []
        assert len(origin.gets(digest_of(layer))) == 1


async def test_a_sha512_blob_is_passed_on(here: Ground) -> None:
    """Nothing here can name it, so nothing keeps it: each time it is the registry's answer."""
    content = b"content of another algorithm" * 1000
    digest = f"sha512:{hashlib.sha512(content).hexdigest()}"
    await upload_blob(here.registry, REPOSITORY, content, digest=digest)
    path = f"{REPOSITORY}/blobs/{digest}"
    for method in ("HEAD", "GET"):
        assert (await here.agree(path, method=method)).status == 200
    part = await here.agree(path, Range="bytes=5-9")
    assert (part.status, part.body) == (206, content[5:10])
    absent = f"sha512:{'0' * 128}"
    for kind in ("blobs", "manifests"):
        assert (await here.agree(f"{REPOSITORY}/{kind}/{absent}", method="HEAD")).status == 404
