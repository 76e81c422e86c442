"""docker's ``config.json``, as far as it tells credentials (docker/cli, cli/config/configfile)."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from eagle_node.registry.names import DOCKER_HUB, BadName, parse_registry

HUB_SERVER = "https://index.docker.io/v1/"
"""docker's own key for Docker Hub, from the days of the v1 protocol."""

TOKEN_USER = "<token>"
"""User name by which a credential helper says that its secret is an identity token."""

_HELPER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*\Z")
_OWN_PATHS = ("", "v1", "v2")


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    """What a user proves itself with; exactly one of the two is not empty."""

    authorization: str = field(default="", repr=False)
    """``Authorization`` value of scheme Basic."""
    identity_token: str = field(default="", repr=False)
    """OAuth 2 refresh token, to be traded for access tokens."""

    def __post_init__(self) -> None:
        if bool(self.authorization) == bool(self.identity_token):
            raise ValueError("a credential is either Basic or an identity token")


@dataclass(frozen=True, slots=True, kw_only=True)
class DockerConfig:
    """The parts of the file that matter here; keys are registry names of ours."""

    credentials: Mapping[str, Credential] = field(default_factory=dict)
    helpers: Mapping[str, str] = field(default_factory=dict)
    """Helper by registry."""
    default_helper: str = ""
    """Helper of the registries that have none of their own."""

    def helper(self, registry: str) -> str:
        """Suffix of the ``docker-credential-`` program to ask; empty if none is set."""
        return self.helpers.get(registry, self.default_helper)


def basic(user: str, password: str) -> Credential:
    """The credential of a user name and password (RFC 7617, UTF-8)."""
    encoded = base64.b64encode(f"{user}:{password}".encode()).decode()
    return Credential(authorization=f"Basic {encoded}")


def helper_server(registry: str) -> str:
    """The server name that credential helpers know ``registry`` by."""
    return HUB_SERVER if registry == DOCKER_HUB else registry


def parse_docker_config(text: str) -> DockerConfig:
    """The configuration in ``text``; ValueError says what is wrong, without any secret."""
    try:
        tree = json.loads(text)
    except (ValueError, RecursionError):
        raise ValueError("it is not JSON") from None
    tree = _table(tree, "it")
    credentials = {}
    for key, entry in _table(tree.get("auths"), "auths").items():
        registry = _registry_of(key)
        credential = _credential(key, _table(entry, f"auths[{key!r}]"))
        if registry is not None and credential is not None:
            credentials[registry] = credential
    helpers = {}
    for key, name in _table(tree.get("credHelpers"), "credHelpers").items():
        registry = _registry_of(key)
        if registry is not None:
            helpers[registry] = _helper_name(name)
    store = tree.get("credsStore") or ""
    return DockerConfig(
        credentials=credentials,
        helpers=helpers,
        default_helper=_helper_name(store) if store else "",
    )


def parse_helper_reply(text: str) -> Credential:
    """The credential in a helper's answer to ``get`` (docker/docker-credential-helpers)."""
    try:
        tree = _table(json.loads(text), "it")
        user, secret = tree["Username"], tree["Secret"]
    except (ValueError, KeyError, RecursionError):
        raise ValueError("its answer is not a credential") from None
    if not isinstance(user, str) or not isinstance(secret, str) or not secret:
        raise ValueError("its answer is not a credential")
    return Credential(identity_token=secret) if user == TOKEN_USER else basic(user, secret)


def _registry_of(key: str) -> str | None:
    """The registry that a key (``host``, or a URL of it) stands for; None: no whole registry."""
    host, _, path = key.removeprefix("https://").removeprefix("http://").partition("/")
    if path.strip("/") not in _OWN_PATHS:
        return None
    try:
        return parse_registry(host)
    except BadName:
        return None


def _credential(key: str, entry: Mapping[str, Any]) -> Credential | None:
    identity_token = entry.get("identitytoken") or ""
    if isinstance(identity_token, str) and identity_token:
        return Credential(identity_token=identity_token)
    user, password = entry.get("username") or "", entry.get("password") or ""
    encoded = entry.get("auth") or ""
    if encoded:
        user, password = _decoded(key, encoded)
    if not isinstance(user, str) or not isinstance(password, str):
        raise ValueError(f"auths[{key!r}] has a user name or password that is no string")
    return basic(user, password) if user else None


def _decoded(key: str, encoded: object) -> tuple[str, str]:
    try:
        text = base64.b64decode(str(encoded), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        raise ValueError(f"auths[{key!r}].auth is not base64") from None
    user, colon, password = text.partition(":")
    if not colon:
        raise ValueError(f"auths[{key!r}].auth holds no user:password")
    return user, password.rstrip("\0")


def _helper_name(name: object) -> str:
    if not isinstance(name, str) or not _HELPER.match(name):
        raise ValueError("a credential helper's name is not a plain word")
    return name


def _table(value: object, name: str) -> Mapping[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise ValueError(f"{name} is not an object")
    return value
