"""The cluster's certificate authority, a pure function of the cluster key.

Every node makes the same CA, byte for byte: SSL torrents carry its certificate in their info
dictionary, so any difference would give the same blob different info-hashes. So nothing in it is
random or of its day: the private scalar and the serial number are derived, the signature is
deterministic (RFC 6979), the validity is fixed.
"""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from typing import TYPE_CHECKING

from eagle_node.base.errors import StartError
from eagle_node.trust.key import ClusterKey

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.x509 import Certificate, CertificateBuilder, KeyUsage

VALID_FROM = datetime.datetime(2000, 1, 1, tzinfo=datetime.UTC)
VALID_TO = datetime.datetime(9999, 12, 31, 23, 59, 59, tzinfo=datetime.UTC)
"""RFC 5280 4.1.2.5: never expires. Removing the key from the ring is what ends trust here, and a
node whose clock is wrong must still find its peers."""

_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
"""Order of the group of P-256 (NIST SP 800-186, 3.2.1.3)."""
_SCALAR_BYTES = 40
"""64 bits more than the order has, so that the remainder is uniform (FIPS 186-5, A.2.1)."""
_SERIAL_BYTES = 15
"""Within the 20 octets of RFC 5280 4.1.2.2, and positive."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Authority:
    """A CA: signs certificates of nodes."""

    certificate: Certificate
    private_key: EllipticCurvePrivateKey

    @property
    def pem(self) -> bytes:
        """The certificate in PEM."""
        from cryptography.hazmat.primitives.serialization import Encoding

        return self.certificate.public_bytes(Encoding.PEM)


def authority_of(key: ClusterKey) -> Authority:
    """The CA of ``key``'s primary."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.hashes import SHA256

    private_key = ec.derive_private_key(_scalar(key), ec.SECP256R1())
    try:
        certificate = _builder(key, private_key).sign(
            private_key, SHA256(), ecdsa_deterministic=True
        )
    except UnsupportedAlgorithm as error:
        raise StartError(
            "a cluster key needs deterministic signatures (OpenSSL 3.2 or later within the "
            "cryptography package); install the package from its wheel"
        ) from error
    return Authority(certificate=certificate, private_key=private_key)


def _scalar(key: ClusterKey) -> int:
    """A number in ``[1, order - 1]``."""
    return int.from_bytes(key.derive("ca scalar", _SCALAR_BYTES)) % (_ORDER - 1) + 1


def _builder(key: ClusterKey, private_key: EllipticCurvePrivateKey) -> CertificateBuilder:
    from cryptography import x509
    from cryptography.x509.oid import NameOID

    public_key = private_key.public_key()
    # Tells the CAs of a key ring apart, which verifiers look up by name.
    label = key.derive("ca name", 4).hex()
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"eagle-node cluster {label}")])
    serial = int.from_bytes(key.derive("ca serial", _SERIAL_BYTES)) | 1
    identifier = x509.SubjectKeyIdentifier.from_public_key(public_key)
    return (
        x509.CertificateBuilder(issuer_name=name, subject_name=name)
        .public_key(public_key)
        .serial_number(serial)
        .not_valid_before(VALID_FROM)
        .not_valid_after(VALID_TO)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(key_usage(signs_certificates=True), critical=True)
        .add_extension(identifier, critical=False)
    )


def key_usage(*, signs_certificates: bool) -> KeyUsage:
    """The extension for a CA, or for a node."""
    from cryptography import x509

    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
