"""containerd's files: what install makes of them."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest

from eagle_node.mirror import containerd
from eagle_node.mirror.files import MemoryFiles
from eagle_node.mirror.model import DEFAULT_PROXY, Mirror, MirrorError, Plan, Runtime

CONFIG, CERTS = containerd.CONFIG, containerd.CERTS
DEFAULT = f"{CERTS}/_default/hosts.toml"
V1, V2, V3 = "cri", "io.containerd.grpc.v1.cri", "io.containerd.cri.v1.images"


def planned(contents: dict[str, str], *registries: str) -> Plan:
    """The plan for a system with these files."""
    files = MemoryFiles({path: text.encode() for path, text in contents.items()})
    return containerd.install(files, Mirror(registries=registries))


def after(plan: Plan, path: str) -> str:
    """What one file shall hold."""
    (content,) = [change.after for change in plan.changes if change.path == path]
    assert content is not None
    return content.decode()


def parsed(plan: Plan, path: str) -> dict[str, Any]:
    """What that means."""
    return tomllib.loads(after(plan, path))


def test_a_bare_system_gets_both_files() -> None:
    """Without any file, one that both major versions read names the directory."""
    plan = planned({})
    assert parsed(plan, CONFIG) == {
        "version": 2,
        "plugins": {V2: {"registry": {"config_path": CERTS}}},
    }
    assert parsed(plan, DEFAULT) == {"host": {DEFAULT_PROXY: {"capabilities": ["pull", "resolve"]}}}
    assert plan.activations == {Runtime.CONTAINERD: containerd.RESTART}


@pytest.mark.parametrize(
    ("version", "plugin"), [("", V1), ("version = 2\n", V2), ("version = 3\n", V3)]
)
def test_the_table_follows_the_version_of_the_file(version: str, plugin: str) -> None:
    """Version 1 (none is written), 2 and 3 each have a table of their own."""
    text = f'{version}root = "/data"\n'
    plan = planned({CONFIG: text})
    assert after(plan, CONFIG).startswith(text)
    assert parsed(plan, CONFIG)["plugins"] == {plugin: {"registry": {"config_path": CERTS}}}


def test_an_empty_config_path_is_replaced_where_it_stands() -> None:
    """`containerd config default` writes an empty one, with empty old tables beside it."""
    text = (
        f'version = 2\n[plugins]\n  [plugins."{V2}".registry]\n    config_path = ""  # none\n'
        f'    [plugins."{V2}".registry.mirrors]\n[grpc]\n  address = "/run/x.sock"\n'
    )
    plan = planned({CONFIG: text})
    lines = after(plan, CONFIG).splitlines()
    assert '# was:     config_path = ""  # none' in lines
    assert f'    config_path = "{CERTS}"' in lines
    assert parsed(plan, CONFIG)["plugins"][V2]["registry"] == {"config_path": CERTS, "mirrors": {}}


def test_a_config_path_of_theirs_is_used() -> None:
    """hosts.toml goes where containerd already looks, and its configuration stays as it is."""
    text = f'version = 3\n[plugins."{V3}".registry]\nconfig_path = "/srv/certs"\n'
    plan = planned({CONFIG: text})
    assert [change.path for change in plan.needed] == ["/srv/certs/_default/hosts.toml"]
    assert plan.activations == {}


def test_default_goes_behind_all_directories() -> None:
    """In a list of directories, _default in the first would hide registries of the second."""
    text = f'version = 2\n[plugins."{V2}".registry]\nconfig_path = "/a:/b"\n'
    plan = planned({CONFIG: text, "/b/ghcr.io/hosts.toml": ""})
    assert [change.path for change in plan.needed] == ["/b/_default/hosts.toml"]


def test_a_list_that_2x_would_not_read_becomes_one_directory() -> None:
    """containerd 2.1's transfer service takes a list for one name: nothing else is in the list."""
    text = (
        f"version = 3\n[plugins.'{V3}'.registry]\n"
        f"config_path = '{CERTS}:/etc/docker/certs.d' # default\n"
    )
    plan = planned({CONFIG: text})
    assert parsed(plan, CONFIG)["plugins"][V3]["registry"] == {"config_path": CERTS}
    kept = planned({CONFIG: text, "/etc/docker/certs.d/r.example/ca.crt": "x"})
    assert [change.path for change in kept.needed] == ["/etc/docker/certs.d/_default/hosts.toml"]


def test_the_imported_file_that_has_the_table_is_changed() -> None:
    """An import replaces a plugin's whole table, so ours goes where the last one stands."""
    contents = {
        CONFIG: 'version = 2\nimports = ["conf.d/*.toml"]\n',
        "/etc/containerd/conf.d/cri.toml": f'version = 2\n[plugins."{V2}"]\nsandbox_image = "x"\n',
    }
    plan = planned(contents)
    changed = parsed(plan, "/etc/containerd/conf.d/cri.toml")["plugins"][V2]
    assert changed == {"sandbox_image": "x", "registry": {"config_path": CERTS}}
    assert CONFIG not in [change.path for change in plan.needed]


