"""The cluster key: a file of 32-byte secrets, the first of which is in use."""

from __future__ import annotations

import base64
import binascii
import os
import re
import secrets
import stat
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from eagle_node.base.errors import UsageError

KEY_BYTES = 32

_FLAG = "--cluster-key-file"
_LONGEST_FILE = 64 << 10
_HEX = re.compile(r"[0-9a-fA-F]{64}\Z")
_CONTEXT = b"eagle-node/1 "
"""Begins the HKDF info of every derived key; the number changes when derivation does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterKey:
    """The key ring: ``primary`` signs and encrypts, the others are accepted as well.

    To change the key without an outage, first add the new one as a second line everywhere, then
    make it the first line everywhere, then remove the old one.
    """

    primary: bytes = field(repr=False)
    others: tuple[bytes, ...] = field(default=(), repr=False)

    def derive(self, label: str, length: int = KEY_BYTES) -> bytes:
        """The primary's key for one use: HKDF-SHA256 (RFC 5869), no salt, ``label`` in the info.

        Keys of different labels tell nothing about each other or about the cluster key.
        """
        return _derived(self.primary, label, length)

    def derive_all(self, label: str, length: int = KEY_BYTES) -> tuple[bytes, ...]:
        """`derive` for each key of the ring, the primary's first."""
        return tuple(_derived(key, label, length) for key in (self.primary, *self.others))

    def key_id(self) -> str:
        """Eight hex digits that tell the primary from others and give nothing of it away."""
        return self.derive("key id", 4).hex()

    def ring(self) -> Sequence[ClusterKey]:
        """Each key as a ring of its own, the primary first."""
        return [ClusterKey(primary=key) for key in (self.primary, *self.others)]


def load_key_file(path: Path) -> ClusterKey:
    """The keys in a file; `UsageError` if it is not there, not private, or not well-formed."""
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            content = file.read(_LONGEST_FILE + 1)
    except OSError as error:
        raise UsageError(f"cannot read {path} ({_FLAG}): {error.strerror}") from error
    if mode & stat.S_IRWXO:
        raise UsageError(f"{path} ({_FLAG}) is open to every user; run: chmod 600 {path}")
    if len(content) > _LONGEST_FILE:
        raise UsageError(f"{path} ({_FLAG}) is too long to be a key file")
    return parse_keys(content.decode("ascii", "replace"), source=f"{path} ({_FLAG})")


def new_key() -> ClusterKey:
    """A random key, alone in its ring."""
    return ClusterKey(primary=secrets.token_bytes(KEY_BYTES))


def create_key_file(path: Path) -> ClusterKey:
    """Write a new random key, readable by its owner only; `UsageError` if the file is there."""
    key = new_key()
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(format_keys(key))
            file.flush()
            os.fsync(file.fileno())
    except FileExistsError as error:
        raise UsageError(
            f"{path} is there already, and is never replaced: a node with another key than the "
            f"others is alone. To see its keys: eagle-node keys list {path}; for a new key beside "
            f"the old one: eagle-node keys add {path}; else name another file"
        ) from error
    except FileNotFoundError as error:
        raise UsageError(f"cannot create {path}: there is no directory {path.parent}") from error
    except OSError as error:
        raise UsageError(f"cannot create {path} ({_FLAG}): {error.strerror}") from error
    return key


def replace_key_file(path: Path, key: ClusterKey) -> None:
    """Write a ring over the file in one step: who reads it sees the old keys or the new ones.

    Owner and mode stay as they are. `UsageError` when it cannot be written.
    """
    part = path.with_name(f".{path.name}.part")
    try:
        was = path.stat()
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            os.fchown(descriptor, was.st_uid, was.st_gid)
            os.fchmod(descriptor, stat.S_IMODE(was.st_mode))
            file.write(format_keys(key))
            file.flush()
            os.fsync(descriptor)
        os.replace(part, path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise UsageError(f"cannot write {path} ({_FLAG}): {error.strerror}") from error


def parse_keys(text: str, *, source: str) -> ClusterKey:
    """The keys in ``text``, one a line, as base64 or hex; empty lines and ``#`` lines are skipped.

    `UsageError` names ``source`` and the line, never what the line holds.
    """
    keys: list[bytes] = []
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip() and not line.lstrip().startswith("#"):
            keys.append(_parsed(line.strip(), where=f"{source}, line {number}"))
    if not keys:
        raise UsageError(f"{source} holds no key; make one with: openssl rand -base64 {KEY_BYTES}")
    primary, *others = dict.fromkeys(keys)
    return ClusterKey(primary=primary, others=tuple(others))


def format_keys(key: ClusterKey) -> str:
    """The opposite of `parse_keys`."""
    return "".join(f"{base64.b64encode(each).decode()}\n" for each in (key.primary, *key.others))


def _parsed(line: str, *, where: str) -> bytes:
    try:
        key = bytes.fromhex(line) if _HEX.match(line) else base64.b64decode(line, validate=True)
    except (binascii.Error, ValueError):
        raise UsageError(f"{where}: neither base64 nor hex") from None
    if len(key) != KEY_BYTES:
        was = "short" if len(key) < KEY_BYTES else "long"
        raise UsageError(f"{where}: too {was}; a key has {KEY_BYTES} bytes, this has {len(key)}")
    return key


def _derived(key: bytes, label: str, length: int) -> bytes:
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    info = _CONTEXT + label.encode()
    return HKDF(algorithm=SHA256(), length=length, salt=None, info=info).derive(key)
