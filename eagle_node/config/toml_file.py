"""The configuration file: TOML with the flags' names as keys, and ``[[registry]]`` tables."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path

from eagle_node.base.errors import UsageError
from eagle_node.config import kinds
from eagle_node.config.options import OPTIONS, Option
from eagle_node.config.sources import Setting, parse_value
from eagle_node.config.suggest import did_you_mean
from eagle_node.config.tree import RegistryConfig

_REGISTRY_KEYS = ("name", "url", "ca-file", "client-cert-file", "client-key-file")


def read_file(path: Path) -> dict[str, Setting]:
    """Settings of the file at ``path``; `UsageError` when it cannot be read or is wrong."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise UsageError(f"cannot read configuration file {path}: {reason}") from error
    return parse_toml(text, path)


def parse_toml(text: str, path: Path) -> dict[str, Setting]:
    """Settings of ``text``; relative file names in it count from the directory of ``path``."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{path}: not TOML: {error}") from None
    return {name: _setting(name, value, text, path) for name, value in document.items()}


def _setting(name: str, value: object, text: str, path: Path) -> Setting:
    where = f"{_place(text, path, name)}: {name}"
    option = OPTIONS.get(name)
    if option is None:
        raise UsageError(f"{where}: unknown key{did_you_mean(name, OPTIONS)}")
    if option.name == "registry":
        return Setting(value=_registries(value, text, path, where), where=where)
    if not option.many:
        return Setting(value=_scalar(option, value, path, where), where=where)
    values = value if isinstance(value, list) else [value]
    return Setting(value=tuple(_scalar(option, each, path, where) for each in values), where=where)


def _scalar(option: Option, value: object, path: Path, where: str) -> object:
    if type(value) not in option.kind.toml:
        many = " or a list of such" if option.many else ""
        raise UsageError(f"{where}: {_shown(value)} is not {option.kind.forms}{many}")
    text = str(value).lower() if isinstance(value, bool) else str(value)
    parsed = parse_value(option, text, where=where)
    return path.parent / parsed if isinstance(parsed, Path) else parsed


def _registries(value: object, text: str, path: Path, where: str) -> tuple[RegistryConfig, ...]:
    if isinstance(value, list) and all(isinstance(each, dict) for each in value):
        return tuple(_registry(each, text, path, where) for each in value)
    raise UsageError(
        f"{where}: {_shown(value)} is not a [[registry]] table: write its name in two brackets"
    )


def _registry(table: Mapping[str, object], text: str, path: Path, where: str) -> RegistryConfig:
    for key, value in table.items():
        if key not in _REGISTRY_KEYS:
            hint = did_you_mean(key, _REGISTRY_KEYS)
            raise UsageError(f"{_place(text, path, key)}: [[registry]] {key}: unknown key{hint}")
        if not isinstance(value, str):
            place = _place(text, path, key)
            raise UsageError(f"{place}: [[registry]] {key}: {_shown(value)} is not a string")
    fields = {key: str(value) for key, value in table.items()}
    for key in ("name", "url"):
        if key not in fields:
            raise UsageError(f"{where}: a [[registry]] table has no {key}")

    def file(key: str) -> Path | None:
        return path.parent / kinds.parse_path(fields[key]) if key in fields else None

    try:
        return RegistryConfig(
            name=kinds.parse_registry_name(fields["name"]),
            url=kinds.parse_registry_url(fields["url"]),
            ca_file=file("ca-file"),
            client_cert_file=file("client-cert-file"),
            client_key_file=file("client-key-file"),
        )
    except ValueError as error:
        raise UsageError(f"{where} {fields['name']}: {error}") from None


def _place(text: str, path: Path, key: str) -> str:
    """``file:line`` of the first line that sets ``key`` or opens its table; else the file."""
    setter = re.compile(rf"""\s*(?:\[{{1,2}}\s*)?["']?{re.escape(key)}["']?\s*(?:[=.\]])""")
    for number, line in enumerate(text.splitlines(), 1):
        if setter.match(line):
            return f"{path}:{number}"
    return str(path)


def _shown(value: object) -> str:
    """A wrong value as TOML writes it, shortened."""
    text = str(value).lower() if isinstance(value, bool) else repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…"
