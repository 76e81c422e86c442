"""Signatures and SBOMs of an image are found through a node as at the registry."""

from __future__ import annotations

import io
import json
import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass

import pytest
import pytest_asyncio

from eagle_node.base.digest import digest_of
from tests.integration.content.documents import (
    OCI_INDEX,
    OCI_MANIFEST,
    Document,
    descriptor,
    image,
    index,
    referring,
)
from tests.support import http
from tests.support.node import Node, eagle_node
from tests.support.origin import NAME
from tests.support.pulls import refusal
from tests.support.referrers_registry import ReferrersRegistry, referrers_registry

pytestmark = pytest.mark.asyncio(loop_scope="module")

REPOSITORY = "team/app"
OLDER = "older.test"
KIND = "application/vnd.example.signature"


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """The registry, a seeder and a peer before it."""

    name: str
    registry: ReferrersRegistry
    seeder: Node
    peer: Node

    async def push(self, document: Document, reference: str = "") -> str | None:
        """Through the peer; the ``OCI-Subject`` that comes back."""
        base = f"{self.peer.proxy_url}/v2/{self.name}/{REPOSITORY}"
        async with http.client() as session:
            for blob in document.blobs:
                async with session.post(f"{base}/blobs/uploads/") as answer:
                    location = f"{self.peer.proxy_url}{answer.headers['Location']}"
                url = f"{location}&digest={digest_of(blob)}"
                async with session.put(url, data=io.BytesIO(blob)) as answer:
                    assert answer.status == 201
            url = f"{base}/manifests/{reference or digest_of(document.body)}"
            told = {"Content-Type": document.media_type}
            async with session.put(url, data=document.body, headers=told) as answer:
                assert answer.status == 201
                return answer.headers.get("OCI-Subject")

    async def pages(self, node: Node, path: str) -> list[tuple[list[str], str]]:
        """The digests, and the filter applied, of each page of a list."""
        url, pages = f"{node.proxy_url}/v2/{REPOSITORY}/{path}", []
        async with http.client() as session:
            while url:
                async with session.get(url) as answer:
                    assert answer.status == 200, await answer.text()
                    assert answer.headers["Content-Type"] == OCI_INDEX
                    listed = json.loads(await answer.read())["manifests"]
                    applied = answer.headers.get("OCI-Filters-Applied", "")
                    more = re.fullmatch(r'<(/[^>]*)>; rel="next"', answer.headers.get("Link", ""))
                pages.append(([each["digest"] for each in listed], applied))
                url = f"{node.proxy_url}{more[1]}" if more else ""
        return pages


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def sites(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Mapping[str, Site]]:
    """By name: registries with and without the API, before the same nodes."""
    directory = tmp_path_factory.mktemp("referrers")
    async with (
        referrers_registry() as modern,
        referrers_registry(referrers=False) as older,
    ):
        at = ("--registry", f"{NAME}={modern.url}", "--registry", f"{OLDER}={older.url}")
        async with (
            eagle_node(directory / "a", *at) as seeder,
            eagle_node(directory / "b", *at, *seeder.pins) as peer,
        ):
            yield {
                name: Site(name=name, registry=registry, seeder=seeder, peer=peer)
                for name, registry in ((NAME, modern), (OLDER, older))
            }


async def test_referrers_are_listed_by_filter_and_by_page(sites: Mapping[str, Site]) -> None:
    """Query, ``Link`` and ``OCI-Filters-Applied`` pass; what was pushed just now is listed."""
    here = sites[NAME]
    subject = image("signed")
    assert await here.push(subject, "v1") is None
    digest = digest_of(subject.body)
    path = f"referrers/{digest}?ns={NAME}"
    for node in (here.peer, here.seeder):
        assert await here.pages(node, path) == [([], "")]
    signatures = []
    for number in range(3):
        signature = referring(subject, f"signature {number}".encode())
        assert await here.push(signature) == digest
        signatures.append(digest_of(signature.body))
        for node in (here.peer, here.seeder):
            assert await here.pages(node, path) == [(sorted(signatures), "")]
    for node in (here.peer, here.seeder):
        first, second = await here.pages(node, f"{path}&n=2&artifactType={KIND}")
        assert first == (sorted(signatures)[:2], "artifactType")
        assert second == (sorted(signatures)[2:], "artifactType")
        assert await here.pages(node, f"{path}&artifactType=other") == [([], "artifactType")]
    assert not any("ns=" in each for each in here.registry.asked)
    absent = f"{here.peer.proxy_url}/v2/{REPOSITORY}/referrers/sha256:12?ns={NAME}"
    assert "not a digest" in await refusal(absent, status=400)


async def test_without_the_api_there_is_the_fallback_tag(sites: Mapping[str, Site]) -> None:
    """The 404 tells the client to look there, and it sees what was pushed to it just now."""
    here = sites[OLDER]
    subject = image("signed")
    await here.push(subject, "v1")
    digest = digest_of(subject.body)
    tag = digest.replace(":", "-")
    base = f"{here.peer.proxy_url}/v2/{REPOSITORY}"
    await refusal(f"{base}/referrers/{digest}?ns={OLDER}", status=404)
    await refusal(f"{base}/manifests/{tag}?ns={OLDER}", status=404)
    signatures: list[Document] = []
    for number in range(2):
        signature = referring(subject, f"signature {number}".encode())
        assert await here.push(signature) is None
        signatures.append(signature)
        listing = index(OCI_INDEX, *(descriptor(OCI_MANIFEST, each.body) for each in signatures))
        await here.push(listing, tag)
        for url in (f"{base}/manifests/{tag}", f"{base}/manifests/{digest_of(listing.body)}"):
            await http.download(f"{url}?ns={OLDER}", digest=digest_of(listing.body))
