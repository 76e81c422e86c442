"""The cluster's CA and TLS between nodes, over real sockets on loopback."""

from __future__ import annotations

import asyncio
import hashlib
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest
from aiohttp import web
from cryptography import x509
from cryptography.x509.oid import NameOID

from eagle_node.base.errors import Unavailable
from eagle_node.metainfo.client import MetaInfoClient
from eagle_node.trust.authority import authority_of
from eagle_node.trust.certificates import SERVER_NAME, NodeIdentity, node_identity
from eagle_node.trust.key import ClusterKey
from tests.unit.metainfo.examples import REPLIES, REQUEST, Handler, serving

KEY = ClusterKey(primary=bytes(range(32)))
FOREIGN = ClusterKey(primary=bytes(range(1, 33)))

_REFUSED = (aiohttp.ClientError, ssl.SSLError, ConnectionError)


def test_the_authority_is_a_wire_constant() -> None:
    """Torrents carry it, so every node and every release must make the same bytes of a key."""
    digest = hashlib.sha256(authority_of(KEY).pem).hexdigest()
    assert digest == "9cc5cb122b6b21864b2184160ea07a45a4db4d3b9952526d3b2ad995aa04fd75"


def test_clusters_have_authorities_of_their_own() -> None:
    """Keys, names and serial numbers differ with the cluster key."""
    one, two = authority_of(KEY).certificate, authority_of(FOREIGN).certificate
    assert one.public_key() != two.public_key()
    assert one.subject != two.subject
    assert one.serial_number != two.serial_number


def test_the_authority_signs_itself_and_nothing_below_nodes() -> None:
    """Certificates of nodes cannot sign further ones."""
    authority = authority_of(KEY).certificate
    authority.verify_directly_issued_by(authority)
    constraints = authority.extensions.get_extension_for_class(x509.BasicConstraints)
    assert constraints.critical
    assert constraints.value == x509.BasicConstraints(ca=True, path_length=0)


def test_each_process_has_a_certificate_of_its_own() -> None:
    """The authority is shared, private keys are not."""
    one, two = node_identity(KEY), node_identity(KEY)
    assert one.root == two.root == one.trusted
    assert one.key != two.key
    assert one.certificate != two.certificate


def test_a_certificate_names_nodes_and_any_torrent() -> None:
    """The DNS name is for gRPC, the common name for libtorrent."""
    certificate = x509.load_pem_x509_certificate(node_identity(KEY).certificate)
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    assert names.value.get_values_for_type(x509.DNSName) == [SERVER_NAME]
    assert [each.value for each in certificate.subject] == ["*"]
    assert certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    certificate.verify_directly_issued_by(authority_of(KEY).certificate)


def test_private_keys_do_not_show() -> None:
    """The text of an identity holds certificates only."""
    assert "PRIVATE" not in repr(node_identity(KEY))


@asynccontextmanager
async def _http(identity: NodeIdentity) -> AsyncIterator[str]:
    """An HTTPS server that greets nodes of its cluster."""

    async def greet(_: web.Request) -> web.Response:
        return web.Response(text="hello")

    app = web.Application()
    app.router.add_get("/", greet)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=identity.ssl_context(server=True))
    await site.start()
    try:
        host, port = runner.addresses[0][:2]
        yield f"https://{host}:{port}/"
    finally:
        await runner.cleanup()


async def _get(url: str, context: ssl.SSLContext) -> str:
    connector = aiohttp.TCPConnector(ssl=context)
    async with aiohttp.ClientSession(connector=connector) as session, session.get(url) as response:
        return await response.text()


async def test_nodes_of_a_cluster_talk_over_https() -> None:
    """Two processes with the same key accept each other at any address."""
    async with _http(node_identity(KEY)) as url:
        assert await _get(url, node_identity(KEY).ssl_context(server=False)) == "hello"


async def test_certificates_pass_strict_verification() -> None:
    """They are what RFC 5280 wants, as newer Pythons check by default."""
    context = node_identity(KEY).ssl_context(server=False)
    context.verify_flags |= ssl.VerifyFlags.VERIFY_X509_STRICT
    async with _http(node_identity(KEY)) as url:
        assert await _get(url, context) == "hello"


async def test_a_node_of_another_cluster_is_refused_over_https() -> None:
    """Neither end accepts the other, even when only one of them checks."""
    foreign = node_identity(FOREIGN)
    lenient = foreign.ssl_context(server=False)
    lenient.verify_mode = ssl.CERT_NONE
    async with _http(node_identity(KEY)) as url:
        for context in (foreign.ssl_context(server=False), lenient):
            with pytest.raises(_REFUSED):
                await _get(url, context)


async def test_a_client_without_a_certificate_is_refused_over_https() -> None:
    """Knowing the authority is not enough: it is public to whoever sees a torrent."""
    context = ssl.create_default_context(cadata=node_identity(KEY).root.decode())
    context.check_hostname = False
    async with _http(node_identity(KEY)) as url:
        with pytest.raises(_REFUSED):
            await _get(url, context)


async def test_old_tls_is_refused() -> None:
    """Nodes speak TLS 1.3 and nothing older."""
    context = node_identity(KEY).ssl_context(server=False)
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_2
    async with _http(node_identity(KEY)) as url:
        with pytest.raises(_REFUSED):
            await _get(url, context)


async def test_a_key_is_changed_without_an_outage() -> None:
    """While the ring holds both keys, nodes on either side of the change accept each other."""
    old = ClusterKey(primary=KEY.primary, others=(FOREIGN.primary,))
    new = ClusterKey(primary=FOREIGN.primary, others=(KEY.primary,))
    for server, client in ((old, new), (new, old)):
        async with _http(node_identity(server)) as url:
            context = node_identity(client).ssl_context(server=False)
            assert await _get(url, context) == "hello"


async def test_nodes_of_a_cluster_talk_over_grpc() -> None:
    """The metainfo service behind mutual TLS."""
    credentials = node_identity(KEY).grpc_server_credentials()
    client = MetaInfoClient(
        list,
        credentials=node_identity(KEY).grpc_channel_credentials(),
        server_name=SERVER_NAME,
    )
    async with serving(Handler(*REPLIES), credentials=credentials) as seeder, client:
        assert [each async for each in client.fetch_from(seeder, REQUEST)] == list(REPLIES)


@pytest.mark.parametrize("plain", [False, True], ids=["another cluster", "no tls"])
async def test_strangers_are_refused_over_grpc(plain: bool) -> None:
    """They do not get as far as a request, and learn so without a long wait."""
    handler = Handler(*REPLIES)
    foreign = None if plain else node_identity(FOREIGN).grpc_channel_credentials()
    client = MetaInfoClient(list, credentials=foreign, server_name=SERVER_NAME)
    credentials = node_identity(KEY).grpc_server_credentials()
    async with serving(handler, credentials=credentials) as seeder, client:
        async with asyncio.timeout(60):
            with pytest.raises(Unavailable):
                assert [each async for each in client.fetch_from(seeder, REQUEST)] == []
    assert handler.requests == []