def test_cri_that_is_off_needs_no_config_path() -> None:
    """Docker's package switches CRI off: only hosts.toml is written, and a note says for whom."""
    plan = planned({CONFIG: 'disabled_plugins = ["cri"]\n'})
    assert [change.path for change in plan.needed] == [DEFAULT]
    assert "ctr images pull --hosts-dir" in plan.notes[0]


def test_our_host_is_first_and_theirs_stay() -> None:
    """Hosts are tried in the order of the file; comments stay with what they are about."""
    text = (
        'server = "https://ghcr.io"\n\n# the old mirror\n[host."https://old.example"]\n'
        '  capabilities = ["pull"]\n  [host."https://old.example".header]\n    x = "secret"\n'
    )
    plan = planned({f"{CERTS}/ghcr.io/hosts.toml": text}, "ghcr.io")
    document = parsed(plan, f"{CERTS}/ghcr.io/hosts.toml")
    assert list(document["host"]) == [DEFAULT_PROXY, "https://old.example"]
    assert document["server"] == "https://ghcr.io"
    assert document["host"]["https://old.example"]["header"] == {"x": "secret"}
    assert '# the old mirror\n[host."https://old.example"]' in after(
        plan, f"{CERTS}/ghcr.io/hosts.toml"
    )


def test_a_text_that_looks_like_a_table_is_none() -> None:
    """Lines within a string of many lines are no place for a table."""
    text = 'server = """\n[host."x"]\n"""\n[host."https://old.example"]\n'
    plan = planned({DEFAULT: text})
    assert parsed(plan, DEFAULT)["server"] == '[host."x"]\n'


def test_a_host_that_is_there_by_hand_stays_by_hand() -> None:
    """Nothing is put in twice, so nothing of theirs is taken out later."""
    text = f'[host."{DEFAULT_PROXY}/"]\n  capabilities = ["pull", "resolve"]\n'
    assert (
        planned({DEFAULT: text, CONFIG: f'[plugins.cri.registry]\nconfig_path="{CERTS}"\n'}).needed
        == ()
    )


@pytest.mark.parametrize(
    ("registry", "present", "path"),
    [
        ("r.example:5000", "", f"{CERTS}/r.example_5000_/hosts.toml"),
        ("r.example:5000", f"{CERTS}/r.example:5000", f"{CERTS}/r.example:5000/hosts.toml"),
        ("ghcr.io", f"{CERTS}/_default", f"{CERTS}/ghcr.io/hosts.toml"),
        ("[::1]:5000", f"{CERTS}/[::1]_5000_", f"{CERTS}/[::1]_5000_/hosts.toml"),
    ],
)
def test_a_registry_has_a_directory(registry: str, present: str, path: str) -> None:
    """The one that containerd finds first, if there is one; never _default for a single name."""
    contents = {f"{present}/hosts.toml": "# theirs\n"} if present else {}
    paths = [change.path for change in planned(contents, registry).needed]
    assert path in paths


def test_own_directories_are_told_of() -> None:
    """With _default set up, registries that do not look there are named with the way out."""
    plan = planned({f"{CERTS}/ghcr.io/hosts.toml": 'server = "https://ghcr.io"\n'})
    assert any("add --registry ghcr.io" in note for note in plan.notes)


@pytest.mark.parametrize(
    ("contents", "told"),
    [
        (
            {CONFIG: f'version = 2\n[plugins."{V2}".registry.mirrors."docker.io"]\n'},
            "old way (registry.mirrors)",
        ),
        (
            {CONFIG: f'version = 2\n[plugins."{V2}".registry.configs."r".tls]\nca_file = "x"\n'},
            "registry.configs.r.tls",
        ),
        ({CONFIG: f'version = 2\nplugins = {{"{V2}" = {{}}}}\n'}, "not written as a table"),
        ({CONFIG: "version = = 2"}, f"{CONFIG} is not TOML"),
        ({DEFAULT: "host = 1"}, "`host` is no table"),
        ({DEFAULT: 'host = {"https://x" = {}}\n'}, "cannot put a host before the others"),
        ({DEFAULT: b"\xff".decode("latin-1") + "= 1"}, f"{DEFAULT} is not TOML"),
        ({f"{CERTS}/_default/ca.crt": "pem"}, 'with `ca = "…"`'),
    ],
)
def test_what_cannot_be_merged_is_refused(contents: dict[str, str], told: str) -> None:
    """Nothing is guessed: the error names the file and the way out."""
    with pytest.raises(MirrorError) as caught:
        planned(contents)
    assert told in str(caught.value)


def test_credentials_in_the_old_tables_stay() -> None:
    """registry.configs.*.auth may stand beside config_path, and is not touched."""
    text = f'version = 2\n[plugins."{V2}".registry.configs."r.example".auth]\npassword = "p"\n'
    plan = planned({CONFIG: text})
    registry = parsed(plan, CONFIG)["plugins"][V2]["registry"]
    assert registry == {
        "configs": {"r.example": {"auth": {"password": "p"}}},
        "config_path": CERTS,
    }
    assert after(plan, CONFIG).startswith(text)
