"""Certificates of the hosts that the proxy opens, made when a client first asks for one."""

from __future__ import annotations

import datetime
import ipaddress
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from eagle_node.base.bounded import BoundedDict
from eagle_node.trust.authority import key_usage
from eagle_node.trust.chain import load_chain
from eagle_node.trust.local_ca import CLOCK_SKEW, LocalCa

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
    from cryptography.x509 import Certificate, GeneralName

VALID_FOR = datetime.timedelta(days=2)
"""Short, so that a leaf that leaks is soon worth nothing."""
_RENEW_BEFORE = datetime.timedelta(days=1)
"""Left at least when a leaf is shown: connections live for hours, and clocks differ."""
_MOST_KEPT = 256

Clock = Callable[[], datetime.datetime]


def utc_now() -> datetime.datetime:
    """The wall clock: certificates are about dates, not about time passed."""
    return datetime.datetime.now(datetime.UTC)


@dataclass(frozen=True, slots=True)
class _Kept:
    context: ssl.SSLContext
    until: datetime.datetime


class Leaves:
    """TLS for servers that stand in for other hosts, each with a certificate of ``ca``.

    All share one private key, which this process alone knows.
    """

    def __init__(self, ca: LocalCa, *, clock: Clock = utc_now) -> None:
        from cryptography.hazmat.primitives.asymmetric import ec

        self.ca = ca
        self._clock = clock
        self._private_key = ec.generate_private_key(ec.SECP256R1())
        self._kept: BoundedDict[str, _Kept] = BoundedDict(_MOST_KEPT)

    def context(self, host: str) -> ssl.SSLContext:
        """TLS as ``host`` (a DNS name in lower case, or an IP address), HTTP/1.1 within.

        A client that names another host in its hello (SNI) is sent away with an alert; one that
        names none is taken to mean this one.
        """
        now = self._clock()
        kept = self._kept.get(host)
        if kept is None or now >= kept.until:
            kept = self._make(host, now)
            self._kept[host] = kept
        self._kept.move_to_end(host)
        return kept.context

    def _make(self, host: str, now: datetime.datetime) -> _Kept:
        from cryptography.hazmat.primitives.serialization import (
            Encoding,
            NoEncryption,
            PrivateFormat,
        )

        end = min(now + VALID_FOR, self.ca.expires)
        certificate = _sign(self.ca, self._private_key.public_key(), host, now - CLOCK_SKEW, end)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_alpn_protocols(["http/1.1"])
        load_chain(
            context,
            key=self._private_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
            chain=certificate.public_bytes(Encoding.PEM) + self.ca.pem,
        )
        context.sni_callback = _agreeing(host)
        return _Kept(context, max(now, end - _RENEW_BEFORE))


def _agreeing(host: str) -> Callable[[ssl.SSLObject, str | None, ssl.SSLContext], int | None]:
    def check(_: ssl.SSLObject, named: str | None, __: ssl.SSLContext) -> int | None:
        if named is None or named.lower().removesuffix(".") == host:
            return None
        return ssl.AlertDescription.ALERT_DESCRIPTION_UNRECOGNIZED_NAME

    return check


def _sign(
    ca: LocalCa,
    public_key: EllipticCurvePublicKey,
    host: str,
    start: datetime.datetime,
    end: datetime.datetime,
) -> Certificate:
    from cryptography import x509
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    # No common name: constraints on DNS names would be held against it where there is none else.
    subject = x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, "eagle-node proxy")])
    identifier = ca.certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier)
    builder = (
        x509.CertificateBuilder(issuer_name=ca.certificate.subject, subject_name=subject)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(max(start, ca.certificate.not_valid_before_utc))
        .not_valid_after(end)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(key_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName([_general_name(host)]), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier.value),
            critical=False,
        )
    )
    return builder.sign(ca.private_key, SHA256())


def _general_name(host: str) -> GeneralName:
    from cryptography import x509

    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)
