"""The local CA: what it may sign, its file, and the certificates that it makes."""

from __future__ import annotations

import asyncio
import datetime
import os
import ssl
import stat
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from eagle_node.base.errors import UsageError
from eagle_node.trust.leaves import VALID_FOR, Leaves
from eagle_node.trust.local_ca import (
    LocalCa,
    create,
    load,
    mark_trusted,
    save,
    unmark_trusted,
)
from eagle_node.trust.local_ca_file import CannotOpen, LocalCaFile

NOW = datetime.datetime.now(datetime.UTC).replace(microsecond=0)


def shake_hands(leaves: Leaves, host: str, *, ca: LocalCa, named: str | None = None) -> str:
    """The serial number that a client of ``host`` sees once it has verified; or `ssl.SSLError`."""
    client_context = ssl.create_default_context(cadata=ca.pem.decode())
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    server = leaves.context(host).wrap_bio(to_server, to_client, server_side=True)
    client = client_context.wrap_bio(to_client, to_server, server_hostname=named or host)
    done: set[ssl.SSLObject] = set()
    while len(done) < 2:
        for end in (client, server):
            try:
                end.do_handshake()
                done.add(end)
            except ssl.SSLWantReadError:
                continue
    certificate = client.getpeercert()
    assert certificate is not None
    return str(certificate["serialNumber"])


@pytest.mark.parametrize(
    "host",
    ["ghcr.io", "a.example.com", "a.b.example.com", "10.0.0.5", "2001:db8::7", "localhost"],
)
def test_clients_believe_what_it_signs(host: str) -> None:
    """Names, names below them, and addresses, each in a certificate of its own kind."""
    ca = create(["ghcr.io", "example.com", "10.0.0.5", "2001:db8::7", "localhost"], now=NOW)
    assert ca.permits(host)
    shake_hands(Leaves(ca), host, ca=ca)


@pytest.mark.parametrize(
    ("hosts", "host"),
    [
        (["ghcr.io"], "evil.test"),
        (["ghcr.io"], "notghcr.io"),
        (["ghcr.io"], "10.0.0.5"),
        (["ghcr.io"], "2001:db8::7"),
        (["10.0.0.5"], "10.0.0.6"),
        (["10.0.0.5"], "2001:db8::7"),
        (["10.0.0.5"], "ghcr.io"),
        (["2001:db8::7"], "10.0.0.5"),
    ],
)
def test_clients_do_not_believe_it_about_other_hosts(hosts: list[str], host: str) -> None:
    """Whoever has the key: the client itself holds the certificate against the constraints."""
    ca = create(hosts, now=NOW)
    assert not ca.permits(host)
    with pytest.raises(ssl.SSLCertVerificationError, match=r"permitted subtree|excluded subtree"):
        shake_hands(Leaves(ca), host, ca=ca)


def test_an_unconstrained_ca_signs_any_host() -> None:
    """If that is what was asked for."""
    ca = create(None, now=NOW)
    assert ca.hosts is None
    for host in ("ghcr.io", "10.0.0.5"):
        assert ca.permits(host)
        shake_hands(Leaves(ca), host, ca=ca)


def test_it_signs_nothing_but_servers() -> None:
    """No further CAs, no clients, no code."""
    certificate = create(["ghcr.io"], now=NOW).certificate
    extensions = certificate.extensions
    basic = extensions.get_extension_for_class(x509.BasicConstraints)
    assert (basic.critical, basic.value) == (True, x509.BasicConstraints(ca=True, path_length=0))
    assert extensions.get_extension_for_class(x509.NameConstraints).critical
    usages = extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usages) == [ExtendedKeyUsageOID.SERVER_AUTH]


def test_two_cas_have_names_of_their_own() -> None:
    """Programs look a CA up by its name; an old one may still be installed."""
    one, two = create(["ghcr.io"], now=NOW), create(["ghcr.io"], now=NOW)
    assert one.certificate.subject != two.certificate.subject
    with pytest.raises(ssl.SSLCertVerificationError):
        shake_hands(Leaves(one), "ghcr.io", ca=two)


def test_a_hello_that_names_another_host_is_refused() -> None:
    """The certificate of one host is not shown to who asks for another."""
    ca = create(["ghcr.io"], now=NOW)
    with pytest.raises(ssl.SSLError):
        shake_hands(Leaves(ca), "ghcr.io", ca=ca, named="x.ghcr.io")


