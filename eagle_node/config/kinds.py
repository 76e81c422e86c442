"""Kinds of option values: how a text is read, and what TOML may hold in its place. No IO."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from eagle_node.base.sizes import parse_size
from eagle_node.config.suggest import did_you_mean
from eagle_node.config.tree import EXCLUDABLE, RegistryConfig, Role, RoleChoice
from eagle_node.runtime.sockets import Address, parse_address

_AUTO = "auto"
_HOST_NAME = re.compile(r"(?!\d+\Z)[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,251}[A-Za-z0-9_.])?\Z")
_REGISTRY = re.compile(r"(?:\[[0-9a-f:.]+\]|[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?)(?::\d{1,5})?\Z")
_STORAGE_URL = re.compile(r"[a-z][a-z0-9+.-]*://")
_NUMBER = re.compile(r"\d{1,15}(?:\.\d{1,9})?\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """How the values of an option are written."""

    metavar: str
    """Stands for the value in help texts."""
    parse: Callable[[str], object]
    """The value that a text spells; `ValueError` says what is wrong and which forms are right."""
    toml: tuple[type, ...] = (str,)
    """TOML types that may stand in place of the text."""
    forms: str = "a string"
    """What the file may hold, for the message about a wrong type."""


def one_of(*choices: str) -> Kind:
    """Exactly one of ``choices``."""

    def parse(text: str) -> str:
        if text not in choices:
            hint = did_you_mean(text, choices)
            raise ValueError(f"{text!r} is none of {', '.join(choices)}{hint}")
        return text

    return Kind(metavar="|".join(choices), parse=parse)


def address(default_port: int, *, metavar: str = "HOST:PORT") -> Kind:
    """An `Address` whose port may be left out."""
    return Kind(metavar=metavar, parse=lambda text: _parse_host_port(text, default_port))


def count(*, least: int, metavar: str = "N") -> Kind:
    """A whole number, at least ``least``."""

    def parse(text: str) -> int:
        if not text.isdecimal() or len(text) > 9 or int(text) < least:
            raise ValueError(f"{text!r} is not a whole number of at least {least}")
        return int(text)

    return Kind(metavar=metavar, parse=parse, toml=(int,), forms="a whole number")


def parse_registry_name(text: str) -> str:
    """The ``host[:port]`` of image references, in lower case."""
    name = text.lower()
    if not _REGISTRY.match(name):
        raise ValueError(f"{text!r} is not a registry name; write host or host:port")
    return name


def parse_registry_url(text: str) -> str:
    """The base URL of a registry, without a trailing slash."""
    return parse_http_url(text, "https://host[:port] or http://host[:port]", path=False)


def parse_path(text: str) -> Path:
    """A file's name; ``~`` is the home directory."""
    if not text or "\0" in text:
        raise ValueError(f"{text!r} is not a file name")
    try:
        return Path(text).expanduser()
    except RuntimeError as error:
        raise ValueError(f"{text!r}: {error}") from error


def _parse_text(text: str) -> str:
    if not text.isprintable() or len(text) > 255:
        raise ValueError(f"{text[:80]!r} is not a label of at most 255 printable characters")
    return text


def _parse_name(text: str) -> str:
    if not text.strip():
        raise ValueError("it is empty; write a name")
    return _parse_text(text)


def _parse_port(text: str) -> int:
    if not text.isdecimal() or len(text) > 5 or int(text) > 65535:
        raise ValueError(f"{text!r} is not a port; write 1 to 65535, or 0 for any free one")
    return int(text)


def _parse_size(text: str) -> int:
    if len(text) > 32:
        raise ValueError(f"{text[:32]!r}… is not a size")
    return parse_size(text)


def _parse_seconds(text: str) -> float:
    if not _NUMBER.match(text) or float(text) == 0:
        raise ValueError(f"{text!r} is not a time; write seconds above 0, like 30 or 2.5")
    return float(text)


