"""One request to a registry and to where it redirects; foreign errors become `Unavailable`."""

from __future__ import annotations

import contextlib
import logging
import os
import socket
from collections.abc import AsyncIterable, AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Self

import aiohttp
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from eagle_node.base.bounded import BoundedDict
from eagle_node.base.errors import Silent, Unavailable
from eagle_node.metrics.instruments import Metrics
from eagle_node.registry.endpoints import Endpoint
from eagle_node.registry.host_names import HostNames
from eagle_node.registry.redirects import REDIRECTS, next_url, same_origin
from eagle_node.registry.tls import TlsContexts
from eagle_node.runtime.budget import ByteBudget
from eagle_node.runtime.context import REQUEST_ID_HEADER, accepted_id, request_id
from eagle_node.runtime.lookup import LOOK_UP_S, NoServerAnswers, Resolver, unanswered
from eagle_node.runtime.sockets import brief
from eagle_node.runtime.tracing import TRACE_HEADERS, note, span, trace_headers

log = logging.getLogger(__name__)

_READ_BUFFER = 1 << 18
_RECEIVE_WINDOW_S = 0.05
"""Seconds of the download limit that the kernel may take in before we read it ..."""
_LEAST_RECEIVE_WINDOW = 64 << 10
"""... but no less than this many bytes: without a bound it takes in megabytes per connection."""
_SEGMENT_PAYLOAD = 1448
_SEGMENT_HEADERS = 66
"""Bytes of a full TCP segment with timestamps in an Ethernet frame; the limit is for the wire."""
_CONNECT_S = 5.0
"""Seconds in which a server has to accept a connection, if it may not be silent for longer: TCP
sends its first packet again after 1 and 3 s (RFC 6298)."""
_NAME_SHARE = 0.9
"""Of the time for one silence, the most that looking a name up may take."""
_MAX_NOTED = 1024
_AUTOMATIC = ("Accept", "Accept-Encoding", "Content-Type", "User-Agent")
"""Headers that aiohttp would add on its own; a request carries what it was given."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What to ask on behalf of ``endpoint``: of its own host, or of its token service."""

    endpoint: Endpoint
    method: str
    url: URL
    headers: CIMultiDict[str] | Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes | AsyncIterable[bytes] | None = field(default=None, repr=False)
    follow: bool = True
    """Whether to follow the redirects of a GET or HEAD; those of other methods never are."""
    patience_s: float | None = None
    """Seconds of silence after which to give up, if fewer than ever."""

    def authorized(self, authorization: str | None) -> Request:
        """The same with this ``Authorization``, or with none."""
        headers = CIMultiDict(self.headers)
        headers.popall("Authorization", None)
        if authorization is not None:
            headers["Authorization"] = authorization
        return replace(self, headers=headers)

    @property
    def name(self) -> str:
        """Whose answer is expected, for messages."""
        if same_origin(self.url, self.endpoint.base):
            return f"registry {self.endpoint.name}"
        return f"registry {self.endpoint.name} (by way of {self.url.authority})"


class Reply:
    """An answer whose body is still to be read; close it in any case."""

    def __init__(
        self,
        response: aiohttp.ClientResponse,
        *,
        name: str,
        foreign: bool,
        timeout_s: float,
        transport: Transport,
    ) -> None:
        self._response = response
        self._timeout_s = timeout_s
        self._transport = transport
        self.name = name
        """Whose answer it is, for messages."""
        self.foreign = foreign
        """Whether another server than the one that was asked gave it, after a redirect."""
        self.status = response.status
        self.headers: CIMultiDictProxy[str] = response.headers

    @property
    def challenge(self) -> str | None:
        """The ``WWW-Authenticate`` lines as one value."""
        return ", ".join(self.headers.getall("WWW-Authenticate", [])) or None

    async def chunks(self) -> AsyncIterator[bytes]:
        """The body as it comes, within the download limit; `Unavailable` if it stalls or breaks."""
        while chunk := await self._read():
            await self._transport.account(len(chunk))
            yield chunk

    async def read(self, limit: int) -> bytes:
        """The whole body; `Unavailable` if it is longer than ``limit`` bytes."""
        body = bytearray()
        async for chunk in self.chunks():
            body += chunk
            if len(body) > limit:
                raise Unavailable(f"{self.name} sent more than {limit} bytes")
        return bytes(body)

    def close(self) -> None:
        """Let go of the connection; it is used again if the body came to its end."""
        self._response.release()

    async def _read(self) -> bytes:
        with translated(self.name, self._timeout_s):
            return await self._response.content.readany()


