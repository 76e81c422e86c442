"""The Debian package under systemd itself, installed by apt: a service's whole life.

What `service` shows of the sandbox line by line is here what systemd makes of the unit: its user,
its capabilities, what it sees and may write, how it is started, started again, stopped, and taken
away.
"""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

from tests.artefacts.machine import Machine, debian_with_systemd, machine, root_over
from tests.artefacts.starts import PURGED, Dist
from tests.support import http
from tests.support.images import files_image, push
from tests.support.netns import Network, network
from tests.support.process import run
from tests.support.registry import docker_registry
from tests.support.waiting import until

ROOT = Path(__file__).parents[2]
DROP_INS = ROOT / "examples" / "systemd"
NAME = "eagle-node"
CONFIG = "etc/eagle-node/config.toml"
READY = "http://127.0.0.1:43003/readyz"
ADDRESS = "10.77.200.1"
PATIENCE_S = 90.0
MOST_EXPOSED = 2.0
"""Of ten, by systemd's own judgement (``systemd-analyze security``)."""

PROBE = """\
[Service]
ExecStartPre=/bin/sh -c 'exec >%S/eagle-node/seen 2>&1; id -un; \\
    for path in /etc/x /usr/x /var/lib/x /run/x /dev/x; do touch $$path && echo wrote; done; \\
    ls /home /root; ls -d /proc/[0-9]* | wc -l; ls /tmp; \\
    touch %S/eagle-node/mine && echo wrote mine'
"""
"""Tries, as the service in the service's own surroundings, what it must not be able to do."""

SEEN = re.compile(
    r"eagle-node\n"
    r"(touch: cannot touch '/[a-z/]+/x': (Read-only file system|Permission denied)\n){5}"
    r"(ls: cannot open directory '/(home|root)': Permission denied\n){2}"
    r"[1-5]\n"
    r"wrote mine\n"
)


async def live(dist: Dist, directory: Path) -> None:
    """Install, start, pull, kill, upgrade, reboot, stop, remove, purge."""
    base = await debian_with_systemd(dist.work)
    deb = dist.file("eagle-node_*.deb")
    async with network(["host", "registry"]) as net:
        namespace = net["host"].namespace
        with root_over(base, directory) as root:
            async with machine(root, namespace=namespace, log=directory / "boot.log") as host:
                await _installs(host, deb)
                await _starts(host, namespace)
                await _pulls(host, net, directory)
                await _comes_back(host, namespace)
                await _is_shut_in(host, namespace)
                await _carries_the_address(host, namespace)
                await _tells_a_mistake(host, namespace)
                await _is_upgraded(host, namespace, deb)
            async with machine(root, namespace=namespace, log=directory / "boot.log") as host:
                await _is_ready(namespace)  # enabled: it starts with the machine
                await _stops(host)
                await _leaves(host, deb, namespace)


async def _installs(host: Machine, deb: Path) -> None:
    """apt brings what the package depends on; nothing is started or enabled by that."""
    shutil.copy(deb, host.root / "root")
    await host.run("apt-get", "install", "--yes", f"/root/{deb.name}", timeout=300)
    for package in (NAME, "adduser", "ca-certificates"):
        status = await host.run("dpkg-query", "--show", "--showformat=${db:Status-Status}", package)
        assert status == "installed", f"{package}: {status}"
    assert "inactive" in await host.refuses("systemctl", "is-active", NAME)
    assert "disabled" in await host.refuses("systemctl", "is-enabled", NAME)


async def _starts(host: Machine, namespace: str) -> None:
    await host.run("systemctl", "enable", "--now", NAME)
    await _is_ready(namespace)
    told = await host.run("systemctl", "status", NAME)
    assert "Active: active (running)" in told, told
    assert " enabled; " in told, told
    journal = await host.run("journalctl", "--unit", NAME, "--output", "cat")
    assert "reached by other nodes at" in journal, journal
    await host.run("eagle-node", "status")
    pid = await host.shows(NAME, "MainPID")
    assert (await host.run("stat", "--format=%U", f"/proc/{pid}")).strip() == NAME


