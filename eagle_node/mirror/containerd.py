"""containerd: ``config_path`` in its configuration, and ``hosts.toml`` files below that. No IO.

The CRI plugin reads the directory that ``config_path`` names; its table is called differently in
each version of the file (containerd, docs/cri/registry.md). ``ctr`` and nerdctl take the directory
from flags or look at ``/etc/containerd/certs.d`` themselves.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from glob import escape
from typing import Any

from eagle_node.mirror import hosts_toml, toml_text
from eagle_node.mirror.files import Files
from eagle_node.mirror.model import Change, Mirror, MirrorError, Plan, Runtime

CONFIG = "/etc/containerd/config.toml"
CERTS = "/etc/containerd/certs.d"
RESTART = "systemctl restart containerd   # containers keep running"
_PLUGINS = {1: "cri", 2: "io.containerd.grpc.v1.cri", 3: "io.containerd.cri.v1.images"}
"""The plugin that pulls images for CRI, by the version of the file; 3 is containerd 2.x's."""
_CERTIFICATES = ("*.crt", "*.cert", "*.key")
"""Files that containerd reads only where there is no ``hosts.toml``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """The file that says, or has to say, where ``hosts.toml`` files are."""

    path: str
    content: bytes | None
    """Without our block; None: there is no file."""
    plugin: str
    registry: dict[str, Any]
    """The plugin's ``registry`` table."""
    cri_is_off: bool
    """Nothing pulls through CRI here, so no ``config_path`` is needed."""

    @property
    def roots(self) -> list[str]:
        """Directories that ``config_path`` names."""
        value = self.registry.get("config_path", "")
        return [root for root in value.split(":") if root] if isinstance(value, str) else []


def install(files: Files, mirror: Mirror) -> Plan:
    """The plan; `MirrorError` when a file cannot be merged with ours."""
    configuration = read_configuration(files)
    changes, notes, roots = [], [], configuration.roots or [CERTS]
    current = files.read(configuration.path)
    after = configuration.content
    if configuration.cri_is_off:
        notes.append(
            f"{configuration.path} switches CRI off, so only ctr and nerdctl pull here: "
            f"ctr images pull --hosts-dir {roots[0]} …"
        )
    else:
        _check_old_tables(configuration)
        after, roots = _with_config_path(files, configuration)
        changes.append(_change(configuration.path, current, configuration.content, after))
    changes += [
        _host_change(files, path, mirror.url) for path in _hosts_files(files, mirror, roots)
    ]
    if not mirror.registries:
        own = [name for name in sorted(_registries(files, roots)) if name != "_default"]
        changed = {change.path for change in changes}
        notes += [
            f"{name} has a directory of its own, which goes before _default: it does not pass the "
            f"node; add --registry {registry_of(name)} if it shall"
            for name in own
            if not any(f"{root}/{name}/hosts.toml" in changed for root in roots)
            and not _passes(files, roots, name, mirror.url)
        ]
    restart = {Runtime.CONTAINERD: RESTART} if after != current else {}
    return Plan(changes=tuple(changes), notes=tuple(notes), activations=restart)


def read_configuration(files: Files, *, with_ours: bool = False) -> Configuration:
    """The last file that has the plugin's table: ``config.toml``, or one that it imports.

    An imported file replaces the whole table of a plugin, so that is where ours has to go. What
    we have put in is left out unless ``with_ours``.
    """
    read = files.read if with_ours else lambda path: _base(files, path)
    main = read(CONFIG)
    document = toml_text.parse(main or b"", CONFIG)
    paths = [CONFIG, *_imports(files, document)]
    # The version of the main file rules; without one it is 1, but a new file is written as 2,
    # which containerd 1.x and 2.x both read.
    version = document.get("version", 1 if main else 2)
    plugin = _PLUGINS[min(max(version, 1), 3)] if isinstance(version, int) else _PLUGINS[2]
    chosen, content, table = CONFIG, main, _table(document, plugin)
    for path in paths[1:]:
        imported = read(path)
        found = _table(toml_text.parse(imported or b"", path), plugin)
        if found is not None:
            chosen, content, table = path, imported, found
    registry = (table or {}).get("registry", {})
    disabled = document.get("disabled_plugins", [])
    off = isinstance(disabled, list) and not {"cri", plugin, _PLUGINS[2]}.isdisjoint(disabled)
    return Configuration(
        path=chosen,
        content=content,
        plugin=plugin,
        registry=registry if isinstance(registry, dict) else {},
        cri_is_off=off,
    )


