"""Bearer tokens of a registry's token service (docs.docker.com/registry/spec/auth)."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from multidict import CIMultiDict
from yarl import URL

from eagle_node.base.bounded import BoundedDict
from eagle_node.base.errors import Denied, Unavailable
from eagle_node.registry.challenge import BearerChallenge
from eagle_node.registry.docker_config import Credential
from eagle_node.registry.endpoints import Endpoint
from eagle_node.registry.redirects import refuse_leap
from eagle_node.registry.refusals import MAX_ERROR_BODY, refusal
from eagle_node.registry.transport import Reply, Request, Transport
from eagle_node.runtime.clock import Clock, monotonic
from eagle_node.runtime.singleflight import SingleFlight

CLIENT_ID = "eagle-node"
DEFAULT_LIFE_S = 60.0
"""Life of a token whose service tells none (the specification's default)."""
_MARGIN_S = 10.0
"""Remaining life at which a token is renewed, lest it expire on its way."""
_MARGIN_SHARE = 0.2
"""The same as a share of the whole life, for short ones."""
_MAX_LIFE_S = 10 * 86400.0
"""A longer life is taken for a mistake."""
_MAX_TOKENS = 4096
_MAX_REPLY = 1 << 20

_Key = tuple[str, str, str, str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Token:
    value: str = field(repr=False)
    renew_at: float


class TokenService:
    """Answers Bearer challenges; tokens are kept, in memory only, until shortly before they expire.

    A token is known by registry, realm, service, scope and credential, and asked for once however
    many need it at the time.
    """

    def __init__(self, transport: Transport, *, clock: Clock = monotonic) -> None:
        self._transport = transport
        self._clock = clock
        self._tokens: BoundedDict[_Key, _Token] = BoundedDict(_MAX_TOKENS)
        self._asking: SingleFlight[_Key, _Token] = SingleFlight("registry token")

    async def authorization(
        self,
        challenge: BearerChallenge,
        *,
        endpoint: Endpoint,
        credential: Credential | None,
        rejected: str | None = None,
    ) -> str:
        """The ``Authorization`` value that answers ``challenge``, anonymous without a credential.

        A kept one that equals ``rejected`` is thrown away and asked for anew. Raises `Denied` when
        the service refuses, `Unavailable` when it cannot be had or the realm is not to be trusted.
        """
        key = _key(challenge, endpoint, credential)
        token = self._tokens.get(key)
        if token is None or token.value == rejected or token.renew_at <= self._clock():
            self._tokens.pop(key, None)
            token = await self._asking.run(
                key, lambda: self._renew(key, challenge, endpoint, credential)
            )
        return token.value

    async def _renew(
        self,
        key: _Key,
        challenge: BearerChallenge,
        endpoint: Endpoint,
        credential: Credential | None,
    ) -> _Token:
        asked_at = self._clock()
        request = _request(challenge, endpoint, credential)
        async with self._transport.send(request) as reply:
            value, life_s = await _parse(reply, challenge, endpoint)
        margin_s = min(_MARGIN_S, life_s * _MARGIN_SHARE)
        token = _Token(value=f"Bearer {value}", renew_at=asked_at + life_s - margin_s)
        self._tokens[key] = token
        return token


def _key(challenge: BearerChallenge, endpoint: Endpoint, credential: Credential | None) -> _Key:
    secret = "" if credential is None else credential.authorization + credential.identity_token
    fingerprint = hashlib.sha256(secret.encode()).hexdigest()
    return (endpoint.name, challenge.realm, challenge.service, challenge.scope, fingerprint)


def _request(
    challenge: BearerChallenge, endpoint: Endpoint, credential: Credential | None
) -> Request:
    realm = _realm(challenge, endpoint)
    if credential is not None and credential.identity_token:
        form = {
            "grant_type": "refresh_token",
            "service": challenge.service,
            "client_id": CLIENT_ID,
            "refresh_token": credential.identity_token,
            "scope": challenge.scope,
        }
        return Request(
            endpoint=endpoint,
            method="POST",
            url=realm,
            headers=CIMultiDict({"Content-Type": "application/x-www-form-urlencoded"}),
            body=urlencode(form).encode(),
        )
    query = [*realm.query.items()]
    query += [("service", challenge.service)] if challenge.service else []
    query += [("scope", scope) for scope in challenge.scope.split()]
    request = Request(endpoint=endpoint, method="GET", url=realm.with_query(query))
    return request.authorized(credential.authorization if credential is not None else None)


def _realm(challenge: BearerChallenge, endpoint: Endpoint) -> URL:
    try:
        realm = URL(challenge.realm)
        refuse_leap(endpoint.base, realm)
    except ValueError as error:
        raise Unavailable(
            f"registry {endpoint.name} names a malformed token service: {challenge.realm[:200]!r}"
        ) from error
    return realm


async def _parse(reply: Reply, challenge: BearerChallenge, endpoint: Endpoint) -> tuple[str, float]:
    """Token and life of a service's answer."""
    source = f"token service of registry {endpoint.name}"
    if reply.status != 200:
        body = await reply.read(MAX_ERROR_BODY)
        raise _refused(reply, body, challenge, source)
    body = await reply.read(_MAX_REPLY)
    try:
        tree: Any = json.loads(body)
        value = tree.get("token") or tree.get("access_token")
        life_s = float(tree.get("expires_in") or DEFAULT_LIFE_S)
        life_s = life_s if 0 < life_s < _MAX_LIFE_S else DEFAULT_LIFE_S
    except (ValueError, TypeError, AttributeError, RecursionError):
        raise Unavailable(f"{source} sent no token but something that is not its JSON") from None
    if not isinstance(value, str) or not value.isascii() or not value.isprintable():
        raise Unavailable(f"{source} sent no usable token")
    return value, life_s


def _refused(reply: Reply, body: bytes, challenge: BearerChallenge, source: str) -> Exception:
    error = refusal(
        reply.status,
        reply.headers,
        body,
        source=source,
        subject=f"scope {challenge.scope or '(none)'}",
    )
    if not isinstance(error, Denied) or error.status == 429:
        return error
    if error.status in (401, 403):
        return Denied(str(error), status=401, code="UNAUTHORIZED", challenge=challenge.render())
    return Unavailable(str(error))
