"""A host with an ``/etc`` of its own: processes on it see that one, and no other process does."""

from __future__ import annotations

import shutil
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from eagle_node.mirror.cri import pull_image
from tests.support.clients.dockerd import Dockerd
from tests.support.clients.registries_conf import write_policy
from tests.support.clients.route import OFFLINE, short_directory
from tests.support.process import CommandFailed, Process, run, running

CONTAINERD = """\
version = 2
root = "{directory}/root"
state = "{directory}/state"
[grpc]
  address = "{socket}"
[plugins."io.containerd.grpc.v1.cri"]
  disable_apparmor = true
[plugins."io.containerd.grpc.v1.cri".containerd]
  snapshotter = "native"
# the last line has no newline
[plugins."io.containerd.grpc.v1.cri".cni]
  conf_dir = "{directory}/cni"\
"""
STORAGE = '[storage]\ndriver = "vfs"\ngraphroot = "{0}/storage"\nrunroot = "{1}"\n'
_BIND = 'mount --bind "$0" /etc && exec "$@"'
_OURS = ("containerd", "docker", "containers", "eagle-node")


class Host:
    """A host's files, and how to run something on it."""

    def __init__(self, directory: Path, short: Path, namespace: str | None) -> None:
        self.directory = directory
        self.short = short
        """A directory whose name is short enough for sockets."""
        self.namespace = namespace
        self.etc = directory / "etc"
        self.env: dict[str, str] = {
            **OFFLINE,
            "COLUMNS": "400",
            "HOME": str(directory / "home"),
            "CONTAINERD_ADDRESS": str(self.containerd_socket),
            "DOCKER_HOST": f"unix://{short / 'docker.sock'}",
            "CONTAINERS_STORAGE_CONF": str(directory / "storage.conf"),
        }

    @property
    def containerd_socket(self) -> Path:
        """Where its containerd listens."""
        return self.short / "containerd.sock"

    def write(self, path: str, text: str) -> Path:
        """A file below its ``/etc``."""
        place = self.etc / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)
        return place

    def tree(self) -> dict[str, bytes | None]:
        """Its runtimes' configuration: files' content, and directories."""
        return {
            str(path.relative_to(self.etc)): path.read_bytes() if path.is_file() else None
            for name in _OURS
            for path in [self.etc / name, *(self.etc / name).rglob("*")]
            if path.exists()
        }

    def argv(self, *argv: str) -> list[str]:
        """A command on this host; the process replaces its wrappers."""
        enter = ["unshare", "--mount", "--propagation", "private", "sh", "-c", _BIND]
        return [*enter, str(self.etc), *argv]

    async def run(self, *argv: str) -> str:
        """Run a command to its end; its output."""
        done = await run(self.argv(*argv), namespace=self.namespace, env=self.env, timeout=300)
        return done.stdout

    async def mirror(self, *arguments: str) -> str:
        """What ``eagle-node mirror`` says on this host; fails as `CommandFailed`."""
        told = await self.run(sys.executable, "-m", "eagle_node", "mirror", *arguments)
        return " ".join(told.split())

    async def failing(self, *arguments: str) -> str:
        """What ``eagle-node mirror`` says when it ends with status 1."""
        with pytest.raises(CommandFailed, match="status 1") as caught:
            await self.mirror(*arguments)
        return " ".join(str(caught.value).split())

    @asynccontextmanager
    async def containerd(self) -> AsyncIterator[Process]:
        """Its containerd, with CRI."""

        async def is_up() -> bool:
            try:
                await run(["ctr", "--address", str(self.containerd_socket), "version"])
            except CommandFailed:
                return False
            return True

        async with running(
            self.argv("containerd", "--config", "/etc/containerd/config.toml"),
            log=self.directory / "containerd.log",
            namespace=self.namespace,
            env=self.env,
            ready=is_up,
            timeout=60.0,
        ) as process:
            yield process

    async def kubelet_pull(self, reference: str) -> None:
        """Have its containerd pull as a kubelet does, which is what reads ``config_path``."""
        await pull_image(self.containerd_socket, reference, timeout_s=120.0)

    @asynccontextmanager
    async def dockerd(self, env: Mapping[str, str]) -> AsyncIterator[tuple[Process, Dockerd]]:
        """Its dockerd."""
        client = Dockerd(self.short / "docker.sock")
        data, sockets = self.directory / "docker", self.short
        async with running(
            self.argv(
                *["dockerd", "--config-file", "/etc/docker/daemon.json"],
                *["--host", f"unix://{sockets / 'docker.sock'}"],
                *["--data-root", str(data), "--exec-root", str(sockets / "exec")],
                *["--pidfile", str(sockets / "docker.pid"), "--bridge=none"],
                *["--iptables=false", "--ip6tables=false", "--ip-forward=false"],
            ),
            log=self.directory / "dockerd.log",
            namespace=self.namespace,
            env={**self.env, **env},
            ready=client.is_up,
            timeout=60.0,
            grace=20.0,
        ) as process:
            yield process, client

    async def podman_pull(self, reference: str) -> None:
        """Pull with podman, as root of this host does."""
        await self.run("podman", "pull", "--quiet", reference)

    async def skopeo_digest(self, reference: str) -> str:
        """The digest that skopeo sees."""
        image = f"docker://{reference}"
        return (
            await self.run("skopeo", "inspect", "--no-tags", "--format", "{{.Digest}}", image)
        ).strip()


@asynccontextmanager
async def host(directory: Path, *, namespace: str | None = None) -> AsyncIterator[Host]:
    """A host whose ``/etc`` is a copy of this machine's without any runtime's configuration."""
    with short_directory() as short:
        made = Host(directory, short, namespace)
        shutil.copytree(
            "/etc", made.etc, symlinks=True, ignore=lambda path, _: _OURS if path == "/etc" else ()
        )
        (directory / "home").mkdir()
        (directory / "storage.conf").write_text(STORAGE.format(directory, short / "run"))
        write_policy(made.etc / "containers")
        yield made


def containerd_config(made: Host) -> str:
    """A configuration with CRI, on state of its own, as an administrator could have written it."""
    return CONTAINERD.format(directory=made.directory, socket=made.containerd_socket)


def names(routes: Mapping[str, str]) -> Sequence[str]:
    """``--registry`` flags of a node: where each name is really reached."""
    return [part for name, url in routes.items() for part in ("--registry", f"{name}={url}")]
