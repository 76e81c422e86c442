"""The OCI image under container engines: the compose example under dockerd, and podman.

Hosts are network namespaces, where the image listens on its own ports and sends its multicast.
"""

from __future__ import annotations

import json
import resource
from pathlib import Path

from tests.artefacts.starts import IMAGE_USER, Dist
from tests.support import http
from tests.support.clients import dockerd
from tests.support.clients.route import short_directory
from tests.support.netns import network
from tests.support.process import run
from tests.support.waiting import until

ROOT = Path(__file__).parents[2]
COMPOSE = ROOT / "examples" / "compose" / "compose.yaml"
READY = "http://127.0.0.1:43003/readyz"
PATIENCE_S = 90.0


async def start(dist: Dist, directory: Path) -> None:
    """It gets ready under each engine with nothing that it may write but its volume, and stops."""
    image = dist.file("eagle-node.oci.tar")
    async with network(["docker", "podman"]) as net:
        await _compose(image, f"eagle-node:{dist.version}", net["docker"].namespace, directory)
        await _podman(image, f"eagle-node:{dist.version}", net["podman"].namespace, directory)


async def _compose(archive: Path, image: str, namespace: str, directory: Path) -> None:
    """``docker load`` and ``docker-compose up``, as the example says."""
    async with dockerd(directory / "docker", namespace=namespace) as engine:
        env = {"DOCKER_HOST": engine.url}
        told = await run(["docker", "load", "--input", str(archive)], env=env, timeout=300)
        assert f"Loaded image: {image}" in told.stdout, told.stdout
        compose = ["docker-compose", "--project-name", "eagle", "--file", str(COMPOSE)]
        compose += ["--file", str(_limits(directory))]
        await run([*compose, "up", "--detach"], env=env, timeout=300)
        (name,) = (await run([*compose, "ps", "--quiet"], env=env)).stdout.split()
        try:
            await _is_ready(namespace)
            ask = ["exec", "-T", "eagle-node", "eagle-node", "status", "--json"]
            status = json.loads((await run([*compose, *ask], env=env)).stdout)
            assert len(status["cluster"]["members"]) == 1, status
            (state,) = json.loads((await run(["docker", "inspect", name], env=env)).stdout)
            assert state["Config"]["User"] == f"{IMAGE_USER}:{IMAGE_USER}"
            assert state["HostConfig"]["ReadonlyRootfs"] is True
            assert state["HostConfig"]["CapDrop"] == ["ALL"]
            await run([*compose, "stop"], env=env)
            (state,) = json.loads((await run(["docker", "inspect", name], env=env)).stdout)
            assert state["State"]["ExitCode"] == 0, state["State"]
        except AssertionError as error:
            logs = await run(["docker", "logs", name], env=env)
            raise AssertionError(f"{error}\n{logs.stdout}{logs.stderr}") from error
        finally:
            await run([*compose, "down", "--volumes"], env=env)


async def _podman(archive: Path, image: str, namespace: str, directory: Path) -> None:
    """``podman load`` and ``podman run``, with the example's limits as flags."""
    with short_directory() as run_root:
        place = [*("--root", str(directory / "podman")), *("--runroot", str(run_root))]
        place += ["--tmpdir", str(run_root / "tmp"), "--storage-driver", "vfs"]
        podman = ["podman", *place, "--cgroup-manager", "cgroupfs", "--events-backend", "file"]
        await run([*podman, "load", "--input", str(archive)], timeout=300)
        most = str(_most_files())
        flags = ["--network", "host", "--read-only", "--cap-drop", "all", "--tmpfs", "/tmp"]
        flags += ["--security-opt", "no-new-privileges", "--volume", "data:/var/lib/eagle-node"]
        flags += ["--ulimit", f"nofile={most}:{most}", "--ulimit", "nproc=4096:4096"]
        start = ["run", "--detach", "--name", "node", *flags, f"docker.io/library/{image}"]
        await run([*podman, *start, "run", "--role", "auto"], namespace=namespace, timeout=300)
        try:
            await _is_ready(namespace)
            await run([*podman, "stop", "--time", "30", "node"], namespace=namespace)
            asked = ["inspect", "--format", "{{.State.ExitCode}}", "node"]
            assert (await run([*podman, *asked])).stdout.strip() == "0"
        finally:
            await run([*podman, "rm", "--force", "--volumes", "node"], namespace=namespace)


async def _is_ready(namespace: str) -> None:
    async def answers() -> bool:
        return await http.answers(READY, namespace=namespace)

    await until(answers, what="readiness in the container", timeout=PATIENCE_S)


def _limits(directory: Path) -> Path:
    """The example's limit of open files, where this machine cannot give as many."""
    path = directory / "limits.json"
    limits = {"nofile": _most_files()}
    path.write_text(json.dumps({"services": {"eagle-node": {"ulimits": limits}}}))
    return path


def _most_files() -> int:
    """Open files that a process here may have without CAP_SYS_RESOURCE."""
    return resource.getrlimit(resource.RLIMIT_NOFILE)[1]
