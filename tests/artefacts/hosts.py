"""The installer over ssh, with three hosts that are namespaces with a Debian each instead.

``REMOTE`` stands where ``ssh`` does. The roots have no service manager: a ``systemctl`` made of
Debian's own start-stop-daemon starts the node there, as the unit's user.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.artefacts.starts import CHROOT, Dist, debian, mounted
from tests.support.netns import network
from tests.support.process import CommandFailed, run
from tests.support.waiting import until

ROOT = Path(__file__).parents[2]
INSTALLER = ROOT / "examples" / "three-hosts" / "install.sh"
PATH = "PATH=/usr/sbin:/usr/bin:/sbin:/bin"

SYSTEMCTL = """\
#!/bin/sh
[ "$1" = restart ] || exit 0
daemon="--pidfile /run/eagle-node.pid --chuid eagle-node --exec /usr/bin/eagle-node"
start-stop-daemon --stop --oknodo --retry 20 $daemon
exec start-stop-daemon --start --background --make-pidfile --output /tmp/node.log $daemon -- \\
    run --config /etc/eagle-node/config.toml
"""
STOP = "start-stop-daemon --stop --oknodo --retry 20 --pidfile /run/eagle-node.pid"


async def install(dist: Dist, directory: Path) -> None:
    """Install three hosts, twice; each then counts three members."""
    base = await debian(dist.work)
    async with network(["a", "b", "c"]) as net:
        hosts = {net[name].address: net[name].namespace for name in "abc"}
        with ExitStack() as stack:
            for address in hosts:
                stack.enter_context(_host(base, directory, address))
            remote = _write(directory / "remote", _remote(directory, hosts))
            argv = ["env", f"REMOTE={remote}", f"DEB={dist.file('eagle-node_*.deb')}"]
            try:
                for _ in range(2):
                    told = (await run([*argv, str(INSTALLER), *hosts], timeout=600)).stdout
                    assert told.count("== ") == len(hosts) + 1, told

                async def are_one_cluster() -> bool:
                    counts = [await _members(remote, address) for address in hosts]
                    return counts == [len(hosts)] * len(hosts)

                await until(are_one_cluster, what="three members everywhere", timeout=90)
            finally:
                for address in hosts:
                    await run([str(remote), address, STOP])


async def _members(remote: Path, address: str) -> int:
    """How many live members the node of a host knows."""
    try:
        told = (await run([str(remote), address, "eagle-node status --json"])).stdout
    except CommandFailed:
        return 0
    members = json.loads(told)["cluster"]["members"]
    return sum(member["state"] == "alive" for member in members)


@contextmanager
def _host(base: Path, directory: Path, address: str) -> Iterator[None]:
    """A Debian of its own, over the shared one."""
    root, changes, scratch = (directory / address / name for name in ("root", "changes", "scratch"))
    for path in (root, changes, scratch):
        path.mkdir(parents=True)
    layers = f"lowerdir={base},upperdir={changes},workdir={scratch}"
    subprocess.run(["mount", "-t", "overlay", "overlay", "-o", layers, str(root)], check=True)
    try:
        _write(root / "usr" / "local" / "sbin" / "systemctl", SYSTEMCTL)
        shared = directory / address / "shared"
        shared.mkdir()
        with mounted(root, shared):
            yield
    finally:
        subprocess.run(["umount", "--lazy", str(root)], check=True)


def _remote(directory: Path, hosts: dict[str, str]) -> str:
    """A script that runs its second argument on the host of the first."""
    cases = "\n".join(f"{address}) name={name} ;;" for address, name in hosts.items())
    path = f"PATH=/usr/local/sbin:{PATH.removeprefix('PATH=')}"
    return f"""\
#!/bin/sh
case $1 in
{cases}
*) echo "no host $1" >&2; exit 255 ;;
esac
exec nsenter --net=/run/netns/$name {CHROOT} {directory}/$1/root env -i {path} sh -c "$2"
"""


def _write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path
