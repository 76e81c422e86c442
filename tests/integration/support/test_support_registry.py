"""The registry of the tests asks for what it is told to ask for, and accounts for what it sent."""

from __future__ import annotations

from pathlib import Path

from tests.support import http
from tests.support.certificates import issue
from tests.support.images import files_image, push
from tests.support.registry import Credentials, docker_registry

MIB = 1 << 20
ALICE = Credentials(user="alice", password="correct horse")


async def test_registry_counts_partial_answers(tmp_path: Path) -> None:
    """Ranges count as requests of the blob, with the bytes that they sent."""
    image = files_image(tmp_path / "image", [MIB])
    blob = image.layers[0]
    async with docker_registry(tmp_path / "registry") as registry:
        await push(image, registry, "app")
        url = f"{registry.url}/v2/app/blobs/{blob.digest}"
        part = await http.download(url, headers={"Range": "bytes=0-99"}, status=206)
        whole = await http.download(url, digest=blob.digest)
        assert (part.bytes, whole.bytes) == (100, blob.size)
        assert await registry.blob_requests() == {blob.digest: 2}
        assert await registry.blob_bytes() == {blob.digest: blob.size + 100}


async def test_registry_asks_for_credentials_over_tls(tmp_path: Path) -> None:
    """With a user and a certificate, nobody else reads, and pushing still works."""
    image = files_image(tmp_path / "image", [MIB])
    tls = issue(tmp_path / "tls")
    async with docker_registry(tmp_path / "registry", auth=ALICE, tls=tls) as registry:
        await push(image, registry, "private/app")
        path = f"/v2/private/app/blobs/{image.config.digest}"
        assert [
            (access.method, access.status)
            for access in await registry.accesses()
            if access.path == "/v2/private/app/manifests/latest"
        ] == [("PUT", 201)]
        anonymous = await http.download(registry.url + path, status=401, authority=tls.authority)
        alice = await http.download(
            registry.url + path,
            headers={"Authorization": ALICE.header},
            digest=image.config.digest,
            authority=tls.authority,
        )
        assert anonymous.headers["WWW-Authenticate"].startswith("Basic")
        assert alice.bytes == image.config.size


async def test_registry_is_the_same_after_a_restart(tmp_path: Path) -> None:
    """Directory and port again: the images are there, and the account goes on."""
    image = files_image(tmp_path / "image", [MIB])
    blob = image.layers[0]
    async with docker_registry(tmp_path / "registry") as registry:
        await push(image, registry, "app")
        port = int(registry.address.rpartition(":")[2])
        await http.download(f"{registry.url}/v2/app/blobs/{blob.digest}")
        assert await registry.blob_requests() == {blob.digest: 1}
    assert not await http.answers(f"{registry.url}/v2/")
    async with docker_registry(tmp_path / "registry", port=port) as again:
        await http.download(f"{again.url}/v2/app/blobs/{blob.digest}", digest=blob.digest)
        assert await again.blob_requests() == {blob.digest: 2}
