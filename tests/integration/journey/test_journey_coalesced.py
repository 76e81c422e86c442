"""Registries are asked once for all nodes: tags, manifests, rights, tokens, blobs."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from eagle_node.trust.key import create_key_file
from tests.integration.registry.token_service import TokenService, token_registry, token_service
from tests.support import http
from tests.support.images import MANIFEST_TYPE, files_image
from tests.support.node import Node, eagle_node
from tests.support.origin import NAME, Behaviour, Origin, scripted_origin
from tests.support.process import run
from tests.support.pulls import REPOSITORY, manifest_url, pull_blob, refusal
from tests.support.registry import ACCESS, Credentials

READER, OTHER, OWNER = "reader", "other", "owner"
PATIENT = ("--tag-ttl", "120")
"""Of the seeder: a wave on a busy machine is still one wave."""
KIB = 1 << 10
SIZES = (300 * KIB, 40 * KIB, 2 * KIB)
"""Of an image's layers: swarmed and inline ones."""


@asynccontextmanager
async def cluster(
    directory: Path, flags: Sequence[str], *, count: int
) -> AsyncIterator[list[Node]]:
    """A seeder that is a node like the others, and the others."""
    async with AsyncExitStack() as stack:
        first = await stack.enter_async_context(eagle_node(directory / "n0", *flags, *PATIENT))
        others = await asyncio.gather(
            *(
                stack.enter_async_context(eagle_node(directory / f"n{number}", *flags, *first.pins))
                for number in range(1, count)
            )
        )
        yield [first, *others]


async def _pull(
    node: Node, tag: str, digest: str, blobs: Sequence[str], headers: Mapping[str, str]
) -> None:
    """As containerd and podman do it: look at the tag, get it, get the digest, get the blobs."""
    shown = {"Accept": MANIFEST_TYPE, **headers}
    url = manifest_url(node, tag)
    async with http.client() as session, session.head(url, headers=shown) as head:
        assert (head.status, head.headers["Docker-Content-Digest"]) == (200, digest)
    for reference in (tag, digest):
        await http.download(manifest_url(node, reference), digest=digest, headers=shown)
    await asyncio.gather(*(pull_blob(node, blob, headers=headers) for blob in blobs))


async def _meet(nodes: Sequence[Node], headers: Mapping[str, str]) -> None:
    """Have each node ask once, so that all are connected to the seeder."""
    for node in nodes:
        await refusal(manifest_url(node, "nothing"), status=404, headers=headers)


def _stock(origin: Origin, tag: str) -> tuple[str, list[str]]:
    """An image under a tag: its manifest's digest and its blobs'."""
    seed = sum(map(ord, tag))
    blobs = [origin.add_random(size, seed=seed + n) for n, size in enumerate(SIZES)]
    layers = [
        {"mediaType": "layer", "digest": blob, "size": size}
        for blob, size in zip(blobs, SIZES, strict=True)
    ]
    manifest = json.dumps({"mediaType": MANIFEST_TYPE, "layers": layers}).encode()
    digest = origin.add_manifest(tag, manifest)
    origin.add_manifest(digest, manifest)
    origin.always(tag, Behaviour(headers={"Docker-Content-Digest": digest}))
    return digest, list(blobs)


async def test_a_wave_of_any_size_costs_the_registry_the_same(tmp_path: Path) -> None:
    """Two nodes or six: the same requests, one of each kind."""
    accounts = []
    async with scripted_origin() as origin, cluster(tmp_path, origin.flags, count=6) as nodes:
        await _meet(nodes, {})
        for tag, size in (("two", 2), ("six", 6)):
            digest, blobs = _stock(origin, tag)
            before = len(origin.requests)
            await asyncio.gather(*(_pull(node, tag, digest, blobs, {}) for node in nodes[-size:]))
            names = {tag: "tag", digest: "digest", **{b: f"blob {n}" for n, b in enumerate(blobs)}}
            accounts.append(
                Counter(
                    (seen.method, names[seen.path.rpartition("/")[2]])
                    for seen in origin.requests[before:]
                )
            )
    two, six = accounts
    assert two == six
    assert six.pop(("HEAD", "tag")) == 1
    assert set(six) <= {
        ("GET", "tag"),
        ("GET", "digest"),
        *(("GET", f"blob {n}") for n in range(3)),
    }
    assert set(six.values()) == {1}


