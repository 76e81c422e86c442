"""HTTPS through the proxy: connections that are opened."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web
from yarl import URL

from eagle_node.config.hosts import HostPattern, TunnelPolicy, parse_pattern
from eagle_node.config.tree import ProxyConfig, RegistryConfig
from eagle_node.metrics.instruments import Metrics, by_label
from eagle_node.proxy.connect import Connects
from eagle_node.proxy.front import Front
from eagle_node.proxy.intercept import Intercepts
from eagle_node.trust.local_ca import LocalCa, mark_trusted, save
from eagle_node.trust.local_ca_file import LocalCaFile
from tests.integration.registry.origin import NAME, at, serving
from tests.unit.blobs.builders import ingest
from tests.unit.proxy.https import (
    BLOB,
    DIGEST,
    ESTABLISHED,
    Streams,
    connect,
    connecting,
    listening,
    new_ca,
    origin,
    put,
    refusal,
    trusting,
)
from tests.unit.proxy.rig import Rig, oci_code, proxying


@pytest.fixture
async def proxy(tmp_path: Path) -> AsyncIterator[Rig]:
    """A proxy without a CA."""
    async with proxying(tmp_path, origin) as rig:
        yield rig


@pytest.fixture
def ca(proxy: Rig) -> LocalCa:
    """The proxy's CA, made while it runs, for the scripted origin's name."""
    made = new_ca(NAME)
    put(made, proxy.ca_file)
    return made


async def test_without_a_ca_a_listed_host_is_tunnelled(
    proxy: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    """The log says once how to make one."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.readexactly(4))
        writer.close()

    async with listening(serve) as target:
        config = ProxyConfig(intercept=(parse_pattern(target),))
        async with proxying(proxy.ca_file.parent / "other", origin, config=config) as rig:
            for _ in range(2):
                async with connecting(rig, target) as (reader, writer):
                    writer.write(b"\x16abc")
                    assert await reader.read() == b"\x16abc"
    said = [each.message for each in caplog.records if "ca init" in each.message]
    assert len(said) == 1
    assert target in said[0]


async def test_a_ca_is_used_once_it_is_trusted(proxy: Rig) -> None:
    """Between its making and its installation clients would fail: they are tunnelled meanwhile."""
    made = new_ca(NAME)
    save(made, proxy.ca_file)
    status, text = await refusal(proxy, connect(f"{NAME}:443"))
    assert status == 502
    assert text.startswith(f"host name {NAME} does not resolve (DNS server")
    mark_trusted(made, proxy.ca_file)
    async with opening(proxy, made):
        pass
    save(new_ca(NAME), proxy.ca_file)  # another one, which nobody trusts yet
    assert (await refusal(proxy, connect(f"{NAME}:443")))[0] == 502


async def test_without_a_ca_and_without_tunnels_it_is_refused(tmp_path: Path) -> None:
    """It is not looked into, and not let past unseen."""
    config = ProxyConfig(intercept=(HostPattern("a.test"),), tunnel=TunnelPolicy.NONE)
    async with proxying(tmp_path, origin, config=config) as rig:
        status, text = await refusal(rig, connect("a.test:443"))
    assert status == 403
    assert "no local CA" in text


async def test_blobs_come_from_the_cache(proxy: Rig, ca: LocalCa) -> None:
    """A client that trusts the CA sees the registry; its bytes are ours."""
    await ingest(proxy.cache, BLOB)
    url = f"https://{NAME}/v2/team/app/blobs/{DIGEST}"
    async with proxy.client.get(url, proxy=proxy.url, ssl=trusting(ca)) as answer:
        assert answer.status == 200
        assert await answer.read() == BLOB
    async with proxy.client.get(
        url, proxy=proxy.url, ssl=trusting(ca), headers={"Range": "bytes=5-9,-3"}
    ) as answer:
        assert answer.status == 206
        body = await answer.read()
        assert BLOB[5:10] in body
    assert proxy.origin.seen == []
    assert by_label(proxy.metrics.connects)["opened"] >= 1


