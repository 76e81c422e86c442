"""Real runtimes: through the node after install, past a dead one, as before after uninstall."""

from __future__ import annotations

import os
import signal
import sys
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path

import pytest

from tests.integration.mirror.host import Host, containerd_config, host, names
from tests.support.certificates import issue
from tests.support.images import files_image, push
from tests.support.netns import network
from tests.support.node import Node, eagle_node
from tests.support.process import CommandFailed, run
from tests.support.registry import docker_registry
from tests.support.waiting import until

ONE = "one.example"


async def served_bytes(node: Node) -> int:
    """What the node has given to clients."""
    return int((await node.status())["traffic"]["served_bytes"])


async def docker_passes(machine: Host, *flags: str) -> bool:
    """Whether ``check`` says that Docker Hub's images come through the node."""
    try:
        told = await machine.mirror("check", *flags)
    except CommandFailed:
        return False
    return "images of docker.io are pulled through the node (dockerd)" in " ".join(told.split())


async def test_containerd(tmp_path: Path) -> None:
    """Kubelets' pulls pass the node, without it go to the origin, and then as ever."""
    images = [files_image(tmp_path / seed, [1 << 20], seed=seed) for seed in "abc"]
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        registry = await enter(docker_registry(tmp_path / "registry"))
        references = [f"{ONE}/team/app:{number}" for number in range(3)]
        for number, image in enumerate(images):
            await push(image, registry, "team/app", str(number))
        node = await enter(eagle_node(tmp_path / "node", *names({ONE: registry.url})))
        machine = await enter(host(tmp_path / "host"))
        machine.write("containerd/config.toml", containerd_config(machine))
        machine.write(f"containerd/certs.d/{ONE}/hosts.toml", f'server = "{registry.url}"\n')
        before = machine.tree()
        flags = ("--runtime", "containerd", "--proxy", node.proxy_url)
        asked = ("--registry", ONE, *flags)

        async with machine.containerd() as process:
            told = await machine.mirror("install", *asked)
            assert "systemctl restart containerd" in told
            told = await machine.failing("check", *asked)
            assert "started before /etc/containerd/config.toml was last changed" in told
            assert f"images of {ONE} are asked of the registry itself" in told
            await process.terminate()
        async with machine.containerd():
            told = await machine.mirror("check", *asked)
            assert f"images of {ONE} are pulled through the node (CRI)" in told
            await machine.kubelet_pull(references[0])
            assert await served_bytes(node) >= images[0].size
            assert await registry.blob_requests() == {blob.digest: 1 for blob in images[0].blobs}
            await node.kill()
            await machine.kubelet_pull(references[1])
            assert "no node answers at" in await machine.failing("check", *asked)

        await machine.mirror("uninstall", "--runtime", "containerd")
        assert machine.tree() == before


@pytest.mark.slow
async def test_all_registries_of_containerd(tmp_path: Path) -> None:
    """Without --registry, _default has every name ask the node; a bare host gets a config_path."""
    image = files_image(tmp_path / "image", [1 << 20])
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        registry = await enter(docker_registry(tmp_path / "registry"))
        await push(image, registry, "team/app")
        node = await enter(eagle_node(tmp_path / "node", *names({ONE: registry.url})))
        machine = await enter(host(tmp_path / "host"))
        machine.write("containerd/config.toml", containerd_config(machine))
        flags = ("--runtime", "containerd", "--proxy", node.proxy_url)
        await machine.mirror("install", *flags)
        async with machine.containerd():
            told = await machine.mirror("check", *flags)
            assert "images of any registry are pulled through the node (CRI)" in told
            await machine.kubelet_pull(f"{ONE}/team/app:latest")
        assert await served_bytes(node) >= image.size


async def test_podman_and_skopeo(tmp_path: Path) -> None:
    """The files that CRI-O reads as well: through the node, past it when dead, and as ever."""
    images = [files_image(tmp_path / seed, [1 << 20], seed=seed) for seed in "ab"]
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        registry = await enter(docker_registry(tmp_path / "registry"))
        for number, image in enumerate(images):
            await push(image, registry, "team/app", str(number))
        node = await enter(eagle_node(tmp_path / "node", *names({registry.address: registry.url})))
        machine = await enter(host(tmp_path / "host"))
        machine.write(
            "containers/registries.conf",
            f'# ours\n[[registry]]\nprefix = "{ONE}"\nlocation = "{registry.address}"\n'
            "insecure = true",
        )
        before = machine.tree()
        flags = ("--runtime", "podman", "--registry", ONE, "--proxy", node.proxy_url)
        assert "pulls do not ask the node" in await machine.failing("check", *flags)
        await machine.mirror("install", *flags)
        told = await machine.mirror("check", *flags)
        assert f"images of {ONE} are pulled through the node (podman)" in told
        await machine.podman_pull(f"{ONE}/team/app:0")
        assert await served_bytes(node) >= images[0].size
        assert await registry.blob_requests() == {blob.digest: 1 for blob in images[0].blobs}
        assert await machine.skopeo_digest(f"{ONE}/team/app:1") == images[1].digest
        await node.kill()
        await machine.podman_pull(f"{ONE}/team/app:1")
        await machine.mirror("uninstall", "--runtime", "crio")
        assert machine.tree() == before
        assert await machine.skopeo_digest(f"{ONE}/team/app:0") == images[0].digest


