"""Loading: flag > environment > file > variables of OpenTelemetry > default.

Then what only several options together tell.

The highest source that sets an option wins as a whole; lists are not joined.
"""

from __future__ import annotations

import dataclasses
import os
import socket
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from eagle_node.base.errors import UsageError
from eagle_node.config.options import ENVIRONMENT_PREFIX, OPTIONS
from eagle_node.config.roles import with_roles
from eagle_node.config.sources import (
    Settings,
    from_environment,
    from_flags,
    from_standard_environment,
)
from eagle_node.config.toml_file import read_file
from eagle_node.config.tree import Config

FILE_VARIABLE = f"{ENVIRONMENT_PREFIX}CONFIG"
"""Names the configuration file when ``--config`` does not."""
SERVICE_FILE = Path("/etc/eagle-node/config.toml")
"""Of the node that is this host's service, as packages install it."""
ROOT_DATA_DIR = Path("/var/lib/eagle-node")


def load(
    flags: Mapping[str, Sequence[str]], *, file: str | None, environment: Mapping[str, str]
) -> Config:
    """The configuration of one node, valid as a whole; `UsageError` names what is not, and where.

    ``flags`` holds the texts given on the command line by option name, ``file`` the path given
    with ``--config``.
    """
    file = file or environment.get(FILE_VARIABLE) or None
    layers: list[Settings] = [from_flags(flags), from_environment(environment)]
    if file is not None:
        layers.append(read_file(Path(file)))
    layers.append(from_standard_environment(environment))
    settings = {name: value for layer in reversed(layers) for name, value in layer.items()}
    config = assemble(settings, default_data_dir=_default_data_dir(environment))
    return config if config.node.name else replaced(config, "node.name", socket.gethostname())


def service_file(
    given: str | None, environment: Mapping[str, str], *, installed: Path = SERVICE_FILE
) -> str | None:
    """The file for a command that is about this host's node: the service's when none is named."""
    named = given or environment.get(FILE_VARIABLE)
    if named or not os.access(installed, os.R_OK):
        return named
    return str(installed)


def assemble(settings: Settings, *, default_data_dir: Path) -> Config:
    """The tree that ``settings`` make of the defaults."""
    config = replaced(Config(), "node.data_dir", default_data_dir)
    for name, setting in settings.items():
        for target in OPTIONS[name].targets:
            config = replaced(config, target, setting.value)
    _check_registries(config)
    if config.lending.dedupe and config.lending.store is None:
        raise UsageError(
            "--dedupe is about blobs that containerd has: say where with --containerd-content auto"
        )
    return with_roles(config)


def replaced(config: Config, target: str, value: object) -> Config:
    """``config`` with the field at the dotted path ``target`` set to ``value``."""
    changed: Config = _replaced(config, target, value)
    return changed


def _check_registries(config: Config) -> None:
    seen: set[str] = set()
    for registry in config.proxy.registries:
        if registry.name in seen:
            raise UsageError(f"registry {registry.name} is configured twice; keep one")
        seen.add(registry.name)
        if (registry.client_cert_file is None) != (registry.client_key_file is None):
            raise UsageError(
                f"registry {registry.name}: client-cert-file and client-key-file go together"
            )


def _default_data_dir(environment: Mapping[str, str]) -> Path:
    if os.geteuid() == 0:
        return ROOT_DATA_DIR
    base = environment.get("XDG_DATA_HOME", "")
    home = Path(base) if Path(base).is_absolute() else Path.home() / ".local" / "share"
    return home / "eagle-node"


def _replaced(part: Any, target: str, value: object) -> Any:
    name, _, rest = target.partition(".")
    return dataclasses.replace(
        part, **{name: _replaced(getattr(part, name), rest, value) if rest else value}
    )
