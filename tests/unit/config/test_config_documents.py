"""README and examples against the table of options."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import pytest

from eagle_node.config.load import assemble
from eagle_node.config.options import GROUPS, OPTIONS
from eagle_node.config.toml_file import read_file
from eagle_node.config.tree import Config, Role

ROOT = Path(__file__).parents[3]
EXAMPLES = ROOT / "examples"
DATA = Path("/var/lib/eagle-node")
REGISTRY_KEYS = ("name", "url", "ca-file", "client-cert-file", "client-key-file")


def loaded(name: str) -> Config:
    """The configuration that an example file makes alone."""
    return assemble(read_file(EXAMPLES / "config" / name), default_data_dir=DATA)


def test_the_readme_has_every_option() -> None:
    """The table in the README is the table of options, in its order and words."""
    rows = []
    for heading, options in GROUPS.items():
        rows.append(f"| **{heading}** | |")
        for option in options:
            usage, meaning = f"{option.flag} {option.kind.metavar}", option.help
            usage, meaning = (cell.replace("|", r"\|") for cell in (usage, meaning))
            rows.append(f"| `{usage}` | {meaning} |")
    readme = (ROOT / "README.md").read_text()
    assert re.findall(r"^\| (?:\*\*|`--).*$", readme, re.MULTILINE) == rows


def test_the_readme_links_to_files_that_exist() -> None:
    """A stranger who follows a link arrives."""
    links = re.findall(r"\]\((?!https?://)([^)]+)\)", (ROOT / "README.md").read_text())
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_the_reference_file_is_the_defaults() -> None:
    """Every option stands in it, set to its default or commented out with an example."""
    assert loaded("reference.toml") == Config()
    text = (EXAMPLES / "config" / "reference.toml").read_text()
    options = re.sub(r"^# \[\[registry\]\]\n(?:# .*\n)*", "", text, flags=re.MULTILINE)
    keys = re.findall(r"^(?:# )?([a-z-]+) = ", options, re.MULTILINE)
    assert [key for key in keys if key in OPTIONS] == [o for o in OPTIONS if o != "registry"]
    assert "# [[registry]]" in text


def test_what_the_reference_file_comments_out_is_right() -> None:
    """The examples in comments are read once the sign is taken away."""
    text = (EXAMPLES / "config" / "reference.toml").read_text()
    for line in re.findall(r"^# ([a-z-]+ = .*)$", text, re.MULTILINE):
        assert set(tomllib.loads(line)) <= {*OPTIONS, *REGISTRY_KEYS}


def test_the_example_nodes_are_a_fleet() -> None:
    """The first node holds every role; the other one finds its seeder and tracker there."""
    first, other = loaded("first-node.toml"), loaded("other-node.toml")
    assert first.node.roles == frozenset(Role)
    assert other.node.roles == {Role.PROXY, Role.PEER}
    (seeder,) = other.seeder.pinned
    assert (seeder.host, seeder.port) == (first.node.advertise, first.seeder.metainfo_listen.port)
    assert other.tracker.pinned == (f"http://{first.node.advertise}:{first.tracker.listen.port}",)
    (registry,) = other.proxy.registries
    assert registry.ca_file == EXAMPLES / "config" / "registry-ca.pem"


@pytest.mark.parametrize("path", sorted((EXAMPLES / "config").glob("*.toml")), ids=lambda p: p.name)
def test_every_example_loads(path: Path) -> None:
    """No example is wrong."""
    loaded(path.name)


def test_runtimes_are_pointed_at_the_default_port() -> None:
    """containerd, docker and podman find a node that runs with its defaults."""
    proxy = str(Config().proxy.listen)
    hosts = tomllib.loads((EXAMPLES / "containerd" / "hosts.toml").read_text())
    assert hosts == {"host": {f"http://{proxy}": {"capabilities": ["pull", "resolve"]}}}
    docker = json.loads((EXAMPLES / "docker" / "daemon.json").read_text())
    assert docker == {"registry-mirrors": [f"http://{proxy}"]}
    https = EXAMPLES / "https-proxy"
    proxies = json.loads((https / "daemon.json").read_text())["proxies"]
    assert proxies["https-proxy"] == proxies["http-proxy"] == f"http://{proxy}"
    assert f'"HTTPS_PROXY=http://{proxy}"' in (https / "proxy.conf").read_text()
    podman = tomllib.loads((EXAMPLES / "podman" / "eagle-node.conf").read_text())
    for registry in podman["registry"]:
        assert registry["location"] == registry["prefix"]
        (mirror,) = registry["mirror"]
        assert mirror == {"location": f"{proxy}/{registry['prefix']}", "insecure": True}