async def _pulls(host: Machine, net: Network, directory: Path) -> None:
    """An image comes from a registry on another host, and stays in the cache."""
    there = net["registry"]
    image = files_image(directory / "image", (1 << 20, 64 << 10))
    async with docker_registry(
        directory / "registry", host=there.address, namespace=there.namespace
    ) as registry:
        await push(image, registry, "library/app")
        _configure(host, f'[[registry]]\nname = "registry.example"\nurl = "{registry.url}"\n')
        await host.run("systemctl", "restart", NAME)
        await _is_ready(net["host"].namespace)
        fetch = [
            "eagle-node",
            "get",
            "registry.example/library/app:latest",
            "--output",
            "/root/app",
        ]
        await host.run(*fetch)
        status = json.loads(await host.run("eagle-node", "status", "--json"))
        assert status["traffic"]["origin_bytes"] >= sum(layer.size for layer in image.layers)


async def _comes_back(host: Machine, namespace: str) -> None:
    """Killed, it is started again; what it has cached is still there."""
    old = await host.shows(NAME, "MainPID")
    await host.run("sh", "-c", f"kill -KILL {old}")

    async def is_another() -> bool:
        now = await host.shows(NAME, "MainPID")
        return now not in ("0", old) and await http.answers(READY, namespace=namespace)

    await until(is_another, what="a node after kill -9", timeout=PATIENCE_S, interval=0.2)
    assert await host.shows(NAME, "NRestarts") == "1"
    journal = await host.run("journalctl", "--unit", NAME)
    assert "code=killed, status=9/KILL" in journal, journal
    blobs = json.loads(await host.run("eagle-node", "status", "--json"))["cache"]["blobs"]
    assert blobs > 0


async def _is_shut_in(host: Machine, namespace: str) -> None:
    """It has no capability, sees its own processes only, and writes its own directory only."""
    _drop_in(host, "probe.conf", PROBE)
    await _restarts(host, namespace)
    seen = (host.root / "var/lib/eagle-node/seen").read_text()
    assert SEEN.fullmatch(seen), seen
    await _has_capabilities(host, 0)
    told = await host.run("systemd-analyze", "security", "--no-pager", NAME)
    level = re.search(r"exposure level for eagle-node.service: ([\d.]+)", told)
    assert level is not None, told
    assert float(level[1]) <= MOST_EXPOSED, told
    _drop_in(host, "probe.conf", None)


async def _carries_the_address(host: Machine, namespace: str) -> None:
    """With a drop-in it has the two capabilities of the virtual address, without it is told so."""
    old = _configure(host, f'vip = "{ADDRESS}/16@eth0"\n', first=True)
    await host.run("systemctl", "restart", NAME)

    async def is_told() -> bool:
        return "with CAP_NET_ADMIN" in await host.run("journalctl", "--unit", NAME)

    await until(is_told, what="the missing capability's name", timeout=PATIENCE_S, interval=0.2)
    _drop_in(host, "vip.conf", (DROP_INS / "vip.conf").read_text())
    await _restarts(host, namespace)

    async def has_address() -> bool:
        return ADDRESS in await _addresses(namespace)

    await until(has_address, what=f"{ADDRESS} on eth0", timeout=PATIENCE_S)
    await _has_capabilities(host, 1 << 12 | 1 << 13)
    await host.run("systemctl", "stop", NAME)
    assert not await has_address(), f"{ADDRESS} outlives its node"
    (host.root / CONFIG).write_text(old)
    _drop_in(host, "vip.conf", None)
    for name in ("limits.conf", "containerd-content.conf"):
        _drop_in(host, name, (DROP_INS / name).read_text())
    await _restarts(host, namespace)
    await _has_capabilities(host, 1 << 2)
    for name in ("limits.conf", "containerd-content.conf"):
        _drop_in(host, name, None)
    await _restarts(host, namespace)


