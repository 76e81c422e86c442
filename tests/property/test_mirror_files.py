"""install;uninstall is the identity, and install twice is install once."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from typing import Any

from hypothesis import assume, given
from hypothesis import strategies as st

from eagle_node.mirror import containerd, docker, registries
from eagle_node.mirror.files import MemoryFiles
from eagle_node.mirror.model import Mirror, MirrorError, Plan, Recorded, Runtime
from eagle_node.mirror.plan import install, sha256, uninstall

V2 = "io.containerd.grpc.v1.cri"
names = st.sampled_from(["docker.io", "ghcr.io", "quay.io", "a.example:5000", "b.example/team"])
words = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), max_size=8)
blank_lines = st.sampled_from(["", "\n", "# a comment\n", "   \n", "# [host.x]\n", "\t# é\n"])


@st.composite
def toml_texts(draw: st.DrawFn, tables: st.SearchStrategy[str], head: str = "") -> str:
    """A TOML file as people write them: comments anywhere, with or without a last newline."""
    parts = draw(
        st.lists(st.tuples(blank_lines, tables), max_size=4, unique_by=lambda each: each[1])
    )
    text = head + draw(blank_lines) + "".join(before + table for before, table in parts)
    text += draw(blank_lines)
    text = text.replace("\n", "\r\n") if draw(st.booleans()) else text
    return text.rstrip("\r\n") if draw(st.booleans()) else text


def quoted(text: str) -> str:
    """A TOML basic string."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


host_tables = st.builds(
    lambda name, key, word: f'[host."https://{name}"]\n  {key} = {quoted(word)}\n',
    names,
    st.sampled_from(["ca", "override_path"]),
    words,
)
registry_tables = st.builds(
    lambda name, key, mirror: f'[[registry]]\nlocation = "{name}"\n{key}{mirror}',
    names,
    st.sampled_from(["", "blocked = false\n", 'prefix = "docker.io"\n']),
    st.sampled_from(["", '# m\n[[registry.mirror]]\nlocation = "old.example"\n']),
)
config_tables = st.sampled_from(
    [
        '[grpc]\n  address = "/run/x.sock"\n',
        f'[plugins."{V2}".registry]\n  config_path = ""\n',
        f'[plugins."{V2}".registry]\n',
        f'[plugins."{V2}"]\n  sandbox_image = """\nconfig_path = ""\n"""\n',
        f"[ plugins . '{V2}' . registry ] # ours\n\tconfig_path = '' # none\n",
        f'[plugins."{V2}".registry.configs."r".auth]\n  password = "p"\n',
    ]
)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3),
    max_leaves=8,
)


@st.composite
def daemon_texts(draw: st.DrawFn) -> str:
    """A daemon.json in any layout."""
    document: dict[str, Any] = dict(draw(st.dictionaries(words, json_values, max_size=3)))
    if draw(st.booleans()):
        document[docker.KEY] = draw(st.lists(st.just("https://m.example") | words, max_size=3))
    text = json.dumps(
        document,
        indent=draw(st.none() | st.integers(0, 4)),
        ensure_ascii=draw(st.booleans()),
        separators=draw(st.sampled_from([(",", ":"), (", ", ": "), (" , ", " : ")])),
    )
    return draw(st.sampled_from(["", "\n", " "])) + text + draw(st.sampled_from(["", "\n", "\n\n"]))


systems = st.fixed_dictionaries(
    {},
    optional={
        containerd.CONFIG: toml_texts(config_tables, head="version = 2\n"),
        f"{containerd.CERTS}/_default/hosts.toml": toml_texts(host_tables),
        f"{containerd.CERTS}/ghcr.io/hosts.toml": toml_texts(host_tables, head='server = "x"\n'),
        docker.CONFIG: daemon_texts() | st.sampled_from(["", " \n"]),
        "/etc/containers/registries.conf": toml_texts(registry_tables),
        registries.OURS: toml_texts(registry_tables),
    },
)
mirrors = st.builds(
    Mirror,
    url=st.sampled_from(["http://127.0.0.1:43002", "https://[::1]:1"]),
    registries=st.lists(names, max_size=3, unique=True).map(tuple),
)


def written(
    system: Mapping[str, bytes], record: Mapping[str, Recorded], plan: Plan, url: str
) -> tuple[dict[str, bytes], dict[str, Recorded]]:
    """The system and the record once a plan is carried out."""
    after = dict(system)
    notes = {path: each for path, each in record.items() if path not in plan.forgotten}
    for change in plan.needed:
        notes.pop(change.path, None)
        if change.after is None:
            del after[change.path]
            continue
        after[change.path] = change.after
        if change.after != change.without:
            notes[change.path] = Recorded(
                runtime=change.runtime,
                url=url,
                before=change.without,
                after=sha256(change.after),
            )
    return after, notes


@given(systems, mirrors, mirrors, st.booleans())
def test_uninstall_is_the_way_back(
    texts: Mapping[str, str], mirror: Mirror, other: Mirror, changes_mind: bool
) -> None:
    """Every byte is as before, whatever was there, also after a change of mind."""
    system = {path: text.encode() for path, text in texts.items()}
    try:
        plan = install(MemoryFiles(system), Runtime, mirror, {})
        after, record = written(system, {}, plan, mirror.url)
        if changes_mind:
            plan = install(MemoryFiles(after), Runtime, other, record)
            after, record = written(after, record, plan, other.url)
    except MirrorError:
        assume(False)
    now = other if changes_mind else mirror
    assert install(MemoryFiles(after), Runtime, now, record).needed == ()
    back = uninstall(MemoryFiles(after), Runtime, record)
    assert written(after, record, back, "") == (system, {})


@given(systems, mirrors, st.sampled_from(["# later\n", "\n\n"]))
def test_uninstall_after_others_leaves_what_they_mean(
    texts: Mapping[str, str], mirror: Mirror, added: str
) -> None:
    """When every file has been written to since, just our part goes."""
    system = {path: text.encode() for path, text in texts.items()}
    try:
        before = {path: meaning(path, content) for path, content in system.items()}
        plan = install(MemoryFiles(system), Runtime, mirror, {})
    except (MirrorError, ValueError):
        assume(False)
    after, record = written(system, {}, plan, mirror.url)
    changed = {
        path: added.encode() + content if path.endswith(("toml", "conf")) else content + b"\n"
        for path, content in after.items()
    }
    back, _ = written(changed, record, uninstall(MemoryFiles(changed), Runtime, record), "")
    for path, content in back.items():
        assert meaning(path, content) == before.get(path, {})
        assert mirror.address.encode() not in content or mirror.address in texts.get(path, "")


def meaning(path: str, content: bytes) -> object:
    """What a file says, its layout apart."""
    if path == docker.CONFIG:
        return json.loads(content) if content.strip() else {}
    return tomllib.loads(content.decode())
