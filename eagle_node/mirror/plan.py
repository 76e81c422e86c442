"""All runtimes' changes, for install and for uninstall. No IO but through `Files`, which reads."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

from eagle_node.mirror import containerd, docker, registries, toml_text
from eagle_node.mirror.files import Files
from eagle_node.mirror.model import Change, Mirror, Plan, Record, Recorded, Runtime

_ACTIVATIONS = {
    Runtime.CONTAINERD: containerd.RESTART,
    Runtime.DOCKER: docker.RELOAD,
    Runtime.CRIO: registries.RELOAD,
}


def install(files: Files, runtimes: Iterable[Runtime], mirror: Mirror, record: Record) -> Plan:
    """What makes ``runtimes`` ask ``mirror`` first; `MirrorError` when one file stands in the way.

    Whatever an earlier install has put in is replaced, so a second one changes nothing.
    """
    chosen = _distinct(runtimes)
    plans = [_install(files, runtime, mirror, record) for runtime in chosen]
    changes = [change for plan in plans for change in plan.changes]
    paths = {change.path for change in changes}
    left = [each for each in uninstall(files, chosen, record).needed if each.path not in paths]
    return Plan(
        changes=(*changes, *left),
        notes=tuple(note for plan in plans for note in plan.notes),
        activations={r: text for plan in plans for r, text in (plan.activations or {}).items()},
    )


def uninstall(files: Files, runtimes: Iterable[Runtime], record: Record) -> Plan:
    """What takes all that back: byte for byte, or just our part where others have gone on writing.

    A file that is as we left it gets back what stood there; of others' later words nothing is lost.
    """
    changes: list[Change] = []
    notes: list[str] = []
    forgotten: list[str] = []
    for runtime in _distinct(runtimes):
        for path in _places(files, runtime, record):
            current, recorded = files.read(path), record.get(path)
            if recorded is not None:
                forgotten.append(path)
            if current is None:
                if recorded is not None:
                    notes.append(f"{path} has been removed by somebody: nothing to take back there")
                continue
            after = _without(path, current, recorded)
            change = Change(path=path, runtime=runtime, current=current, without=after, after=after)
            changes.append(change)
    activations = {
        change.runtime: _ACTIVATIONS[change.runtime]
        for change in changes
        if change.is_needed
        and change.runtime in _ACTIVATIONS
        and not change.path.endswith("/hosts.toml")
    }
    notes += containerd.left_unread(files, changes)
    return Plan(
        changes=tuple(changes),
        notes=tuple(notes),
        activations=activations,
        forgotten=tuple(forgotten),
    )


def sha256(content: bytes) -> str:
    """Hex, as records hold it."""
    return hashlib.sha256(content).hexdigest()


def _install(files: Files, runtime: Runtime, mirror: Mirror, record: Record) -> Plan:
    match runtime:
        case Runtime.CONTAINERD:
            return containerd.install(files, mirror)
        case Runtime.DOCKER:
            return docker.install(files, mirror, record)
    return registries.install(files, mirror, runtime)


def _distinct(runtimes: Iterable[Runtime]) -> Sequence[Runtime]:
    """podman and CRI-O read the same files: once is enough, and CRI-O wants a word more."""
    chosen = sorted(set(runtimes))
    if Runtime.CRIO in chosen and Runtime.PODMAN in chosen:
        chosen.remove(Runtime.PODMAN)
    return chosen


def _places(files: Files, runtime: Runtime, record: Record) -> Sequence[str]:
    """Files that may hold something of ours, recorded or not."""
    match runtime:
        case Runtime.CONTAINERD:
            found, kinds = containerd.places(files), {Runtime.CONTAINERD}
        case Runtime.DOCKER:
            found, kinds = [docker.CONFIG], {Runtime.DOCKER}
        case _:
            found, kinds = registries.places(files), {Runtime.PODMAN, Runtime.CRIO}
    recorded = [path for path, each in record.items() if each.runtime in kinds]
    return list(dict.fromkeys([*found, *recorded]))


def _without(path: str, current: bytes, recorded: Recorded | None) -> bytes | None:
    if recorded is not None and recorded.after == sha256(current):
        return recorded.before
    if path == docker.CONFIG:
        return docker.stripped(current, recorded)
    left = toml_text.stripped(current, path)
    if left is not None and left != current:
        toml_text.parse(left, path)
    return left
