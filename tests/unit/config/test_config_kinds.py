"""How option values are read."""

from __future__ import annotations

from pathlib import Path

import pytest

from eagle_node.config import kinds
from eagle_node.config.kinds import Kind
from eagle_node.config.tree import RegistryConfig, Role, RoleChoice
from eagle_node.runtime.sockets import Address


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (kinds.SIZE, "50MB", 50_000_000),
        (kinds.SIZE, "50M", 50 << 20),
        (kinds.PORT, "0", 0),
        (kinds.PORT, "65535", 65535),
        (kinds.SECONDS, "2.5", 2.5),
        (kinds.SECONDS_OR_NONE, "0", 0.0),
        (kinds.SECONDS_OR_NONE, "2.5", 2.5),
        (kinds.SWITCH, "True", True),
        (kinds.ROLES, "auto", RoleChoice(auto=True)),
        (kinds.ROLES, "proxy, Peer", RoleChoice(roles=frozenset({Role.PROXY, Role.PEER}))),
        (kinds.ROLES, "auto,seeder", RoleChoice(auto=True, roles=frozenset({Role.SEEDER}))),
        (kinds.NEVER, "vip, Voter", frozenset({"vip", "voter"})),
        (kinds.REACHABLE_IP, "192.0.2.7", "192.0.2.7"),
        (kinds.REACHABLE_IP, "2001:DB8:0::7", "2001:db8::7"),
        (kinds.IP, "0.0.0.0", "0.0.0.0"),
        (kinds.TRACKER_URL, "http://10.0.0.1:6969/", "http://10.0.0.1:6969"),
        (kinds.STORAGE_URL, "s3://bucket/prefix", "s3://bucket/prefix"),
        (kinds.REGISTRY_NAME, "GHCR.io", "ghcr.io"),
        (kinds.REGISTRY_NAME, "localhost:5000", "localhost:5000"),
        (
            kinds.REGISTRY,
            "ghcr.io=https://harbor.example:8443/",
            RegistryConfig(name="ghcr.io", url="https://harbor.example:8443"),
        ),
        (
            kinds.REGISTRY,
            "[::1]:5000=http://[::1]:5000",
            RegistryConfig(name="[::1]:5000", url="http://[::1]:5000"),
        ),
        (kinds.RULE, r"/blobs/sha256:", r"/blobs/sha256:"),
        (kinds.address(7), "10.0.0.1", Address("10.0.0.1", 7)),
        (kinds.address(7), "seeder-1.example:55008", Address("seeder-1.example", 55008)),
        (kinds.address(7), "[2001:db8::7]:55008", Address("2001:db8::7", 55008)),
        (kinds.address(7), "2001:db8::7", Address("2001:db8::7", 7)),
        (kinds.count(least=1), "1", 1),
        (kinds.one_of("text", "json"), "json", "json"),
        (kinds.PATH, "/etc/eagle-node/key", Path("/etc/eagle-node/key")),
    ],
)
def test_right_values(kind: Kind, text: str, value: object) -> None:
    """Each kind reads the forms that its help promises."""
    assert kind.parse(text) == value


@pytest.mark.parametrize(
    ("kind", "text", "told"),
    [
        (kinds.SIZE, "50X", "50MB"),
        (kinds.SIZE, "9" * 400, "is not a size"),
        (kinds.PORT, "65536", "1 to 65535"),
        (kinds.PORT, "http", "1 to 65535"),
        (kinds.SECONDS, "0", "seconds above 0"),
        (kinds.SECONDS, "-1", "seconds above 0"),
        (kinds.SECONDS_OR_NONE, "-0", "seconds above 0"),
        (kinds.SECONDS, "nan", "seconds above 0"),
        (kinds.SWITCH, "yes", "true or false"),
        (kinds.ROLES, "proxy,peeer", "did you mean peer?"),
        (kinds.ROLES, "autom", "did you mean auto?"),
        (kinds.NEVER, "proxy", "'proxy' is not a role to exclude"),
        (kinds.ROLES, "", "proxy,peer,seeder,tracker"),
        (kinds.REACHABLE_IP, "node-1", "is not an IP address"),
        (kinds.REACHABLE_IP, "0.0.0.0", "reaches no node"),
        (kinds.REACHABLE_IP, "ff02::1", "reaches no node"),
        (kinds.TRACKER_URL, "10.0.0.1:6969", "http://host:port"),
        (kinds.TRACKER_URL, "http://user@10.0.0.1", "http://host:port"),
        (kinds.TRACKER_URL, "http://10.0.0.1:99999", "http://host:port"),
        (kinds.STORAGE_URL, "/var/blobs", "file:///dir"),
        (kinds.REGISTRY_NAME, "https://ghcr.io", "host or host:port"),
        (kinds.REGISTRY, "ghcr.io", "NAME=URL"),
        (kinds.REGISTRY, "ghcr.io=harbor.example", "https://host[:port]"),
        (kinds.REGISTRY, "ghcr.io=https://harbor.example/v2", "https://host[:port]"),
        (kinds.REGISTRY, "gh cr=https://harbor.example", "host or host:port"),
        (kinds.RULE, "(", "regular expression"),
        (kinds.RULE, "", "matches everything"),
        (kinds.address(7), "8080", "host:port"),
        (kinds.address(7), ":8080", "host:port"),
        (kinds.address(7), "a:b:c", "host:port"),
        (kinds.address(7), "[::1", "host:port"),
        (kinds.address(7), "host:port", "host:port"),
        (kinds.count(least=1), "0", "at least 1"),
        (kinds.one_of("text", "json"), "jsn", "did you mean json?"),
        (kinds.NAME, " ", "empty"),
        (kinds.TEXT, "a\nb", "printable"),
        (kinds.PATH, "", "not a file name"),
    ],
)
def test_wrong_values_tell_the_right_forms(kind: Kind, text: str, told: str) -> None:
    """A value that is refused comes with what to write instead."""
    with pytest.raises(ValueError) as caught:
        kind.parse(text)
    assert told in str(caught.value)
