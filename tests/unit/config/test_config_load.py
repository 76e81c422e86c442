"""Where settings come from, and what several of them tell together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from eagle_node.base.errors import UsageError
from eagle_node.config.load import FILE_VARIABLE, assemble, load, service_file
from eagle_node.config.sources import from_environment, from_flags
from eagle_node.config.tree import Config, Role, StoreChoice
from eagle_node.runtime.sockets import Address

DATA = Path("/var/lib/eagle-node")
PINS = {"seeder": ["10.0.0.1"], "tracker": ["http://10.0.0.1:6969"]}


def from_flags_only(flags: Mapping[str, Sequence[str]]) -> Config:
    """The configuration of a command line."""
    return assemble(from_flags(flags), default_data_dir=DATA)


def test_nothing_said_is_the_default_tree() -> None:
    """The defaults of the product are those of the tree, all four roles included."""
    assert from_flags_only({}) == Config()


def test_flag_wins_over_environment_over_file_over_default(tmp_path: Path) -> None:
    """Each source yields to the one nearer to the user."""
    file = tmp_path / "node.toml"
    file.write_text('cache-size = "1MB"\nupload-limit = "1MB"\nrack = "file"\n')
    config = load(
        {"cache-size": ["3MB"]},
        file=str(file),
        environment={"EAGLE_NODE_CACHE_SIZE": "2MB", "EAGLE_NODE_UPLOAD_LIMIT": "2MB"},
    )
    assert config.cache.size == 3_000_000
    assert config.limits.upload == 2_000_000
    assert config.node.rack == "file"
    assert config.limits.download == 0


def test_opentelemetrys_own_variable_counts_least(tmp_path: Path) -> None:
    """It is there for all programs of a host; what is said to this one comes first."""
    file = tmp_path / "node.toml"
    file.write_text('otlp-endpoint = "http://file:4318"\n')
    shared = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://shared:4318/"}
    assert load({}, file=None, environment={}).trace.endpoint == ""
    assert load({}, file=None, environment=shared).trace.endpoint == "http://shared:4318"
    assert load({}, file=str(file), environment=shared).trace.endpoint == "http://file:4318"


@pytest.mark.parametrize(
    ("text", "endpoint"),
    [
        ("http://10.0.0.9:4318", "http://10.0.0.9:4318"),
        ("https://otel.example/tenant/", "https://otel.example/tenant"),
        ("http://10.0.0.9:4318/v1/traces", "http://10.0.0.9:4318"),
    ],
)
def test_a_collector_by_its_base_or_its_traces(text: str, endpoint: str) -> None:
    """Both are what collectors' pages tell to configure."""
    assert from_flags_only({"otlp-endpoint": [text]}).trace.endpoint == endpoint


@pytest.mark.parametrize(
    "text", ["10.0.0.9:4318", "grpc://10.0.0.9:4317", "http://user:word@host:4318", "http://h?k=v"]
)
def test_what_is_no_collector_is_named(text: str) -> None:
    """With the form that is right; credentials go into OpenTelemetry's own variable."""
    with pytest.raises(UsageError, match=r"OTEL_EXPORTER_OTLP_ENDPOINT.*http://host:4318"):
        load({}, file=None, environment={"OTEL_EXPORTER_OTLP_ENDPOINT": text})


def test_the_environment_can_name_the_file(tmp_path: Path) -> None:
    """``EAGLE_NODE_CONFIG`` stands for ``--config``, which wins over it."""
    (tmp_path / "a.toml").write_text('rack = "a"')
    (tmp_path / "b.toml").write_text('rack = "b"')
    environment = {"EAGLE_NODE_CONFIG": str(tmp_path / "a.toml")}
    assert load({}, file=None, environment=environment).node.rack == "a"
    assert load({}, file=str(tmp_path / "b.toml"), environment=environment).node.rack == "b"


def test_commands_about_the_host_find_the_services_file(tmp_path: Path) -> None:
    """Only when none is named, by flag or environment, and only if it is there."""
    installed = tmp_path / "config.toml"
    assert service_file(None, {}, installed=installed) is None
    installed.touch()
    assert service_file(None, {}, installed=installed) == str(installed)
    assert service_file(None, {FILE_VARIABLE: "mine"}, installed=installed) == "mine"
    assert service_file("told", {FILE_VARIABLE: "mine"}, installed=installed) == "told"


def test_lists_are_replaced_not_joined() -> None:
    """A flag that repeats takes the place of the variable's whole list."""
    environment = {"EAGLE_NODE_SEEDER": "10.0.0.1 10.0.0.2:7", "EAGLE_NODE_RULE": r"a,b \d{2,3}"}
    config = load({"seeder": ["10.0.0.3"]}, file=None, environment=environment)
    assert config.seeder.pinned == (Address("10.0.0.3", 55008),)
    assert config.proxy.rules == ("a,b", r"\d{2,3}")


def test_other_variables_are_left_alone() -> None:
    """What Kubernetes injects for a service called eagle-node, and empty values, say nothing."""
    environment = {"EAGLE_NODE_SERVICE_HOST": "10.96.0.1", "EAGLE_NODE_ROLE": ""}
    assert from_environment(environment) == {}


