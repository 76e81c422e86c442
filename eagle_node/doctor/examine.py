"""All checks of a host, side by side."""

from __future__ import annotations

import asyncio
import datetime
from collections.abc import Mapping

from eagle_node.base.findings import Finding, Level, ok
from eagle_node.config.tree import Config, Role
from eagle_node.doctor.content import check_content
from eagle_node.doctor.disk import check_data_dir
from eagle_node.doctor.host import check_advertised, check_clock, check_file_limit
from eagle_node.doctor.ports import check_ports
from eagle_node.doctor.process import Running, running_node
from eagle_node.doctor.reach import check_nodes, check_registries
from eagle_node.doctor.secrets import check_secrets
from eagle_node.doctor.status import check_status
from eagle_node.mirror.check import check
from eagle_node.mirror.files import HostFiles
from eagle_node.mirror.model import Mirror
from eagle_node.mirror.runtimes import installed_runtimes
from eagle_node.runtime.sockets import Address


async def examine(
    config: Config, environment: Mapping[str, str], *, runtimes: bool = True
) -> list[Finding]:
    """Everything about a node with this configuration on this host, in the order of its parts."""
    running = await asyncio.to_thread(running_node, config.node.data_dir)
    now = datetime.datetime.now(datetime.UTC)
    local, reached, nodes, told, asked = await asyncio.gather(
        asyncio.to_thread(_local, config, running, now),
        check_registries(config),
        check_nodes(config),
        check_status(config, running),
        _runtimes(config, running, environment if runtimes else None),
    )
    return [*told, *local, *reached, *nodes, *asked]


def _local(config: Config, running: Running | None, now: datetime.datetime) -> list[Finding]:
    return [
        *check_ports(config, running),
        *check_advertised(config),
        *check_data_dir(config),
        *check_content(config, running),
        check_file_limit(running),
        check_clock(),
        *check_secrets(config, now=now),
    ]


async def _runtimes(
    config: Config, running: Running | None, environment: Mapping[str, str] | None
) -> list[Finding]:
    """What the runtimes do; that there is no node to ask has been told already."""
    if environment is None or Role.PROXY not in config.node.roles:
        return []
    files = HostFiles()
    installed = installed_runtimes(files)
    if not installed:
        return [ok("runtimes", "no container runtime is installed on this host")]
    listen = config.proxy.listen
    port = (running.ports.get("proxy") if running else 0) or listen.port
    host = "127.0.0.1" if listen.host in ("0.0.0.0", "::", "") else listen.host
    findings = await check(
        files, installed, Mirror(url=f"http://{Address(host, port)}"), environment
    )
    if running is None:
        return [each for each in findings if each.subject != "node" or each.level is Level.OK]
    return findings