class Transport:
    """Sends requests, follows redirects by hand, meters and times what comes back.

    Credentials and client certificates are shown to the origin of the first URL only. No byte for
    ``timeout_s`` seconds, in any phase, is a failure. A GET or HEAD that meets a dropped keep-alive
    connection is sent once more (aiohttp does that). Proxy variables of the environment are
    ignored: on hosts like ours they point at this very program.
    """

    def __init__(
        self, *, metrics: Metrics, download: ByteBudget, timeout_s: float, user_agent: str
    ) -> None:
        self._metrics = metrics
        self._download = download
        self._timeout_s = timeout_s
        self._user_agent = user_agent
        self._tls = TlsContexts()
        self._session: aiohttp.ClientSession | None = None
        self._resolver = Resolver()
        self._unreachable: BoundedDict[str, None] = BoundedDict(_MAX_NOTED)

    async def __aenter__(self) -> Self:
        # Before the whole attempt to connect is given up, which could not tell why.
        self._resolver = Resolver(look_up_s=min(LOOK_UP_S, _NAME_SHARE * self._timeout_s))
        connector = aiohttp.TCPConnector(
            limit=0, resolver=HostNames(self._resolver), socket_factory=self._socket
        )
        self._session = aiohttp.ClientSession(
            connector=connector,
            auto_decompress=False,
            cookie_jar=aiohttp.DummyCookieJar(),
            read_bufsize=_READ_BUFFER,
            skip_auto_headers=_AUTOMATIC,
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    @contextlib.asynccontextmanager
    async def send(self, request: Request) -> AsyncIterator[Reply]:
        """The answer to ``request``, whatever its status; `Unavailable` if none comes."""
        reply = await self.open(request)
        try:
            yield reply
        finally:
            reply.close()

    async def open(self, request: Request) -> Reply:
        """Like `send`, but the caller closes the reply."""
        seen = [request.url]
        while True:
            try:
                response = await self._exchange(request)
            except Silent as error:
                if same_origin(seen[0], request.url):
                    raise
                # The server that was asked has answered; its storage is another matter.
                raise Unavailable(str(error)) from error
            location = response.headers.get("Location")
            may_follow = request.follow and request.method in ("GET", "HEAD")
            if not may_follow or response.status not in REDIRECTS or location is None:
                return Reply(
                    response,
                    name=request.name,
                    foreign=not same_origin(seen[0], request.url),
                    timeout_s=self._timeout_of(request),
                    transport=self,
                )
            response.release()
            target = next_url(seen, location)
            if not same_origin(request.url, target):
                request = request.authorized(None)
            request = replace(request, url=target)
            seen.append(target)

    async def account(self, count: int) -> None:
        """Count ``count`` body bytes and wait until the download limit allows them."""
        self._metrics.origin_bytes.inc(count)
        await self._download.take(count + count * _SEGMENT_HEADERS // _SEGMENT_PAYLOAD)

    def _timeout_of(self, request: Request) -> float:
        return min(self._timeout_s, request.patience_s or self._timeout_s)

    def _socket(self, info: aiohttp.AddrInfoType) -> socket.socket:
        """A socket whose receive window keeps the download limit, if there is one."""
        family, kind, protocol = info[:3]
        made = socket.socket(family, kind, protocol)
        if self._download.rate > 0:
            window = max(_LEAST_RECEIVE_WINDOW, int(self._download.rate * _RECEIVE_WINDOW_S))
            made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, window)
        return made

    async def _exchange(self, request: Request) -> aiohttp.ClientResponse:
        assert self._session is not None, "used outside of its `async with`"
        context = None
        if request.url.scheme == "https":
            own = same_origin(request.url, request.endpoint.base)
            context = await self._tls.context(request.endpoint, own=own)
        headers = CIMultiDict(request.headers)
        headers.setdefault("User-Agent", self._user_agent)
        if (identifier := request_id.get()) and same_origin(request.url, request.endpoint.base):
            headers[REQUEST_ID_HEADER] = accepted_id(identifier)
        self._metrics.origin_requests.labels(request.method).inc()
        timeout_s = self._timeout_of(request)
        about: dict[str, str | int] = {
            "http.request.method": request.method,
            "server.address": request.url.host or "",
            "server.port": request.url.port or 0,
        }
        try:
            with span("registry request", "client", about), translated(request.name, timeout_s):
                _trace(request, headers)
                response = await self._session.request(
                    request.method,
                    request.url,
                    headers=headers,
                    data=request.body,
                    allow_redirects=False,
                    ssl=context or True,
                    timeout=aiohttp.ClientTimeout(
                        total=None,
                        connect=timeout_s,
                        sock_connect=min(_CONNECT_S, timeout_s),
                        sock_read=timeout_s,
                    ),
                )
                note({"http.response.status_code": response.status})
        except Unavailable as error:
            host = request.url.host or ""
            if isinstance(error, Silent) and self._resolver.is_asking(host):
                error = Silent(f"{request.name}: {unanswered(host)}")
            self._note_silent(request.url.authority, error)
            raise error from error.__cause__
        self._note_answering(request.url.authority)
        return response

    def _note_silent(self, server: str, error: Unavailable) -> None:
        if server not in self._unreachable:
            self._unreachable[server] = None
            log.warning("%s", error)

    def _note_answering(self, server: str) -> None:
        if server in self._unreachable:
            del self._unreachable[server]
            log.info("%s answers again", server)


@contextlib.contextmanager
def translated(name: str, timeout_s: float) -> Iterator[None]:
    """Turns what the network and aiohttp raise into `Unavailable`; silence is `Silent`."""
    try:
        yield
    except aiohttp.ConnectionTimeoutError as error:
        raise Silent(f"{name}: nobody accepts connections") from error
    except aiohttp.ClientConnectorDNSError as error:
        kind = Silent if isinstance(error.os_error, NoServerAnswers) else Unavailable
        raise kind(f"{name}: {error.os_error}") from error
    except TimeoutError as error:
        raise Silent(f"{name}: nothing came for {timeout_s:g} s") from error
    except (aiohttp.ClientError, OSError, UnicodeError) as error:
        raise Unavailable(f"{name}: {_reason(error)}") from error


def _trace(request: Request, headers: CIMultiDict[str]) -> None:
    """The registry goes on with the trace; who else it redirects to learns nothing of it."""
    if not same_origin(request.url, request.endpoint.base):
        for name in TRACE_HEADERS:
            headers.popall(name, None)
    elif told := trace_headers():
        headers.popall("tracestate", None)
        headers.update(told)


def _reason(error: Exception) -> str:
    match error:
        case aiohttp.ClientConnectorCertificateError():
            return f"its TLS certificate is not trusted: {error.certificate_error}"
        case aiohttp.ClientConnectorSSLError():
            return f"TLS failed: {error.os_error}"
        case aiohttp.ClientConnectorError():
            number = error.os_error.errno
            return f"cannot connect: {os.strerror(number) if number else error.os_error}"
        case aiohttp.ServerDisconnectedError():
            return "connection closed without an answer"
        case aiohttp.ClientPayloadError():
            return "connection closed in the middle of the body"
        case aiohttp.ClientResponseError():
            return f"what it sends is no HTTP: {brief(error.message)}"
    return brief(str(error)) or type(error).__name__
