"""Whether registries, seeders and trackers can be reached from here."""

from __future__ import annotations

import asyncio
import datetime
import email.utils

import aiohttp
from yarl import URL

from eagle_node.base.errors import EagleError
from eagle_node.base.findings import Finding, error, ok, warning
from eagle_node.config.tree import Config
from eagle_node.doctor.secrets import readable
from eagle_node.registry.endpoints import Endpoint, Endpoints
from eagle_node.registry.tls import TlsContexts
from eagle_node.runtime.sockets import Address, in_words

_TIMEOUT_S = 10.0
_SKEW_S = 60.0
"""Tokens and certificates are commonly allowed a minute; the Date header counts whole seconds."""


async def check_registries(config: Config) -> list[Finding]:
    """Whether each configured registry, and the default one, answers (OCI, "Endpoints", end-1)."""
    names = [registry.name for registry in config.proxy.registries]
    if not config.proxy.only_configured:
        names.append(config.proxy.default_registry)
    endpoints, contexts = Endpoints(config.proxy), TlsContexts()
    found = await asyncio.gather(
        *(_registry(endpoints.of(name), contexts) for name in dict.fromkeys(names))
    )
    return [finding for findings in found for finding in findings]


async def check_nodes(config: Config) -> list[Finding]:
    """Whether pinned seeders and trackers accept connections."""
    seeders = [("seeder", address) for address in config.seeder.pinned]
    trackers = [("tracker", _address(url)) for url in config.tracker.pinned]
    return list(await asyncio.gather(*(_connects(*each) for each in [*seeders, *trackers])))


async def _registry(endpoint: Endpoint, contexts: TlsContexts) -> list[Finding]:
    subject = f"registry {endpoint.name}"
    url = endpoint.url("/v2/")
    timeout = aiohttp.ClientTimeout(total=_TIMEOUT_S)
    try:
        tls = await contexts.context(endpoint, own=True) if url.scheme == "https" else True
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.get(url, ssl=tls, allow_redirects=False) as answer,
        ):
            status, date = answer.status, answer.headers.get("Date", "")
    except EagleError as failure:
        if not readable(endpoint):
            return []  # `check_secrets` tells which, and what to do
        remedy = "correct client-cert-file and client-key-file: each must be of the other"
        return [error(subject, str(failure), remedy)]
    except aiohttp.ClientConnectorCertificateError as failure:
        text = f"{url.host}: its certificate is not trusted: {failure.certificate_error}"
        return [error(subject, text, _trust_remedy(endpoint, str(failure.certificate_error)))]
    except (aiohttp.ClientError, TimeoutError) as failure:
        text = f"{url.origin()} does not answer: {in_words(failure)}"
        remedy = (
            "look at DNS, routes and firewalls from here (curl -v "
            f"{url}); if it is reached elsewhere: --registry {endpoint.name}=URL"
        )
        return [error(subject, text, remedy)]
    if status >= 500 or status == 404:
        text = f"{url} answers {status}: it is no registry, or broken"
        return [error(subject, text, f"correct --registry {endpoint.name}=URL, or tell its owner")]
    return [ok(subject, f"{url.origin()} answers"), *_skew(subject, date)]


def _skew(subject: str, date: str) -> list[Finding]:
    """What the registry's clock says about ours."""
    try:
        theirs = email.utils.parsedate_to_datetime(date)
    except ValueError:
        return []
    if theirs.tzinfo is None:
        return []
    ahead = (datetime.datetime.now(datetime.UTC) - theirs).total_seconds()
    if abs(ahead) <= _SKEW_S:
        return []
    way = "ahead of" if ahead > 0 else "behind"
    text = f"this host's clock is {abs(ahead):.0f} s {way} the one of {subject}"
    return [warning("clock", text, "timedatectl set-ntp true (or run chrony, ntpd)")]


def _trust_remedy(endpoint: Endpoint, reason: str) -> str:
    if "expired" in reason:
        return "have its owner renew it; until then cached images are served"
    if endpoint.ca_file is not None:
        return f"{endpoint.ca_file} does not hold the CA that has signed it: put that one there"
    return f"if its CA is a private one: ca-file in the [[registry]] table of {endpoint.name}"


async def _connects(what: str, address: Address) -> Finding:
    try:
        async with asyncio.timeout(_TIMEOUT_S):
            _, writer = await asyncio.open_connection(address.host, address.port)
    except (OSError, TimeoutError) as failure:
        text = f"{address} does not accept connections: {in_words(failure)}"
        remedy = f"start the node there, let its port through, or correct --{what}"
        return error(what, text, remedy)
    writer.close()
    return ok(what, f"{address} accepts connections")


def _address(url: str) -> Address:
    parsed = URL(url)
    return Address(parsed.host or "", parsed.port or 6969)