async def test_everything_else_is_passed_on_with_its_credentials(proxy: Rig, ca: LocalCa) -> None:
    """Pings, tokens, tags and uploads go where the registry is really reached."""
    headers = {"Authorization": "Bearer secret"}
    for method, path, body in (
        ("GET", "/v2/", b""),
        ("GET", "/v2/team/app/tags/list?n=1&last=a%2Fb", b""),
        ("GET", "/token?service=x", b""),
        ("POST", "/v2/team/app/blobs/uploads/", BLOB),
    ):
        async with proxy.client.request(
            method,
            URL(f"https://{NAME}{path}", encoded=True),
            proxy=proxy.url,
            ssl=trusting(ca),
            headers=headers,
            data=body or None,
        ) as answer:
            assert await answer.json() == {
                "method": method,
                "path": path,
                "sent": len(body),
                "authorization": "Bearer secret",
            }


async def test_links_lead_back_to_the_name_that_the_client_knows(tmp_path: Path) -> None:
    """An upload goes on where it began, though the registry is reached elsewhere."""

    async def redirecting(request: web.Request) -> web.StreamResponse:
        base = f"http://{request.host}"
        return web.Response(
            status=202,
            headers={
                "Location": f"{base}/v2/app/blobs/uploads/1?state=x",
                "Link": f'<{base}/v2/_catalog?last=b>; rel="next", <https://else.test/>; rel=x',
            },
        )

    async with proxying(tmp_path, redirecting) as rig:
        made = new_ca(NAME)
        put(made, rig.ca_file)
        url = f"https://{NAME}/v2/app/blobs/uploads/"
        async with rig.client.post(url, proxy=rig.url, ssl=trusting(made)) as answer:
            assert answer.headers["Location"] == f"https://{NAME}/v2/app/blobs/uploads/1?state=x"
            assert answer.headers["Link"] == (
                f'<https://{NAME}/v2/_catalog?last=b>; rel="next", <https://else.test/>; rel=x'
            )


@asynccontextmanager
async def opening(
    rig: Rig, ca: LocalCa, target: str = f"{NAME}:443", *, server_name: str | None = NAME
) -> AsyncIterator[Streams]:
    """An opened connection, as a client of HTTP by hand."""
    context = trusting(ca)
    context.check_hostname = server_name is not None
    async with connecting(rig, target) as (reader, writer):
        await writer.start_tls(context, server_hostname=server_name or "")
        yield reader, writer


