"""Files that must be there, private, well-formed and not expired."""

from __future__ import annotations

import datetime
import stat
from collections.abc import Iterator
from pathlib import Path

from eagle_node.base.errors import EagleError
from eagle_node.base.findings import Finding, error, ok, warning
from eagle_node.config.tree import Config, RegistryConfig
from eagle_node.registry.endpoints import Endpoint
from eagle_node.trust.key import load_key_file

_SOON = datetime.timedelta(days=30)


def check_secrets(config: Config, *, now: datetime.datetime) -> list[Finding]:
    """Findings about each file that the configuration names, and about the local CA."""
    findings = [*_cluster_key(config), *_private(config)]
    for registry in config.proxy.registries:
        findings += _certificates(registry, now)
    return [*findings, *_local_ca(config, now)]


def _cluster_key(config: Config) -> Iterator[Finding]:
    path = config.node.cluster_key_file
    if path is None:
        if config.cluster.enabled or config.seeder.pinned or config.tracker.pinned:
            yield warning(
                "cluster key",
                "there is none: whoever reaches the nodes' ports can join and read",
                "eagle-node keys generate FILE, copy it to every node, --cluster-key-file FILE",
            )
        return
    try:
        keys = load_key_file(path)
    except EagleError as failure:
        remedy = f"chmod 600 {path}, or make one: eagle-node keys generate {path}"
        yield error("cluster key", str(failure), remedy)
        return
    others = f", {len(keys.others)} more accepted" if keys.others else ""
    yield ok("cluster key", f"{path}: key {keys.key_id()} is in use{others}")
    if path.stat().st_mode & stat.S_IWGRP:
        yield warning("cluster key", f"{path} is writable by its group", f"chmod 600 {path}")


def _private(config: Config) -> Iterator[Finding]:
    """Secrets that only the node's user should read."""
    files = (("api token", config.api.token_file), ("credentials", config.proxy.docker_config))
    for subject, path in files:
        if path is None:
            continue
        try:
            mode = path.stat().st_mode
            with path.open("rb"):
                pass
        except OSError as failure:
            text = f"cannot read {path}: {failure.strerror}"
            yield error(subject, text, "make it, or correct the node's configuration")
            continue
        if mode & stat.S_IRWXO:
            yield warning(subject, f"{path} is open to every user", f"chmod 600 {path}")
        else:
            yield ok(subject, f"{path} is there, and not open to every user")


def readable(registry: Endpoint | RegistryConfig) -> bool:
    """Whether the files of a registry are there, and hold what they should."""
    certificates = (registry.ca_file, registry.client_cert_file)
    return all(_holds(path, b"CERTIFICATE-----") for path in certificates) and _holds(
        registry.client_key_file, b"PRIVATE KEY-----"
    )


def _holds(path: Path | None, kind: bytes) -> bool:
    try:
        return path is None or kind in path.read_bytes()
    except OSError:
        return False


def _certificates(registry: RegistryConfig, now: datetime.datetime) -> Iterator[Finding]:
    subject, key = f"registry {registry.name}", registry.client_key_file
    for path in filter(None, (registry.ca_file, registry.client_cert_file)):
        yield _dated(subject, path, now)
    if key is not None and not _holds(key, b"PRIVATE KEY-----"):
        text = f"{key} is not there, cannot be read, or holds no PEM key"
        yield error(subject, text, "correct client-key-file, or let the node's user read it")


def _dated(subject: str, path: Path, now: datetime.datetime) -> Finding:
    """Whether every certificate of a PEM file is valid now and for a while."""
    from cryptography import x509

    remedy = f"put a valid PEM certificate into {path}"
    try:
        certificates = x509.load_pem_x509_certificates(path.read_bytes())
    except OSError as failure:
        return error(subject, f"cannot read {path}: {failure.strerror}", remedy)
    except ValueError as failure:
        return error(subject, f"{path} holds no PEM certificates: {failure}", remedy)
    return _expiry(
        subject, str(path), min(each.not_valid_after_utc for each in certificates), now, remedy
    )


def _local_ca(config: Config, now: datetime.datetime) -> Iterator[Finding]:
    from eagle_node.trust.local_ca import FILE_NAME, load

    path = config.node.data_dir / FILE_NAME
    remedy = f"eagle-node ca init --replace --data-dir {config.node.data_dir}, and ca trust"
    try:
        ca = load(path)
    except EagleError as failure:
        yield error("local CA", str(failure), remedy)
        return
    if ca is not None:
        yield _expiry("local CA", str(path), ca.expires, now, remedy)


def _expiry(
    subject: str, what: str, ends: datetime.datetime, now: datetime.datetime, remedy: str
) -> Finding:
    if ends <= now:
        return error(subject, f"{what} has expired on {ends:%Y-%m-%d}", remedy)
    if ends <= now + _SOON:
        return warning(subject, f"{what} expires on {ends:%Y-%m-%d}", remedy)
    return ok(subject, f"{what} is valid until {ends:%Y-%m-%d}")
