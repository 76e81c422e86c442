"""A registry that tells of pushes, and Harbor that asks for preheating, at a real node."""

from __future__ import annotations

import hashlib
import hmac
import json
from pathlib import Path
from typing import Any

from eagle_node.api.client import ApiClient
from tests.support import http
from tests.support.images import Image, many_layers_image, push
from tests.support.node import Node, eagle_node
from tests.support.origin import NAME
from tests.support.pulls import REPOSITORY, pull_image
from tests.support.registry import Notify, docker_registry, free_port
from tests.support.waiting import until

MIB = 1 << 20
TOKEN = "s3cret"
HEADERS = {"Authorization": f"Bearer {TOKEN}"}


def flags(tmp_path: Path, registry_port: int, webhook_port: int) -> tuple[str, ...]:
    """Of a node that listens for webhooks, with a token."""
    token = tmp_path / "token"
    token.write_text(TOKEN + "\n")
    return (
        *("--registry", f"{NAME}=http://127.0.0.1:{registry_port}", "--tracker-interval", "8"),
        *("--webhook-listen", f"127.0.0.1:{webhook_port}", "--webhook-token-file", str(token)),
    )


async def succeeded(node: Node, *, jobs: int) -> None:
    """Wait until so many jobs have succeeded."""
    async with ApiClient(node.api_url) as api:

        async def fact() -> bool:
            found = (await api.preheat_jobs()).jobs
            assert not [job.error for job in found if job.state == "failed"]
            return [job.state for job in found] == ["succeeded"] * jobs

        await until(fact, what=f"{jobs} jobs", timeout=60, interval=0.2)


async def post(url: str, document: object, headers: dict[str, str]) -> tuple[int, Any]:
    """Status and document of the answer."""
    async with http.client() as session, session.post(url, json=document, headers=headers) as told:
        return told.status, await told.json(content_type=None)


async def strangers_get_nothing(base: str, node: Node) -> None:
    """No token, no job; a name that is no configured registry is dialled by nobody."""
    args = {"type": "image", "url": "http://169.254.169.254/v2/a/b/manifests/c"}
    order = {"type": "preheat", "args": args}
    for path in ("/oapi/v1/jobs", "/v1/notifications", "/v1/harbor", "/registry/notifications"):
        assert (await post(base + path, order, {}))[0] == 401
    status, problem = await post(f"{base}/oapi/v1/jobs", order, HEADERS)
    assert status == 400
    assert "169.254.169.254 is no configured registry" in problem["detail"]
    body = json.dumps(order).encode()
    for secret, answer in ((TOKEN, 400), ("another", 401)):
        made = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
        signed = {"X-Hub-Signature-256": f"sha256={made}"}
        async with (
            http.client() as session,
            session.post(f"{base}/oapi/v1/jobs", data=body, headers=signed) as told,
        ):
            assert told.status == answer
    async with ApiClient(node.api_url) as api:
        assert (await api.preheat_jobs()).jobs == ()


async def a_flood_of_strangers_keeps_nobody_out(base: str) -> None:
    """They are told to come again later; who knows the token is heard all the same."""
    url = f"{base}/oapi/v1/jobs"
    answers = [(await post(url, {}, {}))[0] for _ in range(150)]
    assert set(answers) <= {401, 429}
    assert (await post(url, {}, HEADERS))[0] == 400


async def test_a_push_warms_the_seeders_before_anybody_pulls(tmp_path: Path) -> None:
    """The registry sends each blob once, to the seeder; a wave on other nodes costs it none."""
    image = many_layers_image(tmp_path / "image", count=5, size=5 * MIB)
    ports = free_port(), free_port()
    notify = Notify(
        url=f"http://127.0.0.1:{ports[1]}/v1/notifications", authorization=f"Bearer {TOKEN}"
    )
    options = flags(tmp_path, *ports)
    async with (
        docker_registry(tmp_path / "registry", port=ports[0], notify=notify) as registry,
        eagle_node(tmp_path / "a", *options) as seeder,
        eagle_node(tmp_path / "b", *options[:4], *seeder.pins) as other,
    ):
        await push(image, registry, REPOSITORY)
        await succeeded(seeder, jobs=1)
        sent = await registry.blob_bytes()
        assert sent == {blob.digest: blob.size for blob in image.blobs}
        await pull_image(other, image)
        await pull_image(seeder, image)
        assert await registry.blob_bytes() == sent


async def test_harbor_sees_an_honest_state_and_strangers_nothing(tmp_path: Path) -> None:
    """PENDING until the nodes have verified everything, then SUCCESS with their names; FAILURE for
    what cannot be had; without the token, or for a registry that is not configured, no job."""
    image: Image = many_layers_image(tmp_path / "image", count=3, size=2 * MIB)
    ports = free_port(), free_port()
    async with (
        docker_registry(tmp_path / "registry", port=ports[0]) as registry,
        eagle_node(tmp_path / "a", *flags(tmp_path, *ports)) as node,
    ):
        await push(image, registry, REPOSITORY)
        await strangers_get_nothing(f"http://127.0.0.1:{ports[1]}", node)
        await a_flood_of_strangers_keeps_nobody_out(f"http://127.0.0.1:{ports[1]}")
        base = f"http://127.0.0.1:{ports[1]}/oapi/v1/jobs"

        async def ended(tag: str) -> dict[str, Any]:
            url = f"{registry.url}/v2/{REPOSITORY}/manifests/{tag}"
            args = {"type": "image", "url": url, "headers": {}, "scope": "all_peers"}
            status, job = await post(base, {"type": "preheat", "args": args}, HEADERS)
            assert (status, job["state"]) == (200, "PENDING")
            seen: list[dict[str, Any]] = []

            async def fact() -> bool:
                job_url = f"{base}/{job['id']}"
                async with (
                    http.client() as session,
                    session.get(job_url, headers=HEADERS) as answer,
                ):
                    seen.append(await answer.json())
                return bool(seen[-1]["state"] != "PENDING")

            await until(fact, what="the end of Harbor's job", timeout=60, interval=0.2)
            return seen[-1]

        done = await ended("latest")
        assert done["state"] == "SUCCESS"
        (result,) = done["result"]["job_states"][0]["results"]
        assert [task["ip"] for task in result["success_tasks"]] == ["127.0.0.1"]
        assert result["failure_tasks"] == []
        async with ApiClient(node.api_url) as api:
            assert (await api.blobs()).total == len(image.blobs)
        failed = await ended("absent")
        assert failed["state"] == "FAILURE"
        assert "absent" in failed["result"]["job_states"][0]["error"]