def places(files: Files) -> Sequence[str]:
    """Every file that could hold a block of ours."""
    document = toml_text.parse(_base(files, CONFIG) or b"", CONFIG)
    roots = {CERTS, *read_configuration(files).roots}
    hosts = [path for root in sorted(roots) for path in files.glob(f"{root}/*/hosts.toml")]
    return [*hosts, CONFIG, *_imports(files, document)]


def left_unread(files: Files, changes: Sequence[Change]) -> Iterator[str]:
    """Others' ``hosts.toml`` files that nothing reads once our ``config_path`` is gone."""
    after = {change.path: change.after for change in changes}
    before = read_configuration(files, with_ours=True)
    if before.path not in after or read_configuration(files).roots or not before.roots:
        return
    for root in before.roots:
        for path in files.glob(f"{root}/*/hosts.toml"):
            if after.get(path, b"") is not None:
                yield (
                    f"{path} is not read any more: {before.path} had no config_path before us; "
                    f'set config_path = "{root}" there if it shall be'
                )


def hosts_file(files: Files, roots: Sequence[str], registry: str) -> str | None:
    """The ``hosts.toml`` that containerd reads for a registry, None: none.

    In each root in turn, ``host_port_``, ``host:port`` and ``_default`` are looked at; the first
    directory that is there decides, whether or not it has the file.
    """
    for root in roots:
        for name in (*directory_names(registry), "_default"):
            if name in files.directories(root):
                return f"{root}/{name}/hosts.toml"
    return None


def directory_names(registry: str) -> Sequence[str]:
    """Directories that stand for a registry, in containerd's order."""
    host, colon, port = registry.rpartition(":")
    return [f"{host}_{port}_", registry] if colon and host and port.isdecimal() else [registry]


def registry_of(directory: str) -> str:
    """The registry that a directory stands for."""
    host, _, port = directory.removesuffix("_").rpartition("_")
    return f"{host}:{port}" if directory.endswith("_") and port.isdecimal() else directory


def _base(files: Files, path: str) -> bytes | None:
    content = files.read(path)
    return None if content is None else toml_text.stripped(content, path)


def _imports(files: Files, document: toml_text.Document) -> list[str]:
    patterns = document.get("imports", [])
    found: list[str] = []
    for pattern in patterns if isinstance(patterns, list) else []:
        found += files.glob(posixpath.normpath(posixpath.join(posixpath.dirname(CONFIG), pattern)))
    return found


def _table(document: toml_text.Document, plugin: str) -> dict[str, Any] | None:
    plugins = document.get("plugins", {})
    table = plugins.get(plugin) if isinstance(plugins, dict) else None
    return table if isinstance(table, dict) else None


def _check_old_tables(configuration: Configuration) -> None:
    """containerd does not start CRI with both ways to configure registries in its file."""
    registry = configuration.registry
    configs = registry.get("configs") or {}
    old = [f"registry.configs.{name}.tls" for name, each in configs.items() if "tls" in each]
    old += ["registry.mirrors"] if registry.get("mirrors") else []
    if old:
        raise MirrorError(
            f"{configuration.path} configures registries in the old way ({', '.join(old)}), and "
            f"containerd refuses that beside config_path; move it to {CERTS}/NAME/hosts.toml "
            "(containerd, docs/hosts.md) and run this again"
        )