@asynccontextmanager
async def _guarded(directory: Path) -> AsyncIterator[tuple[TokenService, str]]:
    """A token service with two users, and the URL of a registry behind it."""
    async with token_service() as service:
        for user in (READER, OTHER, OWNER):
            service.passwords[user] = f"password-of-{user}"
        service.rights = {
            READER: {REPOSITORY: ["pull"]},
            OTHER: {"team/other": ["pull"]},
            OWNER: {REPOSITORY: ["pull", "push"]},
        }
        async with token_registry(directory, service) as url:
            yield service, url


def _basic(user: str) -> dict[str, str]:
    return {"Authorization": Credentials(user=user, password=f"password-of-{user}").header}


async def _push(layout: Path, url: str, tag: str) -> None:
    """With skopeo, as the owner."""
    address = url.removeprefix("http://")
    await run(
        [
            *["skopeo", "--insecure-policy", "copy", "--quiet", "--preserve-digests"],
            *["--dest-tls-verify=false", "--dest-creds", f"{OWNER}:password-of-{OWNER}"],
            *[f"oci:{layout}:image", f"docker://{address}/{REPOSITORY}:{tag}"],
        ],
        timeout=120,
    )


def _asked(directory: Path, since: int) -> Counter[tuple[str, str]]:
    """What nodes asked the registry for, from a byte of its log on, by method and path."""
    log = (directory / "token.log").read_bytes()[since:].decode()
    return Counter(
        (match["method"], match["path"])
        for match in ACCESS.finditer(log)
        if match["agent"].startswith("eagle-node")
    )


async def test_a_private_wave_costs_the_registry_the_same(tmp_path: Path) -> None:
    """With a cluster key one node asks, with the readers' credentials; a stranger gains nothing.

    Tokens are asked for once as well. Another user, with rights elsewhere, and one without
    credentials are refused by every node while the image is in all caches.
    """
    images = [files_image(tmp_path / tag, [300 * KIB], seed=tag) for tag in ("one", "three")]
    create_key_file(tmp_path / "key")
    accounts, tokens = [], []
    async with _guarded(tmp_path) as (service, url):
        for image in images:
            await _push(image.layout, url, image.layout.name)
        flags = ("--registry", f"{NAME}={url}", "--cluster-key-file", str(tmp_path / "key"))
        async with cluster(tmp_path, flags, count=3) as nodes:
            await _meet(nodes, _basic(READER))
            assert len(service.issued) == len(images) + 1
            for image, size in zip(images, (1, 3), strict=True):
                since, before = (tmp_path / "token.log").stat().st_size, len(service.origin.seen)
                blobs = [blob.digest for blob in image.blobs]
                pulls = [
                    _pull(node, image.layout.name, image.digest, blobs, _basic(READER))
                    for node in nodes[-size:]
                ]
                await asyncio.gather(*pulls)
                accounts.append(_asked(tmp_path, since))
                tokens.append(len(service.origin.seen) - before)
            for node in nodes:
                for reference in (images[1].digest, images[1].layout.name):
                    where = manifest_url(node, reference)
                    for headers in ({}, _basic(OTHER)):
                        await refusal(where, status=401, headers=headers)
    first, second = accounts
    assert set(second.values()) == {1}
    assert {(method, path.split("/")[4]) for method, path in second} == {
        ("HEAD", "manifests"),
        ("GET", "manifests"),
        ("GET", "blobs"),
    }
    assert first.total() == second.total()
    assert tokens == [0, 0]
