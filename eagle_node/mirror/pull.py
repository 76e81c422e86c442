"""Has a runtime pull an image, and remove it again."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from eagle_node.base.errors import EagleError
from eagle_node.mirror.model import Runtime

_TIMEOUT_S = 60.0
"""For one pull: a runtime that cannot reach the registry gives up after its own time."""


class PullFailed(EagleError):
    """The runtime did not pull the image; the text is what it says."""


class NotServed(EagleError):
    """There is nobody to ask: the runtime does not run, or its program is not there."""


async def pull(
    runtime: Runtime, reference: str, *, hosts_directory: str, environment: Mapping[str, str]
) -> str:
    """Pull ``reference`` and remove it; how that was done, for people.

    ``environment`` may name the runtimes' sockets as their own tools have it.
    """
    match runtime:
        case Runtime.CONTAINERD:
            return await _containerd(reference, hosts_directory, environment)
        case Runtime.DOCKER:
            return await _docker(reference, environment)
        case Runtime.CRIO:
            return await _cri(crio_socket(environment), reference)
    return await _podman(reference)


def containerd_socket(environment: Mapping[str, str]) -> Path:
    """Where containerd listens (``ctr``'s variable)."""
    return Path(environment.get("CONTAINERD_ADDRESS") or "/run/containerd/containerd.sock")


def docker_socket(environment: Mapping[str, str]) -> Path:
    """Where dockerd listens (docker's variable), when that is a socket of this host."""
    host = environment.get("DOCKER_HOST", "")
    return Path(host.removeprefix("unix://") if host.startswith("unix://") else "/run/docker.sock")


def crio_socket(environment: Mapping[str, str]) -> Path:
    """Where CRI-O listens (``crictl``'s variable)."""
    endpoint = environment.get("CONTAINER_RUNTIME_ENDPOINT", "")
    return Path(endpoint.removeprefix("unix://") or "/run/crio/crio.sock")


async def docker_get(socket: Path, path: str) -> object:
    """A document of dockerd's API; `NotServed` when there is no dockerd."""
    status, text = await _docker_call(socket, "GET", path)
    if status != 200:
        raise NotServed(f"{socket}: {text}")
    document: object = json.loads(text)
    return document


async def _containerd(reference: str, hosts: str, environment: Mapping[str, str]) -> str:
    """Through CRI, which reads ``config_path``; where that is switched off, with ``ctr``."""
    socket = containerd_socket(environment)
    if not socket.exists():
        raise NotServed(f"containerd does not listen at {socket}")
    try:
        return await _cri(socket, reference)
    except NotServed:
        ctr = ["ctr", "--address", str(socket)]
        await _run([*ctr, "content", "fetch", "--hosts-dir", hosts, reference])
        await _run([*ctr, "images", "rm", reference])
        return f"ctr --hosts-dir {hosts}; CRI is switched off"


async def _cri(socket: Path, reference: str) -> str:
    from eagle_node.mirror.cri import pull_image, remove_image

    await pull_image(socket, reference, timeout_s=_TIMEOUT_S)
    await remove_image(socket, reference, timeout_s=_TIMEOUT_S)
    return "CRI"


async def _docker(reference: str, environment: Mapping[str, str]) -> str:
    name, _, tag = reference.rpartition(":")
    socket = docker_socket(environment)
    status, text = await _docker_call(
        socket, "POST", "/images/create", {"fromImage": name, "tag": tag}
    )
    progress = [json.loads(line) for line in text.splitlines() if line.strip()]
    errors = [each.get("error") or each.get("message") for each in progress]
    told = next((error for error in errors if error), None)
    if status != 200 or told:
        raise PullFailed(str(told or text))
    await _docker_call(socket, "DELETE", f"/images/{reference}")
    return "dockerd"


async def _docker_call(
    socket: Path, method: str, path: str, query: Mapping[str, str] | None = None
) -> tuple[int, str]:
    import aiohttp

    timeout = aiohttp.ClientTimeout(total=_TIMEOUT_S)
    connector = aiohttp.UnixConnector(str(socket))
    try:
        async with (
            aiohttp.ClientSession(connector=connector, timeout=timeout) as session,
            session.request(method, f"http://docker{path}", params=query) as answer,
        ):
            return answer.status, await answer.text()
    except (aiohttp.ClientError, TimeoutError) as error:
        reason = str(error) or "no answer in time"
        raise NotServed(f"dockerd does not answer at {socket}: {reason}") from error


async def _podman(reference: str) -> str:
    if shutil.which("podman"):
        await _run(["podman", "pull", "--quiet", reference])
        await _run(["podman", "rmi", reference])
        return "podman"
    if shutil.which("skopeo"):
        await _run(["skopeo", "inspect", "--config", f"docker://{reference}"])
        return "skopeo"
    raise NotServed("there is neither podman nor skopeo to pull with")


async def _run(argv: Sequence[str]) -> None:
    try:
        child = await asyncio.create_subprocess_exec(
            *argv,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
            env=dict(os.environ),
        )
    except FileNotFoundError as error:
        raise NotServed(f"there is no program {argv[0]}") from error
    try:
        async with asyncio.timeout(_TIMEOUT_S):
            _, told = await child.communicate()
    except TimeoutError:
        raise PullFailed(f"{argv[0]} was not done after {_TIMEOUT_S:.0f} s") from None
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()
    if child.returncode:
        lines = told.decode(errors="replace").strip().splitlines()
        raise PullFailed(lines[-1] if lines else f"{argv[0]}: status {child.returncode}")
