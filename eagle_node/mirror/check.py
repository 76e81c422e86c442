"""Findings about a host's runtimes: what their files say, and who is really asked."""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path

from eagle_node.base.check_image import NOWHERE, REPOSITORY
from eagle_node.base.findings import Finding, error, ok, warning
from eagle_node.mirror import containerd, docker, registries
from eagle_node.mirror.files import HostFiles
from eagle_node.mirror.model import Mirror, MirrorError, Runtime
from eagle_node.mirror.plan import install
from eagle_node.mirror.pull import (
    NotServed,
    PullFailed,
    containerd_socket,
    docker_get,
    docker_socket,
    pull,
)
from eagle_node.mirror.record import read_record
from eagle_node.mirror.show import ALL_OTHERS, RuntimeView, show
from eagle_node.mirror.started import listener_started
from eagle_node.runtime.sockets import in_words

_ACTIVATE = {
    Runtime.CONTAINERD: containerd.RESTART,
    Runtime.DOCKER: docker.RELOAD,
    Runtime.CRIO: registries.RELOAD,
}
_MOST_REGISTRIES = 8
"""Registries of one runtime that are tried: what is true of eight is true of the others."""


async def check(
    files: HostFiles,
    runtimes: Sequence[Runtime],
    mirror: Mirror,
    environment: Mapping[str, str],
) -> list[Finding]:
    """Findings about the node and each runtime, in this order; errors say that pulls go past us."""
    node = await check_node(mirror.url)
    findings = [node]
    for runtime in runtimes:
        findings += await _runtime(files, runtime, mirror, environment, can_pull=not node.remedy)
    return findings


async def check_node(url: str) -> Finding:
    """Whether a node's proxy answers at ``url``."""
    try:
        await _pulled(url)
    except NotServed as failure:
        return error(
            "node",
            f"no node answers at {url}: {failure}; runtimes go to the registries themselves",
            "start it (eagle-node run, or: systemctl start eagle-node); if it listens elsewhere, "
            "say where with --proxy, here and at install",
        )
    return ok("node", f"a node answers at {url}")


async def _runtime(
    files: HostFiles,
    runtime: Runtime,
    mirror: Mirror,
    environment: Mapping[str, str],
    *,
    can_pull: bool,
) -> list[Finding]:
    try:
        view = show(files, runtime, mirror)
        findings = _by_files(files, runtime, mirror, view)
    except MirrorError as failure:
        return [error(runtime, str(failure), "see the message")]
    if not view.registries:
        return findings
    findings += await _by_process(files, runtime, mirror, environment)
    if files.root != Path("/"):
        text = "nothing was pulled: a system below --root does not run here"
        return [*findings, warning(runtime, text, "run this on the host itself")]
    if not can_pull:
        return findings
    for registry in _tried(view, mirror):
        findings.append(await _by_pull(files, runtime, mirror, registry, environment))
    return findings


def _by_files(
    files: HostFiles, runtime: Runtime, mirror: Mirror, view: RuntimeView
) -> list[Finding]:
    """What its files say: whether the node is asked, and what goes past it."""
    record, _ = read_record(files)
    plan = install(files, [runtime], mirror, record)
    remedy = f"eagle-node mirror install --runtime {runtime}"
    findings = []
    if not view.registries:
        findings.append(error(runtime, _not_set_up(files, runtime, mirror), remedy))
    elif ALL_OTHERS not in view.registries:
        findings += [
            error(
                runtime, f"its files do not have {name} ask the node", f"{remedy} --registry {name}"
            )
            for name in mirror.registries
            if name not in view.registries and runtime is not Runtime.DOCKER
        ]
    findings += [warning(runtime, *_parted(note)) for note in plan.notes if ":" in note]
    own = Path.home() / ".config/containers/registries.conf"
    if runtime is Runtime.PODMAN and files.root == Path("/") and own.exists():
        text = f"{own} is read instead of everything in /etc/containers, by this user"
        findings.append(warning(runtime, text, f"move what you need to /etc, and remove {own}"))
    return findings


