"""podman, skopeo, buildah and CRI-O: mirrors in ``registries.conf`` files. No IO.

A later file's table of a registry replaces an earlier one's as a whole
(containers-registries.conf.d(5)), so the mirror of a registry that somebody has configured goes
into their table, and those of all others into a file of ours. The mirror's path names the
registry, since these clients send no ``ns``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from eagle_node.mirror import toml_text
from eagle_node.mirror.files import Files
from eagle_node.mirror.model import Change, Mirror, MirrorError, Plan, Runtime

DIRECTORY = "/etc/containers/registries.conf.d"
OURS = f"{DIRECTORY}/eagle-node.conf"
WELL_KNOWN = ("docker.io", "ghcr.io", "quay.io", "registry.k8s.io")
"""Registries that get a mirror when none is named: these clients have no table for all others."""
RELOAD = "systemctl reload crio"
_VENDOR = (
    "/usr/share/containers/registries.conf",
    "/usr/share/containers/registries.conf.d/*.conf",
)
"""Read first by newer clients; packages own them."""
_SYSTEM = ("/etc/containers/registries.conf", f"{DIRECTORY}/*.conf")


_HOST_PORT = re.compile(r"([^:/\[\]]+):(\d+)(?=/|\Z)")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Table:
    """The table that counts for a registry."""

    path: str
    number: int
    """Among the ``[[registry]]`` tables of its file."""
    location: str


def install(files: Files, mirror: Mirror, runtime: Runtime) -> Plan:
    """The plan; `MirrorError` when a file cannot be merged with ours."""
    texts = _bases(files)
    tables = _effective(texts)
    after = dict(texts)
    after.setdefault(OURS, None)
    own = []
    for registry in mirror.registries or WELL_KNOWN:
        table = tables.get(registry)
        if table is None:
            own.append(registry)
        else:
            after[table.path] = _with_mirror(after[table.path] or b"", table, mirror)
    if own:
        after[OURS] = _with_tables(after[OURS], own, mirror)
    changes = tuple(
        Change(
            path=path,
            runtime=runtime,
            current=files.read(path),
            without=texts.get(path),
            after=content,
        )
        for path, content in sorted(after.items())
        if not path.startswith("/usr/")
    )
    needed = any(change.is_needed for change in changes)
    notes = _special(tables, mirror)
    reload = {Runtime.CRIO: RELOAD} if needed and runtime is Runtime.CRIO else {}
    return Plan(changes=changes, notes=tuple(notes), activations=reload)


def places(files: Files) -> Sequence[str]:
    """Every file that could hold a block of ours."""
    return [path for pattern in _SYSTEM for path in files.glob(pattern)]


def mirror_location(mirror: Mirror, location: str) -> str:
    """Where the node serves what is at ``location``; `MirrorError` when that cannot be written.

    No element of an image's name may hold a colon (containers/image refuses the whole pull then),
    so ``host:port`` is ``host__port`` in the node's paths.
    """
    if location.startswith("["):
        raise MirrorError(
            f"{location}: a mirror of podman, skopeo, buildah and CRI-O cannot name an IPv6 "
            "address; give the registry a host name"
        )
    return _location_at_node(mirror, location)


def mirrored(files: Files, mirror: Mirror) -> Mapping[str, str]:
    """Registries whose pulls ask the node first, and the file that says so."""
    found: dict[str, str] = {}
    for pattern in (*_VENDOR, *_SYSTEM):
        for path in files.glob(pattern):
            for table in _tables(toml_text.parse(files.read(path) or b"", path), path):
                prefix = _prefix(table)
                found.pop(prefix, None)
                mirrors = [each.get("location", "") for each in table.get("mirror", [])]
                if _location_at_node(mirror, _location(table)) in mirrors:
                    found[prefix] = path
    return found


def _bases(files: Files) -> dict[str, bytes | None]:
    """Each file's content without our blocks, in the order in which they are read."""
    found: dict[str, bytes | None] = {}
    for pattern in (*_VENDOR, *_SYSTEM):
        for path in files.glob(pattern):
            content = files.read(path)
            found[path] = None if content is None else toml_text.stripped(content, path)
    return found


def _effective(texts: Mapping[str, bytes | None]) -> dict[str, _Table]:
    tables: dict[str, _Table] = {}
    for path, content in texts.items():
        document = toml_text.parse(content or b"", path)
        if isinstance(document.get("registries"), dict):
            raise MirrorError(
                f"{path} has the old format ([registries.search] and so on), which has no mirrors; "
                "write it as [[registry]] tables (containers-registries.conf(5)) first"
            )
        for number, table in enumerate(_tables(document, path)):
            tables[_prefix(table)] = _Table(path=path, number=number, location=_location(table))
    return tables


