"""This process's certificate, and TLS made from it for HTTP, gRPC and BitTorrent."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from eagle_node.trust.authority import (
    VALID_FROM,
    VALID_TO,
    Authority,
    authority_of,
    key_usage,
)
from eagle_node.trust.chain import load_chain
from eagle_node.trust.dh import FFDHE2048
from eagle_node.trust.key import ClusterKey

if TYPE_CHECKING:
    import grpc
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
    from cryptography.x509 import Certificate

SERVER_NAME = "eagle-node"
"""The DNS name in every node's certificate. gRPC clients must be told to expect it, by the channel
option ``grpc.ssl_target_name_override``."""

_ANY_TORRENT = "*"
"""Common name that libtorrent takes for any torrent (its manual, "SSL torrents")."""


class TorrentFiles(NamedTuple):
    """What SSL torrents need, in PEM."""

    root: bytes
    """The CA that torrents carry."""
    certificate: bytes
    key: bytes
    dh_params: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeIdentity:
    """A certificate of the cluster's CA, with its key; all in PEM."""

    root: bytes
    """The CA of the primary key, the same bytes on every node."""
    trusted: bytes
    """The CAs of all keys of the ring: peers may show a certificate of any of them."""
    certificate: bytes
    key: bytes = field(repr=False)

    def ssl_context(self, *, server: bool) -> ssl.SSLContext:
        """TLS 1.3 in which both ends must be nodes of this cluster.

        Names are not checked: every member is trusted alike, at whatever address.
        """
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if server else ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.check_hostname = False
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(cadata=self.trusted.decode())
        load_chain(context, key=self.key, chain=self.certificate)
        return context

    def grpc_server_credentials(self) -> grpc.ServerCredentials:
        """For servers that only nodes of this cluster may call."""
        import grpc

        return grpc.ssl_server_credentials(
            [(self.key, self.certificate)],
            root_certificates=self.trusted,
            require_client_auth=True,
        )

    def grpc_channel_credentials(self) -> grpc.ChannelCredentials:
        """For channels to such servers; to be used with `SERVER_NAME`."""
        import grpc

        return grpc.ssl_channel_credentials(
            root_certificates=self.trusted,
            private_key=self.key,
            certificate_chain=self.certificate,
        )

    def torrent_identity(self) -> TorrentFiles:
        """For SSL torrents, whose only CA is the primary key's: it is part of their info-hash."""
        return TorrentFiles(self.root, self.certificate, self.key, FFDHE2048)


def node_identity(key: ClusterKey) -> NodeIdentity:
    """A new identity for this process; two calls give two, of the same cluster."""
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    authorities = [authority_of(each) for each in key.ring()]
    private_key = ec.generate_private_key(ec.SECP256R1())
    certificate = _certificate(authorities[0], private_key.public_key())
    return NodeIdentity(
        root=authorities[0].pem,
        trusted=b"".join(authority.pem for authority in authorities),
        certificate=certificate.public_bytes(Encoding.PEM),
        key=private_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
    )


def _certificate(authority: Authority, public_key: EllipticCurvePublicKey) -> Certificate:
    from cryptography import x509
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, _ANY_TORRENT)])
    identifiers = authority.certificate.extensions.get_extension_for_class(
        x509.SubjectKeyIdentifier
    )
    usages = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    builder = (
        x509.CertificateBuilder(issuer_name=authority.certificate.subject, subject_name=name)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(VALID_FROM)
        .not_valid_after(VALID_TO)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(key_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(SERVER_NAME)]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifiers.value),
            critical=False,
        )
    )
    return builder.sign(authority.private_key, SHA256())