def _not_set_up(files: HostFiles, runtime: Runtime, mirror: Mirror) -> str:
    """Why the node is not asked, as exactly as the files tell."""
    if runtime is Runtime.CONTAINERD:
        configuration = containerd.read_configuration(files, with_ours=True)
        if not configuration.roots and files.glob(f"{containerd.CERTS}/*/hosts.toml"):
            return (
                f"{configuration.path} has no config_path, so containerd does not read "
                f"{containerd.CERTS}"
            )
    return f"its files do not name {mirror.url}: pulls do not ask the node"


def _parted(note: str) -> tuple[str, str]:
    text, _, remedy = note.partition("; ")
    return text, remedy or "nothing, if this is meant"


async def _by_process(
    files: HostFiles, runtime: Runtime, mirror: Mirror, environment: Mapping[str, str]
) -> list[Finding]:
    """Whether the running daemon has read its files."""
    if files.root != Path("/"):
        return []
    if runtime is Runtime.DOCKER:
        return await _docker_mirrors(mirror, environment)
    if runtime is not Runtime.CONTAINERD:
        return []
    path = containerd.read_configuration(files, with_ours=True).path
    started = await asyncio.to_thread(listener_started, containerd_socket(environment))
    changed = files.place(path).stat().st_mtime if files.read(path) is not None else 0.0
    if started is not None and started < changed:
        text = f"it was started before {path} was last changed, so it may not have read it"
        return [warning(runtime, text, containerd.RESTART)]
    return []


async def _docker_mirrors(mirror: Mirror, environment: Mapping[str, str]) -> list[Finding]:
    try:
        info = await docker_get(docker_socket(environment), "/info")
    except NotServed:
        return []
    registry = info.get("RegistryConfig") if isinstance(info, dict) else None
    mirrors = (registry or {}).get("Mirrors") or []
    if docker.names(mirrors, mirror.url):
        return []
    text = f"dockerd has not read {docker.CONFIG} since it was changed"
    return [error(Runtime.DOCKER, text, docker.RELOAD)]


def _tried(view: RuntimeView, mirror: Mirror) -> list[str]:
    """Registries to pull from; one that nobody has stands for all."""
    names = [NOWHERE if name == ALL_OTHERS else name for name in view.registries]
    hosts = [name for name in names if "/" not in name and "*" not in name]
    wanted = [name for name in hosts if not mirror.registries or name in mirror.registries]
    return (wanted or hosts)[:_MOST_REGISTRIES]


async def _by_pull(
    files: HostFiles,
    runtime: Runtime,
    mirror: Mirror,
    registry: str,
    environment: Mapping[str, str],
) -> Finding:
    """Have the runtime pull an image that only the node has, and ask the node about it."""
    tag = f"check-{secrets.token_hex(8)}"
    roots = containerd.read_configuration(files, with_ours=True).roots
    of_what = "images of any registry" if registry == NOWHERE else f"images of {registry}"
    try:
        how = await pull(
            runtime,
            f"{registry}/{REPOSITORY}:{tag}",
            hosts_directory=roots[0] if roots else containerd.CERTS,
            environment=environment,
        )
        if tag in await _pulled(mirror.url):
            return ok(runtime, f"{of_what} are pulled through the node ({how})")
        text, why = "another node", "the image came, but not from this node"
    except NotServed as failure:
        text = f"nothing was pulled: {failure}"
        return warning(runtime, text, f"start {runtime} and run this again")
    except PullFailed as failure:
        text, why = "the registry itself", str(failure)
    activate = _ACTIVATE.get(runtime, "look for another table of this registry: mirror show")
    text = f"{of_what} are asked of {text}, not of the node at {mirror.url}: {why}"
    return error(runtime, text, activate)


async def _pulled(url: str) -> list[str]:
    """Tags of the check image that the node has served; `NotServed` when no node answers."""
    import aiohttp

    path = f"{url}/v2/{REPOSITORY}/tags/list"
    timeout = aiohttp.ClientTimeout(total=10)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.get(path, params={"ns": NOWHERE}) as answer,
        ):
            document = await answer.json(content_type=None)
    except (aiohttp.ClientError, TimeoutError, ValueError) as failure:
        raise NotServed(in_words(failure)) from failure
    tags = document.get("tags") if isinstance(document, dict) else None
    if not isinstance(tags, list) or document.get("name") != REPOSITORY:
        raise NotServed("something else, or an older node, listens there")
    return [str(tag) for tag in tags]


def variables() -> Mapping[str, str]:
    """The environment that runtimes' tools are told in."""
    return os.environ
