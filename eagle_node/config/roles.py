"""Which roles a node holds for good, and which the cluster may give it."""

from __future__ import annotations

from dataclasses import replace

from eagle_node.base.errors import UsageError
from eagle_node.config.places import HostTarget, JoinTarget, MdnsTarget
from eagle_node.config.tree import ELECTABLE, Config, Role, RoleChoice
from eagle_node.runtime.sockets import Address

_ALWAYS = frozenset({Role.PROXY, Role.PEER})


def with_roles(config: Config) -> Config:
    """``config`` with its roles and places decided; `UsageError` for what cannot work.

    Roles are elected when ``--role auto``, ``--join`` or ``--vip`` asks for it, unless seeders and
    trackers are pinned. Multicast is sent by who was asked to find others, so a bare node is alone.
    """
    choice = config.node.choice or RoleChoice()
    are_pinned = bool(config.seeder.pinned and config.tracker.pinned)
    asks = bool(config.discovery.join) or config.vip.address is not None
    if asks or (choice.auto and not are_pinned):
        return _in_cluster(config, choice)
    if config.cluster.never:
        raise UsageError("--never excludes elected roles: it needs --role auto or --join")
    if choice.auto and choice.roles:
        raise UsageError(
            f"--role auto,{_written(choice.roles)} has roles elected, which --seeder and --tracker "
            "together rule out; leave out auto, or these"
        )
    roles = choice.roles or (_ALWAYS if are_pinned else frozenset(Role))
    config = replace(config, node=replace(config.node, roles=roles))
    _check_alone(config)
    return config


def _in_cluster(config: Config, choice: RoleChoice) -> Config:
    cluster = config.cluster
    is_open = choice.auto or not choice.roles
    roles = choice.roles | (_ALWAYS if is_open else frozenset())
    if wrong := roles & cluster.never:
        raise UsageError(f"--role has {_written(wrong)}, which --never excludes; say one of both")
    elected = ELECTABLE - roles - cluster.never if is_open else frozenset()
    return replace(
        config,
        node=replace(config.node, roles=roles),
        cluster=replace(cluster, enabled=True, elected=frozenset(map(Role, elected))),
        discovery=replace(config.discovery, join=_places(config)),
    )


def _places(config: Config) -> tuple[JoinTarget, ...]:
    """Where to look: as told, else the local network; whoever has the virtual address is there."""
    places: tuple[JoinTarget, ...] = config.discovery.join or (MdnsTarget(),)
    if (vip := config.vip.address) is not None:
        port = config.cluster.gossip_listen.port
        places = (*places, HostTarget(address=Address(str(vip.ip), port)))
    return tuple(dict.fromkeys(places))


def _check_alone(config: Config) -> None:
    """`UsageError` when a node would look for others that nobody has named."""
    roles = config.node.roles
    written = _written(roles)
    if roles & _ALWAYS and Role.SEEDER not in roles and not config.seeder.pinned:
        raise UsageError(
            f"role {written} needs a seeder: name one with --seeder HOST:PORT, find one with "
            "--join, or add seeder to --role"
        )
    if Role.TRACKER not in roles and not config.tracker.pinned:
        raise UsageError(
            f"role {written} needs a tracker: name one with --tracker URL, find one with --join, "
            "or add tracker to --role"
        )


def _written(roles: frozenset[Role]) -> str:
    return ",".join(sorted(roles))