def test_certificates_are_kept_while_they_are_fresh() -> None:
    """And made anew in time."""
    now = NOW - VALID_FOR / 2
    ca = create(["ghcr.io"], now=now)
    leaves = Leaves(ca, clock=lambda: now)
    first = shake_hands(leaves, "ghcr.io", ca=ca)
    assert shake_hands(leaves, "ghcr.io", ca=ca) == first
    now += VALID_FOR / 2
    assert shake_hands(leaves, "ghcr.io", ca=ca) != first


def test_few_certificates_are_kept() -> None:
    """A wildcard has more names than there is memory."""
    ca = create(["example.com"], now=NOW)
    leaves = Leaves(ca)
    first = leaves.context("a.example.com")
    for number in range(256):
        leaves.context(f"n{number}.example.com")
    assert leaves.context("a.example.com") is not first


def test_the_file_is_private_and_reads_back(tmp_path: Path) -> None:
    """Key and certificate, for their owner only."""
    path = tmp_path / "data" / "local-ca.pem"
    ca = create(["ghcr.io"], now=NOW)
    save(ca, path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    loaded = load(path)
    assert loaded is not None
    assert loaded.pem == ca.pem
    assert loaded.private_key.private_numbers() == ca.private_key.private_numbers()
    assert [each.name for each in path.parent.iterdir()] == [path.name]


def test_the_file_belongs_to_whom_the_directory_does(tmp_path: Path) -> None:
    """A node that is not root reads the CA that root has made for it."""
    os.chown(tmp_path, 12345, 23456)
    path = tmp_path / "local-ca.pem"
    save(create(["ghcr.io"], now=NOW), path)
    assert (path.stat().st_uid, path.stat().st_gid) == (12345, 23456)


def test_a_file_that_is_wrong_is_a_usage_error(tmp_path: Path) -> None:
    """That names the file, and none of its content."""
    path = tmp_path / "local-ca.pem"
    assert load(path) is None
    one, two = create(["ghcr.io"], now=NOW), create(["ghcr.io"], now=NOW)
    save(LocalCa(certificate=one.certificate, private_key=two.private_key), path)
    with pytest.raises(UsageError, match="is not the one of the certificate"):
        load(path)
    path.chmod(0o640)
    with pytest.raises(UsageError, match=f"chmod 600 {path}"):
        load(path)
    path.chmod(0o600)
    path.write_bytes(b"secret")
    with pytest.raises(UsageError, match="holds no key and certificate") as caught:
        load(path)
    assert "secret" not in str(caught.value)


async def lack(file: LocalCaFile, host: str = "ghcr.io") -> str:
    """Why a host cannot be opened; empty if it can."""
    try:
        await file.leaves(host)
    except CannotOpen as error:
        return str(error)
    return ""


async def test_a_running_node_follows_the_file(tmp_path: Path) -> None:
    """Made, trusted, broken, replaced or removed; what is wrong is told with the way out."""
    path = tmp_path / "local-ca.pem"
    file = LocalCaFile(path)
    assert f"ca init --data-dir {tmp_path}" in await lack(file)
    one = create(["ghcr.io"], now=NOW)
    save(one, path)
    assert f"ca trust --data-dir {tmp_path}" in await lack(file)
    mark_trusted(one, path)
    first = await file.leaves("ghcr.io")
    assert await file.leaves("ghcr.io") is first
    assert "--replace" in await lack(file, "quay.io")
    path.chmod(0o644)
    assert "chmod 600" in await lack(file)
    other = create(["ghcr.io"], now=NOW)
    save(other, path)
    assert "ca trust" in await lack(file)
    mark_trusted(other, path)
    both = await asyncio.gather(file.leaves("ghcr.io"), file.leaves("ghcr.io"))
    assert both[0] is both[1]
    assert both[0].ca.pem == other.pem
    unmark_trusted(path)
    assert "ca trust" in await lack(file)
    path.unlink()
    assert "--replace" not in await lack(file)


async def test_an_expired_ca_is_none(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Clients would refuse its certificates; the log tells of it in time."""
    now = NOW
    path = tmp_path / "local-ca.pem"
    made = create(["ghcr.io"], now=NOW)
    save(made, path)
    mark_trusted(made, path)
    assert await lack(LocalCaFile(path, clock=lambda: now)) == ""
    assert "expires on" not in caplog.text
    now = made.expires - datetime.timedelta(days=30)
    assert await lack(LocalCaFile(path, clock=lambda: now)) == ""
    assert f"expires on {made.expires:%Y-%m-%d}" in caplog.text
    now = made.expires
    assert "has expired" in await lack(LocalCaFile(path, clock=lambda: now))
