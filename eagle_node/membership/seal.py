"""What makes bytes belong to one cluster: AES-256-GCM under the cluster key, or its name alone.

::

    version (1) │ mode (1) │ cluster (4) │ content                                       clear
    version (1) │ mode (1) │ cluster (4) │ key id (4) │ salt (12) │ counter (12) │
                                             encrypted content, tag (16)                 sealed

``cluster`` is a digest of the cluster's name, to tell strangers from damage; the full name is
associated data, with the header and what the bytes are for. Each process draws a salt and derives
its own encryption key from the key ring's and the salt, so its nonces are a plain counter: random
nonces under one key for a whole cluster would run into the limit of 2^32 (NIST SP 800-38D, 8.3)
within weeks. The primary key seals, every key of the ring opens.
"""

from __future__ import annotations

import enum
import hashlib
import secrets
from functools import lru_cache
from typing import TYPE_CHECKING

from eagle_node.base.errors import EagleError
from eagle_node.trust.key import ClusterKey

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

VERSION = 1
OVERHEAD = 1 + 1 + 4 + 4 + 12 + 12 + 16
"""Bytes that a seal adds at the most."""

_CLEAR, _SEALED = 0, 1
_CLEAR_HEAD, _SEALED_HEAD = 6, 34
_TAG = 16
_CIPHERS = 4096
"""Other processes' derived keys that are remembered: a larger cluster derives some anew."""


class Reason(enum.StrEnum):
    """Why bytes are not for us; the metric's label."""

    GARBAGE = "garbage"
    """No message of any version."""
    VERSION = "version"
    CLUSTER = "cluster"
    """Of a cluster of another name."""
    KEY = "key"
    """Sealed with a key that is not in the ring."""
    CLEAR = "clear"
    """Not sealed, and we have a key."""
    SEALED = "sealed"
    """Sealed, and we have none."""
    FORGED = "forged"
    """Names a key of ours, but was not sealed with it, for this use, or was altered."""
    MALFORMED = "malformed"
    """Of this cluster, and still no message."""


class Foreign(EagleError):
    """Bytes that are not from this cluster."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(f"not of this cluster ({reason})")
        self.reason = reason


class Seal:
    """Seals and opens for one process. Without keys only the cluster's name is checked."""

    def __init__(self, cluster: str, keys: ClusterKey | None) -> None:
        self._name = cluster.encode()
        self._tag = hashlib.sha256(self._name).digest()[:4]
        self._salt = secrets.token_bytes(12)
        self._counter = 0
        self._keys: dict[bytes, bytes] = {}
        self._primary = b""
        self.use(keys)

    @property
    def encrypts(self) -> bool:
        """Whether there is a key."""
        return bool(self._keys)

    def use(self, keys: ClusterKey | None) -> None:
        """From here on seal with the primary of ``keys`` and open with any of them."""
        ids = keys.derive_all("gossip id", 4) if keys else ()
        secrets_ = keys.derive_all("gossip") if keys else ()
        self._keys = dict(zip(ids, secrets_, strict=True))
        self._primary = ids[0] if ids else b""

    def seal(self, content: bytes, use: bytes) -> bytes:
        """``content`` for ``use``: the same bytes must be given to open it."""
        if not self._keys:
            return bytes((VERSION, _CLEAR)) + self._tag + content
        self._counter += 1
        nonce = self._counter.to_bytes(12)
        head = bytes((VERSION, _SEALED)) + self._tag + self._primary + self._salt + nonce
        cipher = _cipher(self._keys[self._primary], self._salt)
        return head + cipher.encrypt(nonce, content, self._associated(head, use))

    def open(self, data: bytes, use: bytes) -> bytes:
        """The content of what another process of the cluster has sealed; `Foreign` otherwise."""
        if len(data) < _CLEAR_HEAD or data[1] not in (_CLEAR, _SEALED):
            raise Foreign(Reason.GARBAGE)
        if data[0] != VERSION:
            raise Foreign(Reason.VERSION)
        if data[2:_CLEAR_HEAD] != self._tag:
            raise Foreign(Reason.CLUSTER)
        if data[1] == _CLEAR:
            if self._keys:
                raise Foreign(Reason.CLEAR)
            return data[_CLEAR_HEAD:]
        if not self._keys:
            raise Foreign(Reason.SEALED)
        return self._unsealed(data, use)

    def _unsealed(self, data: bytes, use: bytes) -> bytes:
        from cryptography.exceptions import InvalidTag

        if len(data) < _SEALED_HEAD + _TAG:
            raise Foreign(Reason.GARBAGE)
        key = self._keys.get(data[6:10])
        if key is None:
            raise Foreign(Reason.KEY)
        head, content = data[:_SEALED_HEAD], data[_SEALED_HEAD:]
        try:
            return _cipher(key, data[10:22]).decrypt(
                data[22:_SEALED_HEAD], content, self._associated(head, use)
            )
        except InvalidTag as error:
            raise Foreign(Reason.FORGED) from error

    def _associated(self, head: bytes, use: bytes) -> bytes:
        return head + len(self._name).to_bytes(2) + self._name + use


@lru_cache(_CIPHERS)
def _cipher(key: bytes, salt: bytes) -> AESGCM:
    """The cipher of one process under one key of the ring."""
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

    return AESGCM(HKDFExpand(algorithm=SHA256(), length=32, info=b"process " + salt).derive(key))