@pytest.mark.slow
async def test_a_drop_in_of_ours_is_read_by_the_library(tmp_path: Path) -> None:
    """containers/image, which is CRI-O's too, reads the file made for the well-known registries."""
    image = files_image(tmp_path / "image", [1 << 20])
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        registry = await enter(docker_registry(tmp_path / "registry"))
        await push(image, registry, "team/app")
        node = await enter(eagle_node(tmp_path / "node", *names({"ghcr.io": registry.url})))
        machine = await enter(host(tmp_path / "host"))
        await machine.mirror("install", "--runtime", "crio", "--proxy", node.proxy_url)
        assert await machine.skopeo_digest("ghcr.io/team/app:latest") == image.digest
        assert await served_bytes(node) > 0


async def test_docker(tmp_path: Path) -> None:
    """Docker Hub's images pass the node after a reload, and without it come from Docker Hub.

    The Hub here is a registry on port 443 of a network namespace, under its own name.
    """
    images = [files_image(tmp_path / seed, [1 << 20], seed=seed) for seed in "abc"]
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        net = (await enter(network(["host"])))["host"]
        tls = issue(tmp_path / "tls", "127.0.0.1", "registry-1.docker.io")
        hub = await enter(
            docker_registry(tmp_path / "hub", port=443, tls=tls, namespace=net.namespace)
        )
        for number, image in enumerate(images):
            await push(image, hub, "library/app", str(number))
        config = tmp_path / "node.toml"
        config.write_text(
            f'[[registry]]\nname = "docker.io"\nurl = "{hub.url}"\nca-file = "{tls.authority}"\n'
        )
        node = await enter(
            eagle_node(
                *(tmp_path / "node", "--config", str(config)),
                host=net.address,
                namespace=net.namespace,
            )
        )
        machine = await enter(host(tmp_path / "host", namespace=net.namespace))
        machine.write("hosts", "127.0.0.1 localhost registry-1.docker.io\n")
        machine.write("docker/daemon.json", '{"debug":false,\n "log-level": "warn"}')
        before = machine.tree()
        flags = ("--runtime", "docker", "--proxy", node.proxy_url)
        env = {"SSL_CERT_FILE": str(tls.authority), "NO_PROXY": "*"}
        process, docker = await enter(machine.dockerd(env))

        assert "pulls do not ask the node" in await machine.failing("check", *flags)
        assert "systemctl reload docker" in await machine.mirror("install", *flags)
        told = await machine.failing("check", *flags)
        assert "dockerd has not read /etc/docker/daemon.json since it was changed" in told
        os.kill(process.pid, signal.SIGHUP)
        await until(partial(docker_passes, machine, *flags), what="dockerd to reload", timeout=60)
        assert await docker.pull("library/app:0") == images[0].digest
        assert await served_bytes(node) >= images[0].size
        assert await hub.blob_requests() == {blob.digest: 1 for blob in images[0].blobs}
        await node.kill()
        assert await docker.pull("library/app:1") == images[1].digest
        await machine.mirror("uninstall", "--runtime", "docker")
        after = machine.tree()
        del after["docker/key.json"]  # dockerd's own, made at its first start
        assert after == before
        os.kill(process.pid, signal.SIGHUP)
        assert await docker.pull("library/app:2") == images[2].digest


@pytest.mark.slow
async def test_containerd_without_cri(tmp_path: Path) -> None:
    """Where CRI is switched off, ``ctr`` proves that the hosts directory leads to the node."""
    async with eagle_node(tmp_path / "node") as node, host(tmp_path / "host") as machine:
        text = containerd_config(machine)
        machine.write(
            "containerd/config.toml", f'disabled_plugins = ["io.containerd.grpc.v1.cri"]\n{text}'
        )
        flags = ("--runtime", "containerd", "--proxy", node.proxy_url)
        assert "switches CRI off" in await machine.mirror("install", *flags)
        async with machine.containerd():
            told = await machine.mirror("check", *flags)
        assert "images of any registry are pulled through the node (ctr --hosts-dir" in told


async def test_a_read_only_etc_is_left_alone(tmp_path: Path) -> None:
    """The error names the file system's state and --root, and nothing is written."""
    async with host(tmp_path / "host") as machine:
        machine.write("docker/daemon.json", "{}")
        before = machine.tree()
        bind = 'mount --bind "$0" /etc && mount -o remount,bind,ro /etc && exec "$@"'
        argv = ["unshare", "--mount", "--propagation", "private", "sh", "-c", bind]
        command = [sys.executable, "-m", "eagle_node", "mirror", "install", "--runtime", "docker"]
        with pytest.raises(CommandFailed, match=r"status 1[^$]*Read-only file system.*--root"):
            await run([*argv, str(machine.etc), *command], env=machine.env)
        assert machine.tree() == before
