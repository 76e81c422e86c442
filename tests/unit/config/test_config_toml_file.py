"""The configuration file."""

from __future__ import annotations

from pathlib import Path

import pytest

from eagle_node.base.errors import UsageError
from eagle_node.config.load import assemble
from eagle_node.config.toml_file import parse_toml, read_file
from eagle_node.config.tree import Config, RegistryConfig
from eagle_node.runtime.sockets import Address

PATH = Path("/etc/eagle-node/node.toml")


def parsed(text: str) -> Config:
    """The configuration that a file makes alone."""
    return assemble(parse_toml(text, PATH), default_data_dir=Path("/var/lib/eagle-node"))


def test_keys_are_the_flags_names() -> None:
    """Values are TOML's own types, or the texts that the flags take."""
    config = parsed(
        """
        cache-size = "100GiB"
        upload-limit = 50000000
        swarm-port = 0
        only-configured = true
        swarm-stall = 2.5
        seeder = ["10.0.0.1", "10.0.0.2:7"]
        tracker = "http://10.0.0.1:6969"
        role = "proxy,peer"
        """
    )
    assert config.cache.size == 100 << 30
    assert config.limits.upload == 50_000_000
    assert config.swarm.port == 0
    assert config.proxy.only_configured
    assert config.swarm.stall_s == 2.5
    assert config.seeder.pinned == (Address("10.0.0.1", 55008), Address("10.0.0.2", 7))
    assert config.tracker.pinned == ("http://10.0.0.1:6969",)


def test_registries_are_tables() -> None:
    """A registry brings its own trust; relative names count from the file's directory."""
    config = parsed(
        """
        [[registry]]
        name = "ghcr.io"
        url = "https://harbor.example"
        ca-file = "harbor-ca.pem"
        client-cert-file = "/etc/pki/node.pem"
        client-key-file = "/etc/pki/node.key"

        [[registry]]
        name = "localhost:5000"
        url = "http://localhost:5000"
        """
    )
    assert config.proxy.registries == (
        RegistryConfig(
            name="ghcr.io",
            url="https://harbor.example",
            ca_file=Path("/etc/eagle-node/harbor-ca.pem"),
            client_cert_file=Path("/etc/pki/node.pem"),
            client_key_file=Path("/etc/pki/node.key"),
        ),
        RegistryConfig(name="localhost:5000", url="http://localhost:5000"),
    )


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("\nupload-limt = 5", f"{PATH}:2: upload-limt: unknown key; did you mean upload-limit?"),
        ("upload_limit = 5", "did you mean upload-limit?"),
        ("[cache]\nsize = 5", f"{PATH}:1: cache: unknown key; did you mean cache-size?"),
        ("qqq = 1", f"{PATH}:1: qqq: unknown key"),
        ("rack = 7", f"{PATH}:1: rack: 7 is not a string"),
        ("swarm-port = '61007'", "swarm-port: '61007' is not a whole number"),
        ("swarm-port = true", "swarm-port: true is not a whole number"),
        ("only-configured = 'true'", "'true' is not true or false"),
        ("cache-size = 1.5", 'cache-size: 1.5 is not a size like "50MB" or 50000000'),
        ("cache-size = '1.5X'", f"{PATH}:1: cache-size: '1.5X' is not a size"),
        ("seeder = [1]", "seeder: 1 is not a string or a list of such"),
        ("rack = ['a']", "rack: ['a'] is not a string"),
        ("registry = 'a=b'", "registry: 'a=b' is not a [[registry]] table"),
        ("[registry]\nname = 'a'", "is not a [[registry]] table"),
        ("[[registry]]\nname = 'a'", "a [[registry]] table has no url"),
        (
            "[[registry]]\nname = 'a'\nurl = 'http://a'\nca_file = 'x'",
            f"{PATH}:4: [[registry]] ca_file: unknown key; did you mean ca-file?",
        ),
        ("[[registry]]\nname = 1", f"{PATH}:2: [[registry]] name: 1 is not a string"),
        (
            "[[registry]]\nname = 'a'\nurl = 'a'",
            f"{PATH}:1: registry a: 'a' is not a base URL; write https://host[:port]",
        ),
        (
            "[[registry]]\nname = 'a'\nurl = 'http://a'\nclient-cert-file = 'x'",
            "registry a: client-cert-file and client-key-file go together",
        ),
        ("rack = ", f"{PATH}: not TOML"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(text: str, told: str) -> None:
    """An error names the file, the line, the key and what would be right."""
    with pytest.raises(UsageError) as caught:
        parsed(text)
    assert told in str(caught.value)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    """A missing file, a directory and foreign bytes are usage errors, not tracebacks."""
    (tmp_path / "latin.toml").write_bytes(b'rack = "\xe9"')
    for name, told in [
        ("none.toml", "No such file"),
        (".", "Is a directory"),
        ("latin.toml", "UTF-8"),
    ]:
        with pytest.raises(UsageError, match=told) as caught:
            read_file(tmp_path / name)
        assert str(tmp_path) in str(caught.value)
