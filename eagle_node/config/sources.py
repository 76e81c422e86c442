"""The three places where settings come from, each parsed into settings by option name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from eagle_node.base.errors import UsageError
from eagle_node.config.options import OPTIONS, Option


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """A parsed value, and who said so."""

    value: object
    """A tuple of values for an option that may repeat."""
    where: str
    """The flag, the variable, or the file with its line."""


Settings = Mapping[str, Setting]
"""By option name."""

_STANDARD = {"otlp-endpoint": "OTEL_EXPORTER_OTLP_ENDPOINT"}
"""OpenTelemetry's specification of SDK environment variables."""


def from_flags(given: Mapping[str, Sequence[str]]) -> dict[str, Setting]:
    """Settings of the command line; ``given`` holds the texts of each flag that was used."""
    return {
        name: _parsed(OPTIONS[name], texts, where=OPTIONS[name].flag)
        for name, texts in given.items()
    }


def from_environment(environment: Mapping[str, str]) -> dict[str, Setting]:
    """Settings of ``EAGLE_NODE_…`` variables; an empty one counts as absent.

    Variables of other names are left alone: Kubernetes makes such for a service called eagle-node.
    """
    return {
        option.name: _parsed(option, text.split() if option.many else [text], where=option.variable)
        for option in OPTIONS.values()
        if (text := environment.get(option.variable, "").strip())
    }


def from_standard_environment(environment: Mapping[str, str]) -> dict[str, Setting]:
    """Settings of variables that all programs share; ours say more, so they count less."""
    return {
        name: _parsed(OPTIONS[name], [text], where=variable)
        for name, variable in _STANDARD.items()
        if (text := environment.get(variable, "").strip())
    }


def parse_value(option: Option, text: str, *, where: str) -> object:
    """The value that ``text`` spells; `UsageError` names where it stands and the accepted forms."""
    try:
        return option.kind.parse(text)
    except ValueError as error:
        raise UsageError(f"{where}: {error}") from None


def _parsed(option: Option, texts: Sequence[str], *, where: str) -> Setting:
    values = tuple(parse_value(option, text, where=where) for text in texts)
    return Setting(value=values if option.many else values[-1], where=where)
