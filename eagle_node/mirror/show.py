"""What a system's files say about us. Only reads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from eagle_node.mirror import containerd, docker, hosts_toml, json_text, registries
from eagle_node.mirror.files import Files
from eagle_node.mirror.model import Mirror, Runtime

ALL_OTHERS = "all other registries"


@dataclass(frozen=True, slots=True, kw_only=True)
class RuntimeView:
    """One runtime's configuration."""

    runtime: Runtime
    files: tuple[str, ...]
    """Those that it reads, as far as they are there."""
    registries: Mapping[str, str]
    """Registries whose pulls ask the node first, and the file that says so."""


def show(files: Files, runtime: Runtime, mirror: Mirror) -> RuntimeView:
    """Who is asked first, by the files; `MirrorError` when one cannot be read."""
    match runtime:
        case Runtime.CONTAINERD:
            found = _containerd(files, mirror)
            paths = [path for path in containerd.places(files) if files.read(path) is not None]
        case Runtime.DOCKER:
            content = files.read(docker.CONFIG)
            mirrors = json_text.parse(content or b"", docker.CONFIG).get(docker.KEY, [])
            is_named = isinstance(mirrors, list) and docker.names(mirrors, mirror.url)
            found = {docker.HUB: docker.CONFIG} if is_named else {}
            paths = [] if content is None else [docker.CONFIG]
        case _:
            found = dict(registries.mirrored(files, mirror))
            paths = list(registries.places(files))
    return RuntimeView(runtime=runtime, files=tuple(paths), registries=found)


def _containerd(files: Files, mirror: Mirror) -> dict[str, str]:
    configuration = containerd.read_configuration(files, with_ours=True)
    roots = configuration.roots
    if not roots:
        if not configuration.cri_is_off:
            return {}
        roots = [containerd.CERTS]
    found: dict[str, str] = {}
    for root in roots:
        for path in files.glob(f"{root}/*/hosts.toml"):
            name = path.split("/")[-2]
            if hosts_toml.has_host(files.read(path) or b"", mirror.url, path):
                registry = ALL_OTHERS if name == "_default" else containerd.registry_of(name)
                found.setdefault(registry, path)
    return found
