"""This host's own certificate authority, with which the proxy opens HTTPS connections.

Its key could impersonate web sites to every program that trusts it, so it is bound to the names
that it was made for (name constraints, RFC 5280 section 4.2.1.10, critical): what is stolen with
the key is these hosts, not the internet.
"""

from __future__ import annotations

import datetime
import ipaddress
import os
import secrets
import socket
import stat
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from eagle_node.base.errors import UsageError
from eagle_node.trust.authority import key_usage

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import (
        EllipticCurvePrivateKey,
        EllipticCurvePublicKey,
    )
    from cryptography.x509 import Certificate, GeneralName, Name, NameConstraints

FILE_NAME = "local-ca.pem"
"""Within the data directory; holds the key, then the certificate."""
_TRUSTED_NAME = "local-ca.trusted"
"""Beside it; holds the fingerprint of the CA that this host's programs trust."""
VALID_FOR = datetime.timedelta(days=3650)
CLOCK_SKEW = datetime.timedelta(hours=1)
"""How far behind the clock of a client may be."""

_LONGEST_FILE = 64 << 10
_NO_NAME = "invalid"
"""A top-level domain that no name has (RFC 6761 section 6.4): permits DNS names nowhere."""
_ALL_ADDRESSES = ("0.0.0.0/0", "::/0")
"""Excluded, they leave no address to sign (CA/Browser Forum Baseline Requirements 7.1.2.10.8)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalCa:
    """The CA's certificate and key."""

    certificate: Certificate
    private_key: EllipticCurvePrivateKey = field(repr=False)

    @property
    def pem(self) -> bytes:
        """The certificate in PEM."""
        from cryptography.hazmat.primitives.serialization import Encoding

        return self.certificate.public_bytes(Encoding.PEM)

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the certificate, as browsers and ``openssl x509`` write it."""
        from cryptography.hazmat.primitives.hashes import SHA256

        return self.certificate.fingerprint(SHA256()).hex(":").upper()

    @property
    def expires(self) -> datetime.datetime:
        """When its certificates end to be valid, in UTC."""
        return self.certificate.not_valid_after_utc

    @property
    def hosts(self) -> Sequence[str] | None:
        """The hosts that it may sign, with all names below them; None: any."""
        constraints = _constraints(self.certificate)
        if constraints is None:
            return None
        permitted = [str(each.value) for each in constraints.permitted_subtrees or ()]
        hosts = (name.removesuffix("/32").removesuffix("/128") for name in permitted)
        return [host for host in hosts if host != _NO_NAME]

    def permits(self, host: str) -> bool:
        """Whether clients will believe a certificate of ``host`` (in lower case, or an IP)."""
        hosts = self.hosts
        return hosts is None or any(
            host == each or (host.endswith(f".{each}") and not _address(each)) for each in hosts
        )


def create(hosts: Iterable[str] | None, *, now: datetime.datetime) -> LocalCa:
    """A new CA for ``hosts``, DNS names (with what is below them) and IP addresses; None: any."""
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.x509.oid import ExtendedKeyUsageOID

    private_key = ec.generate_private_key(ec.SECP256R1())
    public_key = private_key.public_key()
    name = _name()
    builder = (
        x509.CertificateBuilder(issuer_name=name, subject_name=name)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - CLOCK_SKEW)
        .not_valid_after(now + VALID_FOR)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(key_usage(signs_certificates=True), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
    )
    if hosts is not None:
        builder = builder.add_extension(_limits(sorted(set(hosts))), critical=True)
    return LocalCa(certificate=builder.sign(private_key, SHA256()), private_key=private_key)


def save(ca: LocalCa, path: Path) -> None:
    """Write key and certificate in one step, for their owner only; `UsageError` if that fails.

    The owner is the directory's, when root writes for a node that runs as somebody else.
    """
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    key = ca.private_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            if os.geteuid() == 0:
                owner = path.parent.stat()
                os.fchown(descriptor, owner.st_uid, owner.st_gid)
            file.write(key + ca.pem)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise UsageError(f"cannot write {path}: {error.strerror}") from error


def load(path: Path) -> LocalCa | None:
    """The CA in a file; None without one, `UsageError` if it is not private or not well-formed."""
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            content = file.read(_LONGEST_FILE)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise UsageError(f"cannot read the local CA {path}: {error.strerror}") from error
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise UsageError(f"{path} holds a private key and is open to others; run: chmod 600 {path}")
    try:
        private_key = load_pem_private_key(content, password=None)
        certificate = x509.load_pem_x509_certificate(content)
    except (ValueError, TypeError) as error:
        raise UsageError(f"{path} holds no key and certificate in PEM: {error}") from error
    if not isinstance(private_key, ec.EllipticCurvePrivateKey) or not _belongs(
        private_key.public_key(), certificate
    ):
        raise UsageError(f"the key in {path} is not the one of the certificate in it")
    return LocalCa(certificate=certificate, private_key=private_key)


def mark_trusted(ca: LocalCa, path: Path) -> None:
    """Note that programs trust the CA in the file ``path``: from now on a node opens with it.

    Until then it must not, or each program that goes through it would fail.
    """
    marker = trust_marker(path)
    part = marker.with_name(f".{marker.name}.part")
    try:
        part.write_text(f"{ca.fingerprint}\n")
        part.chmod(0o644)
        os.replace(part, marker)
    except OSError as error:
        raise UsageError(f"cannot write {marker}: {error.strerror}") from error


def unmark_trusted(path: Path) -> None:
    """The opposite of `mark_trusted`, whatever the CA."""
    trust_marker(path).unlink(missing_ok=True)


def is_trusted(ca: LocalCa, path: Path) -> bool:
    """Whether programs trust this CA, and not only the one that it has replaced."""
    try:
        return trust_marker(path).read_text().strip() == ca.fingerprint
    except (OSError, UnicodeError):
        return False


def trust_marker(path: Path) -> Path:
    """The file that `mark_trusted` writes for the CA in the file ``path``."""
    return path.with_name(_TRUSTED_NAME)


def _belongs(public_key: EllipticCurvePublicKey, certificate: Certificate) -> bool:
    return certificate.public_key() == public_key


def _name() -> Name:
    """A name of its own: programs look CAs up by it, and an old one may still be installed."""
    from cryptography import x509
    from cryptography.x509.oid import NameOID

    host = socket.gethostname()[:32] or "host"
    text = f"eagle-node local CA {host} {secrets.token_hex(4)}"
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _limits(hosts: Sequence[str]) -> NameConstraints:
    """Each kind of name is constrained by itself, so a kind without hosts must be shut."""
    from cryptography import x509

    addresses = [_address(host) for host in hosts]
    networks = [ipaddress.ip_network(each) for each in addresses if each is not None]
    names = [host for host, each in zip(hosts, addresses, strict=True) if each is None]
    permitted: list[GeneralName] = [x509.DNSName(name) for name in names or [_NO_NAME]]
    permitted += [x509.IPAddress(network) for network in networks]
    shut = () if networks else map(ipaddress.ip_network, _ALL_ADDRESSES)
    excluded: list[GeneralName] = [x509.IPAddress(network) for network in shut]
    return x509.NameConstraints(permitted_subtrees=permitted, excluded_subtrees=excluded or None)


def _constraints(certificate: Certificate) -> NameConstraints | None:
    from cryptography import x509

    try:
        return certificate.extensions.get_extension_for_class(x509.NameConstraints).value
    except x509.ExtensionNotFound:
        return None


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None
