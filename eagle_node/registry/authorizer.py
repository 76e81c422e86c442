"""With whose rights a registry is asked, and what answers its 401."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

from eagle_node.base.bounded import BoundedDict
from eagle_node.base.errors import EagleError, Silent
from eagle_node.registry.challenge import (
    BasicChallenge,
    BearerChallenge,
    Challenge,
    parse_challenges,
)
from eagle_node.registry.credentials import Credentials
from eagle_node.registry.docker_config import Credential
from eagle_node.registry.endpoints import Endpoint
from eagle_node.registry.health_policy import RegistryHealth
from eagle_node.registry.tokens import TokenService
from eagle_node.registry.transport import Reply, Request, Transport

_READ = frozenset({"GET", "HEAD"})
_MAX_CHALLENGES = 4096

ANYBODY = ""
"""As ``authorization``: a reader who shows nothing, and for whom the node shows nothing either."""

_Key = tuple[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Caller:
    """Whose rights count."""

    initial: str | None = field(default=None, repr=False)
    """``Authorization`` to send before any challenge is known."""
    credential: Credential | None = None
    """What to answer challenges with; None: as anybody."""
    answers: bool
    """Whether challenges are answered at all."""


class Authorizer:
    """Sends requests with the right credentials.

    A client's own ``Authorization`` goes alone: Bearer as it came; Basic as it came, and to the
    token service if the registry wants a token. Without one, the node's credential for the registry
    is used, else an anonymous token; for reading only, so that nobody writes with the node's
    rights. A registry's challenge is remembered per repository, which saves the 401 next time.
    """

    def __init__(
        self,
        transport: Transport,
        *,
        tokens: TokenService,
        credentials: Credentials,
        health: RegistryHealth,
    ) -> None:
        self._transport = transport
        self._tokens = tokens
        self._credentials = credentials
        self._health = health
        self._challenges: BoundedDict[_Key, Challenge] = BoundedDict(_MAX_CHALLENGES)

    @asynccontextmanager
    async def send(
        self, request: Request, *, place: str, authorization: str | None
    ) -> AsyncIterator[Reply]:
        """The registry's answer, a 401 only if nothing that we have convinces it.

        ``place`` is what rights hang on within the registry, a repository's name or a path; its
        challenge is remembered. Readers who were told to wait are refused at once.
        """

        async def ask(asked: Request) -> Reply:
            return await self._open(asked, place, authorization)

        async with self._minding(request, authorization, ask) as reply:
            yield reply

    @asynccontextmanager
    async def pass_on(self, request: Request, *, authorization: str | None) -> AsyncIterator[Reply]:
        """The registry's answer to a request as it is, ``authorization`` being a part of it."""
        async with self._minding(request, authorization, self._transport.open) as reply:
            yield reply

    @asynccontextmanager
    async def _minding(
        self,
        request: Request,
        authorization: str | None,
        ask: Callable[[Request], Awaitable[Reply]],
    ) -> AsyncIterator[Reply]:
        """Ask if the registry may be asked, and note what comes of it."""
        registry = request.endpoint.name
        if request.method in _READ:
            turn = self._health.admit(registry, authorization)
        else:
            turn = self._health.begin()
        try:
            reply = await ask(replace(request, patience_s=turn.patience_s))
        except EagleError as error:
            self._health.failed(registry, authorization, error, turn)
            raise
        except BaseException:
            self._health.given_up(registry, turn)
            raise
        try:
            status = 307 if reply.foreign else reply.status
            self._health.answered(registry, authorization, status, reply.headers)
            yield reply
        except Silent as error:
            self._health.failed(registry, authorization, error, turn)
            raise
        finally:
            reply.close()

    async def _open(self, request: Request, place: str, authorization: str | None) -> Reply:
        caller = await self._caller(request, authorization)
        key = (request.endpoint.name, place)
        header = await self._first(request, caller, key)
        reply = await self._transport.open(request.authorized(header))
        try:
            better = await self._better(reply, request, caller, key, header)
        except BaseException:
            reply.close()
            raise
        if better is None:
            return reply
        reply.close()
        return await self._transport.open(request.authorized(better))

    async def _caller(self, request: Request, authorization: str | None) -> _Caller:
        if authorization == ANYBODY:
            return _Caller(answers=True)
        if authorization is not None:
            if request.body is not None or authorization[:6].lower() != "basic ":
                return _Caller(initial=authorization, answers=False)
            credential = Credential(authorization=authorization)
            return _Caller(initial=authorization, credential=credential, answers=True)
        if request.method not in _READ:
            return _Caller(answers=False)
        credential_of_node = await self._credentials.get(request.endpoint.name)
        return _Caller(credential=credential_of_node, answers=True)

    async def _first(self, request: Request, caller: _Caller, key: _Key) -> str | None:
        """The ``Authorization`` to begin with."""
        challenge = self._challenges.get(key)
        if challenge is None or not caller.answers or request.method not in _READ:
            return caller.initial
        try:
            answer = await self._answer(challenge, request.endpoint, caller)
        except EagleError:
            self._challenges.pop(key, None)
            raise
        return answer or caller.initial

    async def _better(
        self, reply: Reply, request: Request, caller: _Caller, key: _Key, sent: str | None
    ) -> str | None:
        """Another ``Authorization`` to try after ``reply``; None: leave it at that."""
        if reply.status != 401 or reply.foreign or not caller.answers:
            return None
        challenge = _strongest(parse_challenges(reply.challenge or ""))
        if challenge is None:
            return None
        header = await self._answer(challenge, request.endpoint, caller, rejected=sent)
        if header is None or header == sent:
            return None
        if request.method in _READ:
            self._remember(key, challenge)
        return header

    async def _answer(
        self,
        challenge: Challenge,
        endpoint: Endpoint,
        caller: _Caller,
        *,
        rejected: str | None = None,
    ) -> str | None:
        match challenge:
            case BearerChallenge():
                return await self._tokens.authorization(
                    challenge, endpoint=endpoint, credential=caller.credential, rejected=rejected
                )
            case BasicChallenge():
                return (caller.credential.authorization or None) if caller.credential else None

    def _remember(self, key: _Key, challenge: Challenge) -> None:
        self._challenges[key] = challenge


def _strongest(challenges: tuple[Challenge, ...]) -> Challenge | None:
    """Bearer before Basic: it carries rights, not passwords."""
    bearer = next((c for c in challenges if isinstance(c, BearerChallenge)), None)
    return bearer or next(iter(challenges), None)
