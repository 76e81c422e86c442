"""The examples for places to run in, against the program's own tables and routes.

Their formats are checked elsewhere: units by systemd itself (integration), Kubernetes' by its
schemas (``make package-check``).
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from eagle_node.cli.parser import parse_arguments
from eagle_node.config.load import load
from eagle_node.config.options import OPTIONS
from eagle_node.config.places import DnsTarget
from eagle_node.config.tree import Config, Role

ROOT = Path(__file__).parents[3]
EXAMPLES = ROOT / "examples"
DEBIAN = ROOT / "packaging" / "debian"

CONFIGURATIONS = [
    *sorted((EXAMPLES / "two-zones").glob("*.toml")),
    EXAMPLES / "s3" / "seeder.toml",
    DEBIAN / "config.toml",
]

COMPOSE_KEYS = {
    *("image", "command", "network_mode", "restart", "stop_grace_period", "read_only", "cap_drop"),
    *("security_opt", "ulimits", "environment", "volumes", "tmpfs"),
}
"""Of a service, in the Compose specification, that the example uses."""


def loaded(path: Path) -> Config:
    """The configuration of a node that is started with that file."""
    return load({}, file=str(path), environment={})


@pytest.mark.parametrize("path", CONFIGURATIONS, ids=lambda path: str(path.relative_to(ROOT)))
def test_configurations_load(path: Path) -> None:
    """Every file that an example tells to start a node with starts one."""
    loaded(path)


def test_what_the_packages_file_comments_out_is_right() -> None:
    """The lines that an administrator would uncomment are options with values that they take."""
    text = (DEBIAN / "config.toml").read_text()
    offered = re.findall(r"^# ([a-z-]+ = .*)$", text, re.MULTILINE)
    names = {next(iter(tomllib.loads(line))) for line in offered}
    assert names <= {*OPTIONS, "name", "url", "ca-file"}
    assert {"join", "zone", "cluster-key-file"} <= names


def test_the_package_elects_its_roles_and_stays_on_loopback() -> None:
    """A fresh node serves its own host only, and keeps its blobs where the unit may write."""
    config = loaded(DEBIAN / "config.toml")
    assert config.cluster.enabled
    assert config.proxy.listen.host == config.api.listen.host == "127.0.0.1"
    unit = (DEBIAN / "eagle-node.service").read_text()
    assert f"StateDirectory={config.node.data_dir.name}\n" in unit
    assert config.node.data_dir.parent == Path("/var/lib")


def test_two_zones_differ_in_their_label_only() -> None:
    """Both files join the same cluster at the same places."""
    a, b = (tomllib.loads((EXAMPLES / "two-zones" / f"zone-{z}.toml").read_text()) for z in "ab")
    assert (a.pop("zone"), b.pop("zone")) == ("eu-1a", "eu-1b")
    assert a == b


def test_the_seeder_keeps_blobs_in_a_bucket() -> None:
    """The storage URL names bucket, prefix, region and endpoint, and no credentials."""
    config = loaded(EXAMPLES / "s3" / "seeder.toml")
    assert Role.SEEDER in config.node.roles
    assert config.seeder.storage.startswith("s3://images/eagle-node?")


@pytest.fixture(scope="module")
def kubernetes() -> dict[str, dict[str, Any]]:
    """The documents of the Kubernetes example, by kind."""
    text = (EXAMPLES / "kubernetes" / "eagle-node.yaml").read_text()
    documents = list(yaml.safe_load_all(text))
    kinds = {document["kind"]: document for document in documents}
    assert len(kinds) == len(documents)
    return kinds


def test_kubernetes_nodes_find_each_other(
    kubernetes: dict[str, dict[str, Any]], tmp_path: Path
) -> None:
    """The file in the config map joins the headless service, which has pods that are not ready."""
    service = kubernetes["Service"]
    (tmp_path / "config.toml").write_text(kubernetes["ConfigMap"]["data"]["config.toml"])
    config = loaded(tmp_path / "config.toml")
    (target,) = config.discovery.join
    assert isinstance(target, DnsTarget)
    name, namespace = service["metadata"]["name"], service["metadata"]["namespace"]
    assert target.name == f"{name}.{namespace}.svc.cluster.local"
    assert service["spec"]["clusterIP"] == "None"
    assert service["spec"]["publishNotReadyAddresses"] is True
    ports = {port["port"] for port in service["spec"]["ports"]}
    assert ports == {config.cluster.gossip_listen.port}


def test_kubernetes_starts_the_program_with_its_files(kubernetes: dict[str, Any]) -> None:
    """Arguments and variables are the program's; each path that they name is mounted."""
    (container,) = kubernetes["DaemonSet"]["spec"]["template"]["spec"]["containers"]
    arguments = parse_arguments(container["args"])
    mounts = {mount["mountPath"] for mount in container["volumeMounts"]}
    config = tomllib.loads(kubernetes["ConfigMap"]["data"]["config.toml"])
    assert str(Path(arguments.config).parent) in mounts
    assert str(Path(config["cluster-key-file"]).parent) in mounts
    assert "/var/lib/eagle-node" in mounts
    variables = {option.variable for option in OPTIONS.values()}
    assert {each["name"] for each in container["env"]} <= variables