async def _tells_a_mistake(host: Machine, namespace: str) -> None:
    """A wrong configuration is told with its line, and systemd does not try it again."""
    old = _configure(host, "cache-sise = 1\n", first=True)
    await host.run("systemctl", "restart", NAME)

    async def has_failed() -> bool:
        return await host.shows(NAME, "ActiveState") == "failed"

    await until(has_failed, what="the service's failure", timeout=PATIENCE_S, interval=0.2)
    assert await host.shows(NAME, "ExecMainStatus") == "2"
    assert await host.shows(NAME, "NRestarts") == "0"
    journal = await host.run("journalctl", "--unit", NAME, "--lines", "10")
    assert "cache-sise" in journal, journal
    assert "cache-size" in journal, journal
    (host.root / CONFIG).write_text(old)
    await _restarts(host, namespace)


async def _is_upgraded(host: Machine, namespace: str, deb: Path) -> None:
    """Installed over itself the running node is a new process, with the host's configuration."""
    old, config = await host.shows(NAME, "MainPID"), (host.root / CONFIG).read_text()
    argv = ["apt-get", "install", "--yes", "--reinstall", f"/root/{deb.name}"]
    await host.run(*argv, timeout=300)
    await _is_ready(namespace)
    assert await host.shows(NAME, "MainPID") not in ("0", old)
    assert (host.root / CONFIG).read_text() == config


async def _stops(host: Machine) -> None:
    """In order, and at once started again."""
    await host.run("systemctl", "stop", NAME)
    assert await host.shows(NAME, "Result") == "success"
    assert await host.shows(NAME, "ExecMainStatus") == "0"
    journal = await host.run("journalctl", "--unit", NAME)
    assert "Traceback" not in journal, journal
    await host.run("systemctl", "start", NAME)


async def _leaves(host: Machine, deb: Path, namespace: str) -> None:
    """A removal stops it and leaves configuration and cache; a purge leaves nothing."""
    await _is_ready(namespace)
    await host.run("apt-get", "remove", "--yes", NAME, timeout=300)
    assert not await http.answers(READY, namespace=namespace)
    assert (host.root / CONFIG).exists()
    assert (host.root / "var/lib/eagle-node").exists()
    links = await host.run("find", "/etc/systemd/system", "-name", f"{NAME}.service")
    assert links == "", f"a removal leaves it enabled: {links}"
    await host.run("apt-get", "install", "--yes", f"/root/{deb.name}", timeout=300)
    assert "disabled" in await host.refuses("systemctl", "is-enabled", NAME)
    await host.run("apt-get", "purge", "--yes", NAME, timeout=300)
    left = [path for path in PURGED if (host.root / path).exists()]
    assert not left, f"a purge leaves {left}"
    await host.refuses("getent", "passwd", NAME)
    assert await host.shows(NAME, "LoadState") == "not-found"


async def _restarts(host: Machine, namespace: str) -> None:
    await host.run("systemctl", "daemon-reload")
    await host.run("systemctl", "restart", NAME)
    await _is_ready(namespace)


async def _is_ready(namespace: str) -> None:
    async def answers() -> bool:
        return await http.answers(READY, namespace=namespace)

    await until(answers, what="readiness under systemd", timeout=PATIENCE_S, interval=0.2)


async def _has_capabilities(host: Machine, mask: int) -> None:
    """Those and no others, none to be had, and a filter of system calls."""
    pid = await host.shows(NAME, "MainPID")
    state = await host.run("cat", f"/proc/{pid}/status")
    held = f"{mask:016x}"
    for line in (f"CapEff:\t{held}", f"CapBnd:\t{held}", "NoNewPrivs:\t1", "Seccomp:\t2"):
        assert f"\n{line}\n" in state, state


async def _addresses(namespace: str) -> list[str]:
    told = (await run(["ip", "-n", namespace, "-j", "address", "show", "eth0"])).stdout
    return [each["local"] for link in json.loads(told) for each in link["addr_info"]]


def _configure(host: Machine, text: str, *, first: bool = False) -> str:
    """Add to the configuration, at its beginning or its end; what it was."""
    path = host.root / CONFIG
    old = path.read_text()
    path.write_text(text + old if first else f"{old}\n{text}")
    return old


def _drop_in(host: Machine, name: str, text: str | None) -> None:
    """Install a drop-in, or take it away."""
    path = host.root / "etc/systemd/system/eagle-node.service.d" / name
    path.parent.mkdir(exist_ok=True)
    if text is None:
        path.unlink()
    else:
        path.write_text(text)