def test_one_host_for_all_listeners_of_the_cluster() -> None:
    """``--listen-host`` moves swarm, metainfo and tracker, and keeps their ports."""
    config = from_flags_only({"listen-host": ["127.0.0.1"], "metainfo-port": ["0"]})
    assert config.swarm.listen_host == "127.0.0.1"
    assert config.seeder.metainfo_listen == Address("127.0.0.1", 0)
    assert config.tracker.listen == Address("127.0.0.1", 6969)
    assert config.cluster.gossip_listen == Address("127.0.0.1", 7946)
    assert config.cluster.raft_listen == Address("127.0.0.1", 7947)


@pytest.mark.parametrize(
    ("flags", "roles"),
    [
        ({}, set(Role)),
        (PINS, {Role.PROXY, Role.PEER}),
        ({**PINS, "role": ["auto"]}, {Role.PROXY, Role.PEER}),
        ({"seeder": ["10.0.0.1"]}, set(Role)),
        ({**PINS, "role": ["proxy,peer,seeder"]}, {Role.PROXY, Role.PEER, Role.SEEDER}),
        ({"role": ["tracker"]}, {Role.TRACKER}),
    ],
)
def test_roles(flags: Mapping[str, Sequence[str]], roles: set[Role]) -> None:
    """With seeder and tracker elsewhere a node is proxy and peer; alone it is everything."""
    config = from_flags_only(flags)
    assert config.node.roles == roles
    assert not config.cluster.enabled


BOTH = {Role.PROXY, Role.PEER}
ELECTED = {Role.SEEDER, Role.TRACKER}


@pytest.mark.parametrize(
    ("flags", "roles", "elected"),
    [
        ({"role": ["auto"]}, BOTH, ELECTED),
        ({"join": ["10.0.0.1"]}, BOTH, ELECTED),
        ({"vip": ["10.0.0.9/24"]}, BOTH, ELECTED),
        ({"role": ["auto"], "seeder": ["10.0.0.1"]}, BOTH, ELECTED),
        ({"role": ["auto"], "never": ["seeder,vip"]}, BOTH, {Role.TRACKER}),
        ({"role": ["auto,seeder"]}, BOTH | {Role.SEEDER}, {Role.TRACKER}),
        ({"role": ["proxy,peer"], "join": ["10.0.0.1"]}, BOTH, set()),
        ({"role": ["seeder"], "join": ["10.0.0.1"]}, {Role.SEEDER}, set()),
        ({**PINS, "join": ["10.0.0.1"]}, BOTH, ELECTED),
    ],
)
def test_elected_roles(
    flags: Mapping[str, Sequence[str]], roles: set[Role], elected: set[Role]
) -> None:
    """In a cluster a list of roles is all that a node gets; auto leaves the rest to leases."""
    config = from_flags_only(flags)
    assert config.cluster.enabled
    assert config.node.roles == roles
    assert config.cluster.elected == elected


@pytest.mark.parametrize(
    ("flags", "places"),
    [
        ({"role": ["auto"]}, ["mdns"]),
        ({"join": ["10.0.0.1", "dns:nodes.example"]}, ["10.0.0.1:7946", "dns:nodes.example:7946"]),
        ({"vip": ["10.0.0.9/24"], "gossip-port": ["7000"]}, ["mdns", "10.0.0.9:7000"]),
        ({"vip": ["10.0.0.9/24"], "join": ["10.0.0.9"]}, ["10.0.0.9:7946"]),
    ],
)
def test_places_to_look_at(flags: Mapping[str, Sequence[str]], places: list[str]) -> None:
    """The local network unless places are named; and whoever carries the virtual address."""
    assert list(map(str, from_flags_only(flags).discovery.join)) == places


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        ({"role": ["proxy,peer"]}, "needs a seeder: name one with --seeder"),
        ({"role": ["proxy,peer"], "seeder": ["10.0.0.1"]}, "needs a tracker: name one"),
        ({"role": ["seeder"]}, "needs a tracker: name one"),
        ({"role": ["seeder"], "never": ["seeder"], "join": ["a"]}, "which --never excludes"),
        ({"never": ["seeder"]}, "it needs --role auto or --join"),
        ({**PINS, "role": ["auto,seeder"]}, "--seeder and --tracker together rule out"),
        ({"upload-limit": ["5Q"]}, "--upload-limit: '5Q' is not a size"),
        (
            {"registry": ["a.io=https://b.example", "A.io=https://c.example"]},
            "registry a.io is configured twice",
        ),
    ],
)
def test_what_is_wrong_is_named(flags: Mapping[str, Sequence[str]], told: str) -> None:
    """Errors name the option, or the roles, and the way out."""
    with pytest.raises(UsageError) as caught:
        from_flags_only(flags)
    assert told in str(caught.value)


def test_a_wrong_variable_is_named() -> None:
    """An error in the environment names the variable, not the flag."""
    with pytest.raises(UsageError, match=r"^EAGLE_NODE_SWARM_PORT: 'tcp://1' is not a port"):
        from_environment({"EAGLE_NODE_SWARM_PORT": "tcp://1"})


def test_dedupe_needs_to_know_where_containerd_keeps_blobs() -> None:
    """Copies are dropped only where somebody else has been said to have them."""
    with pytest.raises(UsageError, match=r"--containerd-content auto"):
        load({"dedupe": ["true"]}, file=None, environment={})
    config = load(
        {"dedupe": ["true"], "containerd-content": ["/data/containerd"]}, file=None, environment={}
    )
    assert config.lending.dedupe
    assert config.lending.store == StoreChoice(path=Path("/data/containerd"))
    config = load({"containerd-content": ["auto"]}, file=None, environment={})
    assert config.lending.store == StoreChoice(path=None)
