"""``eagle-node get`` as a process, through a real node, from a real registry."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import signal
import sys
import tarfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from aiohttp import web

from eagle_node.api.client import ApiClient
from eagle_node.cli.main import main
from tests.support.images import Image, many_layers_image, push
from tests.support.node import Node, eagle_node
from tests.support.origin import NAME
from tests.support.process import CommandFailed, Process, run, running
from tests.support.pulls import REPOSITORY
from tests.support.registry import Registry, docker_registry
from tests.support.waiting import until

MIB = 1 << 20
IMAGE = f"{NAME}/{REPOSITORY}:latest"


@dataclass(frozen=True, slots=True)
class Ground:
    """A registry with an image, and a node in front of it."""

    image: Image
    registry: Registry
    node: Node

    def command(self, *arguments: str) -> list[str]:
        """``eagle-node get`` by way of the node."""
        urls = ("--proxy", self.node.proxy_url, "--api", self.node.api_url)
        return [sys.executable, "-m", "eagle_node", "get", *arguments, *urls]


@asynccontextmanager
async def ground(tmp_path: Path, *, size: int = 3 * MIB) -> AsyncIterator[Ground]:
    """All of it, running."""
    image = many_layers_image(tmp_path / "image", count=4, size=size)
    async with docker_registry(tmp_path / "registry") as registry:
        await push(image, registry, REPOSITORY)
        async with eagle_node(tmp_path / "a", "--registry", f"{NAME}={registry.url}") as node:
            yield Ground(image, registry, node)


def hidden(directory: Path) -> list[str]:
    """What is unfinished in a directory."""
    return [path.name for path in directory.rglob(".*")]


async def test_an_image_in_each_form(tmp_path: Path) -> None:
    """An OCI layout that skopeo reads, an archive that podman's library reads, and the cache; the
    registry sends each blob once for all three."""
    async with ground(tmp_path) as here:
        layout, archive = tmp_path / "app", tmp_path / "app.tar"
        told = await run(here.command(IMAGE, "-o", str(layout), "--json"))
        document = json.loads(told.stdout)
        assert (document["digest"], document["size"]) == (here.image.digest, here.image.size)
        assert sum(document["from"].values()) >= here.image.size
        raw = await run(["skopeo", "inspect", "--raw", f"oci:{layout}:latest"])
        assert hashlib.sha256(raw.stdout.encode()).hexdigest() == here.image.digest[7:]
        await run(
            ["skopeo", "--insecure-policy", "copy", f"oci:{layout}:latest", f"dir:{tmp_path}/d"]
        )

        await run(here.command(IMAGE, "--format", "docker", "-o", str(archive)))
        await run(["skopeo", "inspect", f"docker-archive:{archive}"])
        with tarfile.open(archive) as tar:
            entry = json.loads(tar.extractfile("manifest.json").read())  # type: ignore[union-attr]
        assert entry[0]["RepoTags"] == [IMAGE]

        cached = await run(here.command(IMAGE, "--format", "cache", "--json"))
        assert json.loads(cached.stdout)["from"]["cache"] >= here.image.size
        assert await here.registry.blob_requests() == {b.digest: 1 for b in here.image.blobs}
        assert hidden(tmp_path / "app") == []


async def test_a_blob_and_what_is_left_of_it(tmp_path: Path) -> None:
    """Of one that was broken off the half that is there is not fetched again; a wrong half is found
    out; standard output gets the bytes and nothing else."""
    async with ground(tmp_path) as here:
        blob = max(here.image.blobs, key=lambda each: each.size)
        content = here.image.content(blob).read_bytes()
        part = tmp_path / ".layer.part"
        command = here.command("--blob", f"{NAME}/{REPOSITORY}@{blob.digest}", "--json")
        command += ["-o", str(tmp_path / "layer")]
        half = len(content) // 2
        part.write_bytes(content[:half])
        told = json.loads((await run(command)).stdout)
        assert sum(told["from"].values()) == len(content) - half
        assert (tmp_path / "layer").read_bytes() == content
        (tmp_path / "layer").unlink()
        part.write_bytes(bytes(half))
        with pytest.raises(CommandFailed, match="status 1"):
            await run(command)
        assert not part.exists()
        assert not (tmp_path / "layer").exists()
        await run(command)
        assert (tmp_path / "layer").read_bytes() == content
        child = await asyncio.create_subprocess_exec(
            *here.command("--blob", f"{NAME}/{REPOSITORY}@{blob.digest}", "-o", "-"),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await child.communicate()
        assert out == content
        assert blob.digest.encode() in err


async def test_a_file_of_a_web_server(tmp_path: Path) -> None:
    """Its digest names it; its server sends it once; a wrong digest is no file."""
    content = os.urandom(2 * MIB)
    asked: list[str] = []

    async def file(request: web.Request) -> web.Response:
        asked.append(request.method)
        if request.headers.get("Authorization") != "Bearer me":
            return web.Response(status=401)
        return web.Response(body=content)

    app = web.Application()
    app.router.add_get("/models/a.bin", file)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        host = f"127.0.0.1:{runner.addresses[0][1]}"
        async with eagle_node(tmp_path / "a", "--registry", f"{host}=http://{host}") as node:
            here = [sys.executable, "-m", "eagle_node", "get", f"http://{host}/models/a.bin"]
            here += ["--proxy", node.proxy_url, "--api", node.api_url]
            digest = "sha256:" + hashlib.sha256(content).hexdigest()
            credentials = ["-H", "Authorization: Bearer me"]
            with pytest.raises(CommandFailed, match="401"):
                await run([*here, "--digest", digest, "-o", str(tmp_path / "x")])
            for name in ("x", "y"):
                out = tmp_path / name
                await run([*here, *credentials, "--digest", digest, "-o", str(out)])
                assert out.read_bytes() == content
            assert asked.count("GET") == 2, "one of them was refused"
            wrong = "sha256:" + "0" * 64
            with pytest.raises(CommandFailed, match="status 1"):
                await run([*here, *credentials, "--digest", wrong, "-o", str(tmp_path / "z")])
            assert not (tmp_path / "z").exists()
    finally:
        await runner.cleanup()


@pytest.mark.slow
async def test_ctrl_c_leaves_no_file_under_its_name(tmp_path: Path) -> None:
    """The exit status is 130, and the same command goes on with what has come."""
    async with ground(tmp_path, size=16 * MIB) as here:
        blob = max(here.image.blobs, key=lambda each: each.size)
        name, out = f"{NAME}/{REPOSITORY}@{blob.digest}", tmp_path / "layer"
        command = here.command("--blob", name, "-o", str(out))
        await slow(here.node)

        async def begun() -> bool:
            part = tmp_path / ".layer.part"
            return part.exists() and part.stat().st_size > 0

        async with running(command, log=tmp_path / "log", ready=begun, timeout=60) as child:
            child.signal(signal.SIGINT)
            await until(lambda: _ended(child), what="the end of the command", timeout=30)
            assert child.status == 130
        assert not out.exists()
        await slow(here.node, "0")
        await run(command)
        assert out.read_bytes() == here.image.content(blob).read_bytes()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["https://example.com/"], "has no file name"),
        (["https://example.com/a", "--digest", "sha256:" + "0" * 64, "--trust-new"], "say one"),
        (["https://example.com/a", "--platform", "linux/amd64"], "is for images"),
        (["a/b", "--trust-new"], "are for files"),
        (["https://example.com/a", "--digest", "md5:0"], "--digest: "),
        (["UPPER/CASE"], "is not a repository name"),
        (["a/b", "--blob"], "named by its digest"),
        (["a/b", "-H", "Cookie: x"], "only Authorization"),
        (["a/b", "-o", "-"], "--format docker"),
        (["a/b", "--platform", "x"], "is not like linux/amd64"),
    ],
)
def test_wrong_arguments_are_told(
    arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before the node is asked; status 2."""
    assert main(["get", *arguments]) == 2
    assert told in capsys.readouterr().err


def test_no_node_is_told(
    tmp_path: Path, unused_tcp_port: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """With the way out."""
    proxy = f"http://127.0.0.1:{unused_tcp_port}"
    assert main(["get", "a/b", "--proxy", proxy, "-o", str(tmp_path / "x")]) == 1
    told = capsys.readouterr().err
    assert f"no node answers at {proxy}" in told
    assert "eagle-node run" in told


async def slow(node: Node, rate: str = "1MB") -> None:
    """Have the node take so many bytes/s from others, the registry among them."""
    async with ApiClient(node.api_url) as api:
        await api.change("download-limit", rate)


async def _ended(child: Process) -> bool:
    return child.status is not None