def _with_config_path(files: Files, configuration: Configuration) -> tuple[bytes, list[str]]:
    """The configuration's new content, and the directories that it names."""
    roots = configuration.roots
    # containerd 2.1 and 2.2 take a list of directories for one name when they pull through their
    # transfer service (containerd issue 12415), so a list that need not be one becomes one name.
    is_list = len(roots) > 1 and configuration.plugin == _PLUGINS[3]
    if roots and not (is_list and not any(_registries(files, roots[1:]))):
        return configuration.content or b"", roots
    root = roots[0] if roots else CERTS
    plugin, line = configuration.plugin, f'config_path = "{root}"'
    table = f'[plugins."{plugin}".registry]'
    if configuration.content is None:
        return toml_text.new_file(["version = 2", table, f"  {line}"]), [root]
    document = toml_text.parse(configuration.content, configuration.path)
    meant = _meant(document, plugin, root)
    text = configuration.content.decode()
    changed = toml_text.merged(text, _blocks(text, plugin, table, line), meant)
    if changed is None:
        raise MirrorError(
            f'{configuration.path}: cannot set config_path in its plugins."{plugin}".registry, '
            f"which is not written as a table; set it there by hand: {line}"
        )
    return changed.encode(), [root]


def _meant(document: toml_text.Document, plugin: str, root: str) -> toml_text.Document:
    """``document`` with ``config_path`` set."""
    plugins = document.get("plugins", {})
    table = plugins.get(plugin, {})
    registry = {**table.get("registry", {}), "config_path": root}
    return {**document, "plugins": {**plugins, plugin: {**table, "registry": registry}}}


def _blocks(text: str, plugin: str, table: str, line: str) -> Iterator[toml_text.Block]:
    lines = toml_text.split(text)
    for number, each in enumerate(lines):
        if each.lstrip().startswith("config_path"):
            body = [toml_text.indent_of(each) + line]
            yield toml_text.Block(line=number, body=body, replaces=True)
    for number, alone in toml_text.headers(lines):
        if alone == {"plugins": {plugin: {"registry": {}}}}:
            body = [f"{toml_text.indent_of(lines[number])}  {line}"]
            yield toml_text.Block(line=number + 1, body=body)
    yield toml_text.Block(line=len(lines), body=[table, f"  {line}"])


def _hosts_files(files: Files, mirror: Mirror, roots: Sequence[str]) -> Iterator[str]:
    """The files that have to name the node."""
    if not mirror.registries:
        found = [root for root in roots if "_default" in files.directories(root)]
        yield f"{(found or [roots[-1]])[0]}/_default/hosts.toml"
    for registry in mirror.registries:
        present = hosts_file(files, roots, registry)
        if present is None or posixpath.dirname(present).endswith("/_default"):
            present = f"{roots[0]}/{directory_names(registry)[0]}/hosts.toml"
        yield present


def _host_change(files: Files, path: str, url: str) -> Change:
    current, base = files.read(path), _base(files, path)
    directory = posixpath.dirname(path)
    certificates = [
        each for kind in _CERTIFICATES for each in files.glob(f"{escape(directory)}/{kind}")
    ]
    if base is None and certificates:
        raise MirrorError(
            f"{certificates[0]} is read by containerd only while there is no {path}; write that "
            'file first, with `ca = "…"` (containerd, docs/hosts.md), and run this again'
        )
    return _change(path, current, base, hosts_toml.with_host(base, url, path))


def _registries(files: Files, roots: Sequence[str]) -> set[str]:
    """Names of the directories below ``roots``."""
    return {name for root in roots for name in files.directories(root)}


def _passes(files: Files, roots: Sequence[str], name: str, url: str) -> bool:
    paths = [path for root in roots for path in files.glob(f"{root}/{escape(name)}/hosts.toml")]
    return any(hosts_toml.has_host(files.read(path) or b"", url, path) for path in paths)


def _change(path: str, current: bytes | None, base: bytes | None, after: bytes | None) -> Change:
    return Change(path=path, runtime=Runtime.CONTAINERD, current=current, without=base, after=after)
