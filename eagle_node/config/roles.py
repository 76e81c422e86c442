"""Which roles a node holds while none are elected: what was said, else what was pinned."""

from __future__ import annotations

from eagle_node.base.errors import UsageError
from eagle_node.config.tree import Config, Role


def automatic_roles(config: Config) -> frozenset[Role]:
    """Roles of a node that names none: with seeder and tracker elsewhere it needs to be neither."""
    if config.seeder.pinned and config.tracker.pinned:
        return frozenset({Role.PROXY, Role.PEER})
    return frozenset(Role)


def check_roles(config: Config) -> None:
    """`UsageError` when a node would look for others that nobody has named."""
    roles, written = config.node.roles, ",".join(sorted(config.node.roles))
    if roles & {Role.PROXY, Role.PEER} and Role.SEEDER not in roles and not config.seeder.pinned:
        raise UsageError(
            f"role {written} needs a seeder: name one with --seeder HOST:PORT, or add seeder to "
            "--role"
        )
    if Role.TRACKER not in roles and not config.tracker.pinned:
        raise UsageError(
            f"role {written} needs a tracker: name one with --tracker URL, or add tracker to --role"
        )