async def answered(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    """Status and body of the next answer."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
    length = int(head.partition("content-length: ")[2].partition("\r\n")[0])
    return int(head.split()[1]), await reader.readexactly(length)


async def test_requests_may_be_pipelined(proxy: Rig, ca: LocalCa) -> None:
    """Each is answered, in order, on the one connection."""
    await ingest(proxy.cache, BLOB)
    get = f"GET /v2/team/app/blobs/{DIGEST} HTTP/1.1\r\nHost: {NAME}\r\n\r\n".encode()
    ping = f"GET /v2/ HTTP/1.1\r\nHost: {NAME}\r\n\r\n".encode()
    async with opening(proxy, ca) as (reader, writer):
        writer.write(get + ping + get)
        assert await answered(reader) == (200, BLOB)
        assert (await answered(reader))[0] == 200
        assert await answered(reader) == (200, BLOB)


@pytest.mark.parametrize(
    ("request_text", "status", "code"),
    [
        ("GET /v2/ HTTP/1.1\r\nHost: other.test", 421, "NAME_INVALID"),
        (f"GET /v2/ HTTP/1.1\r\nHost: {NAME}:8443", 421, "NAME_INVALID"),
        (f"GET https://{NAME}/v2/ HTTP/1.1\r\nHost: {NAME}", 400, "NAME_INVALID"),
        (f"CONNECT {NAME}:443 HTTP/1.1\r\nHost: {NAME}", 501, "UNSUPPORTED"),
    ],
)
async def test_requests_must_agree_with_the_connection(
    proxy: Rig, ca: LocalCa, request_text: str, status: int, code: str
) -> None:
    """One host's connection is no way to another's."""
    async with opening(proxy, ca) as (reader, writer):
        writer.write(f"{request_text}\r\n\r\n".encode())
        answer, body = await answered(reader)
        assert (answer, oci_code(body)) == (status, code)
    assert proxy.origin.seen == []


async def test_the_hello_must_agree_with_the_connection(proxy: Rig, ca: LocalCa) -> None:
    """SNI of another host is answered with TLS's alert for it."""
    with pytest.raises(ssl.SSLError, match=r"(?i)unrecognized.name"):
        async with opening(proxy, ca, server_name="other.test"):
            pass


async def test_a_client_need_not_name_the_host_in_its_hello(proxy: Rig, ca: LocalCa) -> None:
    """Without SNI it gets the certificate of the host that it has asked for."""
    async with opening(proxy, ca, server_name=None) as (reader, writer):
        tls = writer.get_extra_info("ssl_object")
        assert tls.getpeercert()["subjectAltName"] == (("DNS", NAME),)
        writer.write(f"GET /v2/ HTTP/1.0\r\nHost: {NAME}\r\n\r\n".encode())
        assert (await reader.readline()).startswith(b"HTTP/1.0 200 ")


async def test_addresses_are_opened_as_addresses(tmp_path: Path) -> None:
    """A registry may be named by IP address and port."""
    async with serving(origin) as server, proxying(tmp_path, origin) as _:
        host = server.host
        config = ProxyConfig(
            registries=(at(server),), intercept=(parse_pattern(f"[::1]:{host.rpartition(':')[2]}"),)
        )
        async with proxying(tmp_path / "second", origin, config=config) as rig:
            made = new_ca("::1")
            put(made, rig.ca_file)
            async with opening(
                rig, made, f"[0::1]:{host.rpartition(':')[2]}", server_name="::1"
            ) as (_, writer):
                tls = writer.get_extra_info("ssl_object")
                assert tls.getpeercert()["subjectAltName"] == (("IP Address", "0:0:0:0:0:0:0:1"),)


async def test_a_client_that_insists_on_http2_is_told(proxy: Rig, ca: LocalCa) -> None:
    """It gets HTTP/1.1's answer to what it says, and the proxy goes on."""
    context = trusting(ca)
    context.set_alpn_protocols(["h2"])
    async with connecting(proxy, f"{NAME}:443") as (reader, writer):
        await writer.start_tls(context, server_hostname=NAME)
        assert writer.get_extra_info("ssl_object").selected_alpn_protocol() is None
        writer.write(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        assert (await reader.readline()).startswith(b"HTTP/1.0 400 ")
    async with proxy.client.get(f"{proxy.url}/v2/") as answer:
        assert answer.status == 200


async def test_http1_is_chosen_when_offered(proxy: Rig, ca: LocalCa) -> None:
    """By a client that could do both."""
    context = trusting(ca)
    context.set_alpn_protocols(["h2", "http/1.1"])
    async with connecting(proxy, f"{NAME}:443") as (_, writer):
        await writer.start_tls(context, server_hostname=NAME)
        assert writer.get_extra_info("ssl_object").selected_alpn_protocol() == "http/1.1"


async def test_a_client_that_does_not_trust_the_ca_is_noticed(
    proxy: Rig, ca: LocalCa, caplog: pytest.LogCaptureFixture
) -> None:
    """The log says once how to have it trusted."""
    stranger = new_ca(NAME)
    for _ in range(2):
        with pytest.raises(ssl.SSLError):
            async with opening(proxy, stranger):
                pass
    async with opening(proxy, ca):  # its handshake came after the alerts of the others
        pass
    said = [each.message for each in caplog.records if "ca trust" in each.message]
    assert len(said) == 1
    assert NAME in said[0]


@pytest.mark.parametrize(
    "garbage",
    [
        b"\x16\x03\x01\x00\x05hello",
        b"\x16" + b"\x00" * 5000,
        b"\x16\x03\x01\xff\xff" + b"x" * 70_000,
    ],
)
async def test_garbage_in_place_of_tls_ends_the_connection(
    proxy: Rig, ca: LocalCa, garbage: bytes
) -> None:
    """With TLS's own alert, or none; the proxy goes on."""
    async with connecting(proxy, f"{NAME}:443", early=garbage) as (reader, writer):
        writer.write_eof()
        try:
            rest = await reader.read()
        except ConnectionResetError:
            rest = b""
        assert rest == b"" or rest[0] == 0x15
    async with opening(proxy, ca) as (reader, writer):
        writer.write(f"GET /v2/ HTTP/1.1\r\nHost: {NAME}\r\n\r\n".encode())
        assert (await answered(reader))[0] == 200


@pytest.mark.parametrize("abrupt", ["hello", "request", "answer"])
async def test_clients_may_vanish_at_any_moment(proxy: Rig, ca: LocalCa, abrupt: str) -> None:
    """By a reset in the middle of the hello, of a request, of an answer; the proxy goes on."""
    await ingest(proxy.cache, BLOB)
    async with connecting(proxy, f"{NAME}:443") as (reader, writer):
        if abrupt == "hello":
            writer.write(b"\x16\x03\x01\x02\x00\x01\x00")
        else:
            await writer.start_tls(trusting(ca), server_hostname=NAME)
            line = f"GET /v2/team/app/blobs/{DIGEST} HTTP/1.1\r\nHost: {NAME}\r\n"
            writer.write(line.encode() + (b"\r\n" if abrupt == "answer" else b""))
            if abrupt == "answer":
                await reader.readexactly(1000)
        await writer.drain()
        made = writer.get_extra_info("socket")
        made.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        writer.transport.abort()
    async with opening(proxy, ca) as (reader, writer):
        writer.write(f"GET /v2/ HTTP/1.1\r\nHost: {NAME}\r\n\r\n".encode())
        assert (await answered(reader))[0] == 200


async def test_what_is_not_tls_is_tunnelled(tmp_path: Path) -> None:
    """Plain HTTP within CONNECT to a listed host reaches the host, as it is."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line = await reader.readline()
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n" + line)
        writer.close()

    async with listening(serve) as target:
        config = ProxyConfig(intercept=(parse_pattern(target),))
        async with proxying(tmp_path, origin, config=config) as rig:
            put(new_ca("127.0.0.1"), rig.ca_file)
            async with connecting(rig, target) as (reader, writer):
                writer.write(b"GET /secret HTTP/1.1\r\n\r\n")
                assert (await reader.read()).endswith(b"GET /secret HTTP/1.1\r\n")
    assert by_label(rig.metrics.connects) == {"tunnelled": 1}


async def test_a_server_that_speaks_first_is_reached(tmp_path: Path) -> None:
    """A client that says nothing to a listed host does not speak TLS; it is tunnelled after all."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 hello\r\n")
        writer.close()

    put(new_ca("127.0.0.1"), tmp_path / "local-ca.pem")
    loop = asyncio.get_running_loop()
    async with listening(serve) as target:
        config = ProxyConfig(intercept=(parse_pattern(target),))
        file = LocalCaFile(tmp_path / "local-ca.pem")
        connects = Connects(Intercepts(config), file, Metrics(), hello_s=0.05)
        fronts = await loop.create_server(
            lambda: Front(asyncio.Protocol, connects.begin, set()), "127.0.0.1", 0
        )
        reader, writer = await asyncio.open_connection(*fronts.sockets[0].getsockname())
        writer.write(connect(target))
        async with asyncio.timeout(30):
            assert await reader.read() == ESTABLISHED + b"220 hello\r\n"
        writer.close()
        fronts.close()
        await connects.aclose()


async def test_a_client_that_waits_to_be_invited_is(proxy: Rig, ca: LocalCa) -> None:
    """curl does so before it uploads much."""
    async with opening(proxy, ca) as (reader, writer):
        writer.write(
            f"PUT /v2/app/blobs/uploads/1 HTTP/1.1\r\nHost: {NAME}\r\nContent-Length: 4\r\n"
            "Expect: 100-continue\r\n\r\n".encode()
        )
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(b"body")
        status, body = await answered(reader)
    assert (status, json.loads(body)["sent"]) == (200, 4)


async def test_hosts_that_the_ca_may_not_sign_are_tunnelled(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Clients would refuse such a certificate; the log says that another CA is needed."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.readexactly(4))
        writer.close()

    async with listening(serve) as target:
        config = ProxyConfig(intercept=(parse_pattern(target),))
        async with proxying(tmp_path, origin, config=config) as rig:
            put(new_ca("other.test"), rig.ca_file)
            async with connecting(rig, target) as (reader, writer):
                writer.write(b"\x16abc")
                assert await reader.read() == b"\x16abc"
    assert any("--replace" in each.message for each in caplog.records)


async def test_a_list_without_a_ca_is_told_of_at_the_start(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Who names hosts to open wants them opened; who configures registries need not."""
    for config, times in (
        (ProxyConfig(intercept=(HostPattern("a.test"),)), 1),
        (ProxyConfig(registries=(RegistryConfig(name="a.test", url="https://a.test"),)), 0),
    ):
        caplog.clear()
        async with proxying(tmp_path / str(times), origin, config=config):
            said = [each.message for each in caplog.records if "ca init" in each.message]
        assert len(said) == times


async def test_a_hello_may_come_in_pieces(proxy: Rig, ca: LocalCa) -> None:
    """Long ones do, with keys against quantum computers."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = trusting(ca).wrap_bio(to_client, to_server, server_hostname=NAME)
    async with connecting(proxy, f"{NAME}:443") as (reader, writer):
        while True:
            try:
                client.do_handshake()
                break
            except ssl.SSLWantReadError:
                hello = to_server.read()
                for start in range(0, len(hello), 100):
                    writer.write(hello[start : start + 100])
                    await writer.drain()
                    await asyncio.sleep(0)
                to_client.write(await reader.read(65536))
        client.write(f"GET /v2/ HTTP/1.1\r\nHost: {NAME}\r\n\r\n".encode())
        writer.write(to_server.read())
        answer = b""
        while b"HTTP/1.1 200 OK" not in answer:
            to_client.write(await reader.read(65536))
            try:
                answer += client.read(65536)
            except ssl.SSLWantReadError:
                continue


async def test_a_tls_record_that_is_none_is_answered_by_an_alert(proxy: Rig, ca: LocalCa) -> None:
    """As a server of TLS does, and not by a bare reset."""
    async with connecting(proxy, f"{NAME}:443", early=b"\x16\x03\x01\x00\x05hello") as (reader, _):
        record = await reader.read()
    assert (record[0], record[5]) == (0x15, 2)  # an alert, fatal


async def test_a_refusal_to_a_client_that_has_left_is_dropped() -> None:
    """Its connection is let go of; nothing fails, though the reset has come already."""
    fronts: asyncio.Queue[Front] = asyncio.Queue()
    server = await asyncio.get_running_loop().create_server(
        lambda: Front(asyncio.Protocol, lambda front, _: fronts.put_nowait(front), set()),
        *("127.0.0.1", 0),
    )
    async with server:
        host, port = server.sockets[0].getsockname()
        client = socket.create_connection((host, port))
        client.sendall(connect("example.com:443"))
        front = await fronts.get()
        client.close()
        front.refuse(504, "Gateway Timeout", "no answer within 15 s")
        assert front.transport.is_closing()