def _parse_switch(text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise ValueError(f"{text!r} is not a switch; write true or false")
    return text.lower() == "true"


def _parse_ip(text: str) -> str:
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        raise ValueError(f"{text!r} is not an IP address; write 192.0.2.7 or 2001:db8::7") from None


def _parse_reachable_ip(text: str) -> str:
    ip = ipaddress.ip_address(_parse_ip(text))
    if ip.is_unspecified or ip.is_multicast:
        raise ValueError(f"{text!r} reaches no node; write the IP address of an interface")
    return str(ip)


def _parse_host_port(text: str, default_port: int) -> Address:
    wrong = f"{text!r} is not an address; write host:port, 192.0.2.7:port or [2001:db8::7]:port"
    try:
        parsed = parse_address(text, default_port=default_port)
    except ValueError:
        raise ValueError(wrong) from None
    if ":" in parsed.host:
        try:
            ipaddress.IPv6Address(parsed.host)
        except ValueError:
            raise ValueError(wrong) from None
    elif not _HOST_NAME.match(parsed.host):
        raise ValueError(wrong)
    return parsed


def _parse_tracker_url(text: str) -> str:
    return parse_http_url(text, "http://host:port or https://host:port", path=True)


def _parse_otlp_url(text: str) -> str:
    """The base URL, also out of that of the traces."""
    forms = "http://host:4318 or https://host:4318"
    return parse_http_url(text, forms, path=True).removesuffix("/v1/traces")


def parse_http_url(text: str, forms: str, *, path: bool) -> str:
    """A base URL without its trailing slash; ValueError names the ``forms`` that there are."""
    wrong = ValueError(f"{text!r} is not a base URL; write {forms}")
    try:
        url = urlsplit(text)
        port_is_right = url.port != 0
    except ValueError:
        raise wrong from None
    plain = not (url.query or url.fragment or "@" in url.netloc) and text.isprintable()
    if url.scheme not in ("http", "https") or not url.hostname or not port_is_right or not plain:
        raise wrong
    if " " in text or (not path and url.path not in ("", "/")):
        raise wrong
    return text.rstrip("/")


def _parse_storage_url(text: str) -> str:
    if not _STORAGE_URL.match(text) or not text.isprintable():
        raise ValueError(f"{text!r} is not a blob store; write file:///dir or s3://bucket/prefix")
    return text


def _parse_rule(text: str) -> str:
    try:
        re.compile(text)
    except re.error as error:
        raise ValueError(f"{text!r} is not a regular expression: {error}") from None
    if not text:
        raise ValueError("an empty regular expression matches everything; write .* if meant")
    return text


def _parse_roles(text: str) -> RoleChoice:
    names = _names(text, [*Role, _AUTO], what="role", hint=f"auto or a list of {','.join(Role)}")
    return RoleChoice(auto=_AUTO in names, roles=frozenset(map(Role, names - {_AUTO})))


def _parse_never(text: str) -> frozenset[str]:
    return _names(
        text, EXCLUDABLE, what="role to exclude", hint=f"a list of {','.join(EXCLUDABLE)}"
    )


def _names(text: str, known: Sequence[str], *, what: str, hint: str) -> frozenset[str]:
    names = [name.strip().lower() for name in text.split(",")]
    for name in names:
        if name not in known:
            raise ValueError(f"{name!r} is not a {what}; write {hint}{did_you_mean(name, known)}")
    return frozenset(names)


def _parse_registry_pair(text: str) -> RegistryConfig:
    name, separator, url = text.partition("=")
    if not separator:
        raise ValueError(f"{text!r} is not NAME=URL; write ghcr.io=https://mirror.example:5000")
    return RegistryConfig(name=parse_registry_name(name), url=parse_registry_url(url))


TEXT = Kind(metavar="LABEL", parse=_parse_text)
WHICH = Kind(metavar="WHICH", parse=_parse_text)
NAME = Kind(metavar="NAME", parse=_parse_name)
PATH = Kind(metavar="PATH", parse=parse_path)
IP = Kind(metavar="IP", parse=_parse_ip)
REACHABLE_IP = Kind(metavar="IP", parse=_parse_reachable_ip)
PORT = Kind(metavar="PORT", parse=_parse_port, toml=(int,), forms="a whole number")
SIZE = Kind(
    metavar="SIZE", parse=_parse_size, toml=(str, int), forms='a size like "50MB" or 50000000'
)
SECONDS = Kind(
    metavar="SECONDS", parse=_parse_seconds, toml=(int, float), forms="a number of seconds"
)
SECONDS_OR_NONE = Kind(
    metavar="SECONDS",
    parse=lambda text: 0.0 if text.strip() == "0" else _parse_seconds(text),
    toml=(int, float),
    forms="a number of seconds",
)
"""0 switches it off."""
SWITCH = Kind(metavar="true|false", parse=_parse_switch, toml=(bool,), forms="true or false")
ROLES = Kind(metavar="auto|LIST", parse=_parse_roles)
"""A `RoleChoice`."""
NEVER = Kind(metavar="LIST", parse=_parse_never)
"""A set of names out of `EXCLUDABLE`."""
TRACKER_URL = Kind(metavar="URL", parse=_parse_tracker_url)
OTLP_URL = Kind(metavar="URL", parse=_parse_otlp_url)
STORAGE_URL = Kind(metavar="URL", parse=_parse_storage_url)
RULE = Kind(metavar="REGEX", parse=_parse_rule)
REGISTRY_NAME = Kind(metavar="NAME", parse=parse_registry_name)
REGISTRY = Kind(metavar="NAME=URL", parse=_parse_registry_pair)
