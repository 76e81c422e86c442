"""What of a node can be changed while it runs."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from eagle_node.api.problems import Refusal
from eagle_node.api.schema import Setting
from eagle_node.base.errors import NoSpace, UsageError
from eagle_node.base.sizes import parse_size, spell_size
from eagle_node.blobs.cache import Cache
from eagle_node.config.suggest import did_you_mean
from eagle_node.consensus.policy import Wanted
from eagle_node.swarm.governor import Governor

log = logging.getLogger(__name__)

_LEVELS = ("debug", "info", "warning", "error")
_MOST_HOLDERS = 99
_COUNTS = {f"{role}s": count for role, count in Wanted().counts.items()}


class ClusterSettings(Protocol):
    """What the nodes of a cluster agree on."""

    def get(self, key: str) -> str:
        """A value; empty: the default."""
        ...

    async def set(self, key: str, value: str) -> None:
        """Agree on another value; `Unavailable` when there is nobody to agree with."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class _Knob:
    """One thing to change."""

    help: str
    scope: str
    get: Callable[[], str]
    set: Callable[[str], Awaitable[None]]
    changeable: bool = True


class NodeSettings:
    """The settings by name; those of the node are what its options set at the start.

    ``limited`` is called after the governor's limits have changed. ``cluster`` None: roles are
    pinned, nothing is agreed on.
    """

    def __init__(
        self,
        *,
        cache: Cache,
        governor: Governor,
        limited: Callable[[], None],
        cluster: ClusterSettings | None = None,
    ) -> None:
        self._cache = cache
        self._governor = governor
        self._limited = limited
        self._knobs = {
            "upload-limit": _node_knob(
                "bytes/s to other hosts; 0: none",
                lambda: spell_size(governor.limits.upload),
                self._set_upload,
            ),
            "download-limit": _node_knob(
                "bytes/s from other hosts; 0: none",
                lambda: spell_size(governor.limits.download),
                self._set_download,
            ),
            "cache-size": _node_knob(
                "limit for blobs; 0: none", lambda: spell_size(cache.limit), self._set_cache
            ),
            "log-level": _node_knob("least severe lines that are logged", _log_level, _set_level),
        }
        for role in ("trackers", "seeders"):
            self._knobs[role] = _role_knob(role, cluster)

    def all(self) -> tuple[Setting, ...]:
        """Every setting as it is now."""
        return tuple(self._setting(key) for key in self._knobs)

    async def change(self, key: str, value: str) -> Setting:
        """Change one; `UsageError` for a value that is none, `Refusal` when it cannot be done."""
        if key not in self._knobs:
            hint = did_you_mean(key, list(self._knobs))
            raise Refusal(f"there is no setting {key[:40]!r}{hint}", status=404)
        try:
            await self._knobs[key].set(value)
        except ValueError as error:
            raise UsageError(f"{key}: {error}") from error
        log.info("%s is %s from now on", key, value or "the default")
        return self._setting(key)

    def _setting(self, key: str) -> Setting:
        knob = self._knobs[key]
        return Setting(
            key=key,
            value=knob.get(),
            scope=knob.scope,
            changeable=knob.changeable,
            help=knob.help,
        )

    async def _set_upload(self, value: str) -> None:
        self._governor.change(upload=parse_size(value))
        self._limited()

    async def _set_download(self, value: str) -> None:
        self._governor.change(download=parse_size(value))
        self._limited()

    async def _set_cache(self, value: str) -> None:
        size = parse_size(value)
        try:
            self._cache.resize(size)
        except NoSpace as error:
            raise Refusal(str(error), status=409) from error


def _node_knob(
    text: str, get: Callable[[], str], change: Callable[[str], Awaitable[None]]
) -> _Knob:
    return _Knob(help=text, scope="node", get=get, set=change)


def _role_knob(role: str, cluster: ClusterSettings | None) -> _Knob:
    async def change(value: str) -> None:
        if cluster is None:
            raise Refusal(
                f"{role} cannot be changed: the roles of this cluster are pinned by flags",
                status=409,
            )
        if value and not (value.isascii() and value.isdigit() and int(value) <= _MOST_HOLDERS):
            raise ValueError(f"{value[:40]!r} is not a number from 0 to {_MOST_HOLDERS}")
        await cluster.set(role, value)

    return _Knob(
        help=f"how many {role} the cluster has; empty: {_COUNTS[role]}",
        scope="cluster",
        get=lambda: cluster.get(role) if cluster is not None else "",
        set=change,
        changeable=cluster is not None,
    )


def _log_level() -> str:
    return logging.getLevelName(logging.getLogger().level).lower()


async def _set_level(value: str) -> None:
    if value not in _LEVELS:
        raise ValueError(f"{value[:40]!r} is none of {', '.join(_LEVELS)}")
    logging.getLogger().setLevel(value.upper())