def test_kubernetes_probes_ask_the_control_api(kubernetes: dict[str, Any]) -> None:
    """Probes use the API's address and its two health routes; a start has two minutes."""
    (container,) = kubernetes["DaemonSet"]["spec"]["template"]["spec"]["containers"]
    listen = Config().api.listen
    probes = {name: container[f"{name}Probe"] for name in ("startup", "liveness", "readiness")}
    for name, probe in probes.items():
        asked = probe["httpGet"]
        assert (asked["host"], asked["port"]) == (listen.host, listen.port)
        assert asked["path"] == ("/readyz" if name == "readiness" else "/healthz")
    assert probes["startup"]["periodSeconds"] * probes["startup"]["failureThreshold"] == 120


def test_kubernetes_opens_the_ports_of_a_node(kubernetes: dict[str, Any]) -> None:
    """Other nodes reach those, and no more."""
    (container,) = kubernetes["DaemonSet"]["spec"]["template"]["spec"]["containers"]
    config = Config()
    wanted = {
        (config.swarm.ssl_port, "TCP"),
        (config.seeder.metainfo_listen.port, "TCP"),
        (config.tracker.listen.port, "TCP"),
        (config.cluster.gossip_listen.port, "TCP"),
        (config.cluster.gossip_listen.port, "UDP"),
        (config.cluster.raft_listen.port, "TCP"),
    }
    ports = container["ports"]
    assert {(port["containerPort"], port["protocol"]) for port in ports} == wanted
    assert all(port["hostPort"] == port["containerPort"] for port in ports)


def test_kubernetes_gives_no_rights(kubernetes: dict[str, Any]) -> None:
    """The service account may ask nothing, and the container may do nothing of the host's."""
    assert kubernetes["Role"]["rules"] == []
    pod = kubernetes["DaemonSet"]["spec"]["template"]["spec"]
    assert pod["serviceAccountName"] == kubernetes["ServiceAccount"]["metadata"]["name"]
    assert pod["automountServiceAccountToken"] is False
    (container,) = pod["containers"]
    context = container["securityContext"]
    assert context["capabilities"] == {"drop": ["ALL"]}
    assert context["readOnlyRootFilesystem"] is True
    assert {volume["name"] for volume in pod["volumes"]} == {
        mount["name"] for mount in container["volumeMounts"]
    }


def test_compose_starts_the_program() -> None:
    """One service on the host's network, with options that the program has."""
    document = yaml.safe_load((EXAMPLES / "compose" / "compose.yaml").read_text())
    assert set(document) == {"services", "volumes"}
    (service,) = document["services"].values()
    assert set(service) <= COMPOSE_KEYS
    assert service["network_mode"] == "host"
    assert parse_arguments(service["command"]).role == ["auto"]
    variables = {option.variable: option for option in OPTIONS.values()}
    for name, text in service["environment"].items():
        default = re.sub(r"\$\{[A-Z_]+:-(.*)\}", r"\1", text)
        variables[name].kind.parse(default)
    for volume in service["volumes"]:
        assert volume.partition(":")[0] in document["volumes"]


def test_every_example_is_in_the_list() -> None:
    """The list of examples has each directory, and no other."""
    listed = re.findall(r"\]\(([a-z0-9_-]+)\)", (EXAMPLES / "README.md").read_text())
    assert sorted(listed) == sorted(path.name for path in EXAMPLES.iterdir() if path.is_dir())


def test_links_in_documents_arrive() -> None:
    """Every file that a document of the project links to exists."""
    documents = [*ROOT.glob("*.md"), *EXAMPLES.rglob("*.md"), *(ROOT / "packaging").glob("*.md")]
    for document in documents:
        links = re.findall(r"\]\((?!https?://|#)([^)#]+)(?:#[^)]*)?\)", document.read_text())
        assert [link for link in links if not (document.parent / link).exists()] == [], document


def test_the_drop_in_for_the_address_gives_what_the_unit_takes() -> None:
    """Only with it has the service a capability, and packets of its own making."""
    unit = (DEBIAN / "eagle-node.service").read_text()
    assert "\nCapabilityBoundingSet=\n" in unit
    assert "AF_PACKET" not in unit
    drop_in = (EXAMPLES / "systemd" / "vip.conf").read_text()
    for name in ("CapabilityBoundingSet", "AmbientCapabilities"):
        assert f"\n{name}=CAP_NET_ADMIN CAP_NET_RAW\n" in drop_in
    assert "\nRestrictAddressFamilies=AF_PACKET\n" in drop_in
