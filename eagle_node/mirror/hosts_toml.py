"""containerd's ``hosts.toml``: existing text to new text. No IO.

Hosts are tried in the order of the file, then the registry itself, which ``server`` names or else
the directory does (containerd, docs/hosts.md). Our host goes first and nothing else changes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from eagle_node.mirror import toml_text
from eagle_node.mirror.model import MirrorError

CAPABILITIES = ["pull", "resolve"]
"""What a mirror can do: serve content, and say what a tag names."""


def with_host(base: bytes | None, url: str, path: str) -> bytes:
    """``base`` with ``url`` as its first host; as it is when somebody has named that host there."""
    body = [f'[host."{url}"]', '  capabilities = ["pull", "resolve"]']
    if base is None:
        return toml_text.new_file(body)
    document = toml_text.parse(base, path)
    hosts = document.get("host", {})
    if not isinstance(hosts, dict):
        raise MirrorError(f"{path}: `host` is no table, so containerd cannot read it; mend it")
    if has_host(base, url, path):
        return base
    meant = {**document, "host": {**hosts, url: {"capabilities": CAPABILITIES}}}
    text = base.decode()
    changed = toml_text.merged(text, _blocks(toml_text.split(text), body), meant)
    if changed is None or next(iter(toml_text.parse(changed.encode(), path)["host"])) != url:
        raise MirrorError(
            f"{path}: cannot put a host before the others, which are not written as tables; write "
            f'each as [host."URL"], or add [host."{url}"] before them by hand'
        )
    return changed.encode()


def has_host(content: bytes, url: str, path: str) -> bool:
    """Whether the file names ``url`` as a host that images are pulled from."""
    hosts = toml_text.parse(content, path).get("host", {})
    host = next((each for name, each in hosts.items() if name.rstrip("/") == url), None)
    return host is not None and "pull" in host.get("capabilities", CAPABILITIES)


def _blocks(lines: Sequence[str], body: Sequence[str]) -> Iterator[toml_text.Block]:
    """Before the first line that is a table's header, or after the keys when there is none."""
    for number, _ in toml_text.headers(lines):
        for line in toml_text.above_comments(lines, number):
            yield toml_text.Block(line=line, body=body)
    yield toml_text.Block(line=len(lines), body=body)
