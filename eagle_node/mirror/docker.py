"""Docker: ``registry-mirrors`` in ``daemon.json``. No IO.

dockerd asks its mirrors in their order, then Docker Hub; it has mirrors for docker.io only.
"""

from __future__ import annotations

from collections.abc import Sequence

from eagle_node.mirror import json_text
from eagle_node.mirror.files import Files
from eagle_node.mirror.model import Change, Mirror, MirrorError, Plan, Record, Recorded, Runtime

CONFIG = "/etc/docker/daemon.json"
KEY = "registry-mirrors"
RELOAD = "systemctl reload docker   # or: kill -HUP $(cat /run/docker.pid)"
HUB = "docker.io"
_FLAG = "--registry-mirror"
_FLAG_FILES = (
    "/etc/default/docker",
    "/etc/sysconfig/docker",
    "/etc/systemd/system/docker.service",
    "/etc/systemd/system/docker.service.d/*.conf",
    "/lib/systemd/system/docker.service",
)
"""Where distributions and people give dockerd its flags."""


def install(files: Files, mirror: Mirror, record: Record) -> Plan:
    """The plan; `MirrorError` when dockerd would not start with the result."""
    if mirror.registries and HUB not in mirror.registries:
        note = (
            f"docker has mirrors for {HUB} only: nothing to do for {', '.join(mirror.registries)}"
        )
        return Plan(notes=(note,))
    _check_flags(files)
    current = files.read(CONFIG)
    base = stripped(current, record.get(CONFIG))
    document = json_text.parse(base or b"", CONFIG)
    mirrors = document.get(KEY, [])
    if not isinstance(mirrors, list):
        raise MirrorError(f"{CONFIG}: {KEY} is no list, so dockerd cannot read it; mend it")
    after = base
    if not names(mirrors, mirror.url):
        after = json_text.put_first((base or b"").decode(), KEY, mirror.url).encode()
        meant = {**document, KEY: [mirror.url, *mirrors]}
        assert json_text.parse(after, CONFIG) == meant, "the merge keeps what others mean"
    change = Change(path=CONFIG, runtime=Runtime.DOCKER, current=current, without=base, after=after)
    return Plan(changes=(change,), activations=activation(change))


def stripped(current: bytes | None, recorded: Recorded | None) -> bytes | None:
    """``current`` without the mirror that was recorded; what others wrote by hand stays."""
    if current is None or recorded is None:
        return current
    before = recorded.before
    there = KEY in json_text.parse(before or b"", CONFIG)
    json_text.parse(current, CONFIG)
    left = json_text.taken_out(current.decode(), KEY, recorded.url, list_was_there=there).encode()
    if not json_text.parse(left, CONFIG) and not (before or b"").strip():
        return before
    return left


def activation(change: Change) -> dict[Runtime, str]:
    """dockerd reads its mirrors anew when it is told to, without a restart."""
    return {Runtime.DOCKER: RELOAD} if change.is_needed else {}


def names(mirrors: Sequence[object], url: str) -> bool:
    """Whether a list of mirrors holds ``url``."""
    return url in [each.rstrip("/") for each in mirrors if isinstance(each, str)]


def _check_flags(files: Files) -> None:
    """dockerd does not start when a setting is both a flag and in the file."""
    for pattern in _FLAG_FILES:
        for path in files.glob(pattern):
            text = (files.read(path) or b"").decode("utf-8", "replace")
            lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
            if any(_FLAG in line for line in lines):
                raise MirrorError(
                    f"{path} gives dockerd {_FLAG} as a flag, and dockerd does not start when "
                    f"{CONFIG} has it too; move the flag's value there and run this again"
                )