def _tables(document: toml_text.Document, path: str) -> list[dict[str, Any]]:
    tables = document.get("registry", [])
    if not isinstance(tables, list) or not all(isinstance(each, dict) for each in tables):
        raise MirrorError(f"{path}: `registry` is no list of tables; mend it")
    return tables


def _prefix(table: dict[str, Any]) -> str:
    return str(table.get("prefix") or table.get("location", ""))


def _location(table: dict[str, Any]) -> str:
    return str(table.get("location") or table.get("prefix", ""))


def _location_at_node(mirror: Mirror, location: str) -> str:
    path = _HOST_PORT.sub(r"\1__\2", location, count=1)
    return f"{mirror.address}/{path}"


def _with_mirror(base: bytes, table: _Table, mirror: Mirror) -> bytes:
    """Somebody's file with the node as the first mirror of one of its registries."""
    document = toml_text.parse(base, table.path)
    tables = _tables(document, table.path)
    theirs = tables[table.number]
    address = mirror_location(mirror, table.location)
    mirrors = theirs.get("mirror", [])
    if address in [each.get("location") for each in mirrors]:
        return base
    if table.path.startswith("/usr/"):
        raise MirrorError(
            f"{table.path} configures {_prefix(theirs)} and belongs to a package; copy that table "
            f"to a file in {DIRECTORY} and run this again"
        )
    body = _mirror_lines(address, mirror)
    ours = {"location": address, "insecure": mirror.url.startswith("http:")}
    changed_table = {**theirs, "mirror": [ours, *mirrors]}
    meant = {
        **document,
        "registry": [changed_table if n == table.number else t for n, t in enumerate(tables)],
    }
    text = base.decode()
    changed = toml_text.merged(text, _blocks(text, table.number, body), meant)
    if changed is None:
        raise MirrorError(
            f"{table.path}: cannot add a mirror to {_prefix(theirs)}, whose mirrors are not "
            f"written as [[registry.mirror]] tables; write them so, or add {address} by hand"
        )
    return changed.encode()


def _blocks(text: str, number: int, body: Sequence[str]) -> Iterator[toml_text.Block]:
    """Before the table's first mirror, or at its end."""
    lines = toml_text.split(text)
    headers = list(toml_text.headers(lines))
    starts = [line for line, alone in headers if alone == {"registry": [{}]}]
    if number >= len(starts):
        return
    later = [(line, alone) for line, alone in headers if line > starts[number]]
    for line, alone in later:
        if alone == {"registry": [{}]}:
            break
        if alone == {"registry": {"mirror": [{}]}}:
            for place in toml_text.above_comments(lines, line):
                yield toml_text.Block(line=place, body=body)
            break
    end = later[0][0] if later else len(lines)
    while end - 1 > starts[number] and lines[end - 1].strip()[:1] in ("", "#"):
        end -= 1
    yield toml_text.Block(line=end, body=body)


def _with_tables(base: bytes | None, registries: Sequence[str], mirror: Mirror) -> bytes:
    """Our file, with tables for registries that nobody has configured."""
    body = []
    for registry in registries:
        body += ["[[registry]]", f'prefix = "{registry}"', f'location = "{registry}"']
        body += _mirror_lines(mirror_location(mirror, registry), mirror)
    if base is None:
        return toml_text.new_file(body)
    text = base.decode()
    return toml_text.inserted(
        text, toml_text.Block(line=len(toml_text.split(text)), body=body)
    ).encode()


def _mirror_lines(address: str, mirror: Mirror) -> list[str]:
    insecure = "true" if mirror.url.startswith("http:") else "false"
    return ["[[registry.mirror]]", f'location = "{address}"', f"insecure = {insecure}"]


def _special(tables: Mapping[str, _Table], mirror: Mirror) -> Iterator[str]:
    """Tables for a part of a registry that has a mirror: the longest prefix counts."""
    for registry in mirror.registries or WELL_KNOWN:
        for prefix, table in sorted(tables.items()):
            if prefix.startswith(f"{registry}/"):
                yield (
                    f"{table.path} configures {prefix} apart from {registry}: its images do not "
                    f"pass the node; add --registry {prefix} if they shall"
                )
