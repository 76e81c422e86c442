"""``metainfo.proto`` is the contract: what protoc makes of it agrees, and talks, with our code."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import asdict
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import grpc.aio
import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet
from grpc_tools import protoc

import eagle_node.metainfo
from eagle_node.base.errors import Denied
from eagle_node.metainfo.client import MetaInfoClient
from eagle_node.metainfo.descriptors import file_descriptor
from eagle_node.metainfo.messages import LayoutEvent, SegmentEvent
from eagle_node.runtime.sockets import Address
from tests.support.modules import load_module
from tests.unit.metainfo.examples import (
    BYTES,
    CHECK_REPLY,
    CHECK_REQUEST,
    FOUND,
    HASHES_REPLY,
    LOOK_REQUEST,
    MANIFEST_REPLY,
    MANIFEST_REQUEST,
    PREFETCH_REQUEST,
    READ_REQUEST,
    REPLIES,
    REQUEST,
    Desk,
    Handler,
    Lookers,
    serving,
)

_ROOM = Path(eagle_node.metainfo.__file__).parent


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[ModuleType, ModuleType]]:
    """Message and stub modules as protoc generates them."""
    target = tmp_path_factory.mktemp("generated")
    _protoc(f"--python_out={target}", f"--grpc_python_out={target}")
    names = ("metainfo_pb2", "metainfo_pb2_grpc")
    messages, stubs = (load_module(name, target / f"{name}.py") for name in names)
    yield messages, stubs
    for name in names:
        del sys.modules[name]


def _protoc(*arguments: str) -> None:
    assert protoc.main(["protoc", f"-I{_ROOM}", *arguments, "metainfo.proto"]) == 0


def test_the_table_says_what_the_file_says(tmp_path: Path) -> None:
    """Names, numbers, types, oneofs and methods are the same in both."""
    _protoc(f"--descriptor_set_out={tmp_path / 'set'}")
    compiled = FileDescriptorSet.FromString((tmp_path / "set").read_bytes()).file[0]
    assert _without_json_names(compiled) == file_descriptor()


def _without_json_names(file: FileDescriptorProto) -> FileDescriptorProto:
    for described in file.message_type:
        for field in described.field:
            field.ClearField("json_name")
    for service in file.service:
        for method in service.method:
            method.ClearField("options")
    return file


async def test_generated_clients_are_answered(generated: tuple[ModuleType, ModuleType]) -> None:
    """Programs that were built from the file talk to our service."""
    messages, stubs = generated
    handler = Handler(*REPLIES)
    async with serving(handler) as seeder, grpc.aio.insecure_channel(str(seeder)) as channel:
        reply = await stubs.MetaInfoStub(channel).GetMetaInfo(
            messages.MetaInfoRequest(url="https://r/v2/a/blobs/sha256:0")
        )
        stream = stubs.SegmentsStub(channel).Fetch(
            messages.FetchRequest(
                registry=REQUEST.registry,
                repository=REQUEST.repository,
                digest=REQUEST.digest,
                authorization=REQUEST.authorization,
                node_id=REQUEST.node_id,
                layout_version=REQUEST.layout_version,
                request_id=REQUEST.request_id,
                first=REQUEST.first,
                only_first=REQUEST.only_first,
            )
        )
        events = [event async for event in stream]
        told = messages.PrefetchRequest(
            registry=PREFETCH_REQUEST.registry,
            repository=PREFETCH_REQUEST.repository,
            blobs=[
                messages.PrefetchBlob(digest=blob.digest, size=blob.size)
                for blob in PREFETCH_REQUEST.blobs
            ],
            authorization=PREFETCH_REQUEST.authorization,
            node_id=PREFETCH_REQUEST.node_id,
            request_id=PREFETCH_REQUEST.request_id,
        )
        assert await stubs.SegmentsStub(channel).Prefetch(told) == messages.PrefetchReply()
        wanted = messages.ReadRequest(
            registry=READ_REQUEST.registry,
            repository=READ_REQUEST.repository,
            digest=READ_REQUEST.digest,
            authorization=READ_REQUEST.authorization,
            node_id=READ_REQUEST.node_id,
            request_id=READ_REQUEST.request_id,
            path=READ_REQUEST.path,
            start=READ_REQUEST.start,
            stop=READ_REQUEST.stop,
        )
        read = [reply.data async for reply in stubs.SegmentsStub(channel).Read(wanted)]
        hashed = await stubs.SegmentsStub(channel).Hashes(wanted)
    assert reply.metainfo == b"d4:infodee"
    assert handler.reads == [READ_REQUEST, READ_REQUEST]
    assert hashed.hashes == b"".join(HASHES_REPLY.hashes)
    assert (hashed.info_hash, hashed.node_id) == (HASHES_REPLY.info_hash, HASHES_REPLY.node_id)
    assert tuple(read) == BYTES
    assert handler.urls == ["https://r/v2/a/blobs/sha256:0"]
    assert handler.requests == [REQUEST]
    assert handler.prefetched == [PREFETCH_REQUEST]
    assert [event.WhichOneof("event") for event in events] == [
        "layout",
        "beat",
        "segment",
        "inline",
    ]
    assert events[0].layout.size == 1 << 33
    assert [event.age_ms for event in events] == [1 << 33, 0, 0, 7]
    assert events[2].segment.root == b"d4:infodee"


async def test_generated_clients_ask_registries(
    generated: tuple[ModuleType, ModuleType],
) -> None:
    """Questions and answers are the same in both languages."""
    messages, stubs = generated
    desk = Desk()
    async with (
        serving(Handler(), desk=desk) as seeder,
        grpc.aio.insecure_channel(str(seeder)) as channel,
    ):
        stub = stubs.RegistryStub(channel)
        manifest = await stub.Manifest(messages.ManifestRequest(**asdict(MANIFEST_REQUEST)))
        check = await stub.Check(messages.CheckRequest(**asdict(CHECK_REQUEST)))
    assert desk.asked == [MANIFEST_REQUEST, CHECK_REQUEST]
    assert manifest == messages.ManifestReply(sized=True, **asdict(MANIFEST_REPLY))
    assert check == messages.CheckReply(sized=True, **asdict(CHECK_REPLY))


async def test_generated_clients_look_at_files(
    generated: tuple[ModuleType, ModuleType],
) -> None:
    """The question and both kinds of answers are the same in both languages."""
    messages, stubs = generated
    files = Lookers()
    async with (
        serving(Handler(), files=files) as seeder,
        grpc.aio.insecure_channel(str(seeder)) as channel,
    ):
        asked = messages.LookRequest(**asdict(LOOK_REQUEST))
        replies = [reply async for reply in stubs.FilesStub(channel).Look(asked)]
    assert files.asked == [LOOK_REQUEST]
    assert [reply.WhichOneof("event") for reply in replies] == ["beat", "found"]
    assert replies[1].found == messages.Found(**asdict(FOUND))


async def test_generated_servers_are_understood(generated: tuple[ModuleType, ModuleType]) -> None:
    """Seeders of another make serve our client, their bare statuses included."""
    messages, stubs = generated

    async def get_metainfo(request: Any, context: Any) -> None:
        await context.abort(grpc.StatusCode.NOT_FOUND, request.url)

    async def fetch(request: Any, _: Any) -> AsyncIterator[Any]:
        yield messages.FetchReply(layout=messages.Layout(size=5, version=1))
        yield messages.FetchReply(segment=messages.Segment(root=request.digest.encode()))

    async def prefetch(request: Any, _: Any) -> Any:
        noticed.extend(blob.digest for blob in request.blobs)
        return messages.PrefetchReply()

    async def read(request: Any, _: Any) -> AsyncIterator[Any]:
        yield messages.ReadReply(data=request.path.encode())

    async def hashes(_: Any, __: Any) -> Any:
        return messages.HashesReply(
            hashes=b"".join(HASHES_REPLY.hashes),
            info_hash=HASHES_REPLY.info_hash,
            node_id=HASHES_REPLY.node_id,
        )

    noticed: list[str] = []
    server = grpc.aio.server()
    stubs.add_MetaInfoServicer_to_server(SimpleNamespace(GetMetaInfo=get_metainfo), server)
    segments = SimpleNamespace(Fetch=fetch, Prefetch=prefetch, Read=read, Hashes=hashes)
    stubs.add_SegmentsServicer_to_server(segments, server)
    seeder = Address("127.0.0.1", server.add_insecure_port("127.0.0.1:0"))
    await server.start()
    async with MetaInfoClient(lambda: [seeder]) as client:
        assert [reply async for reply in client.fetch(REQUEST)] == [
            LayoutEvent(size=5, version=1),
            SegmentEvent(index=0, root=REQUEST.digest.encode()),
        ]
        await client.prefetch(seeder, PREFETCH_REQUEST)
        reading = client.read_from(seeder, READ_REQUEST, silence_s=30)
        assert [data async for data in reading] == [READ_REQUEST.path.encode()]
        assert await client.hashes_from(seeder, READ_REQUEST) == HASHES_REPLY
        with pytest.raises(Denied, match="https://r/1") as raised:
            await client.get_metainfo("https://r/1")
    assert raised.value.status == 404
    assert noticed == [blob.digest for blob in PREFETCH_REQUEST.blobs]
    await server.stop(None)


def test_messages_need_no_grpc() -> None:
    """The codec can be imported where grpc is not installed, and idle nodes do not pay for it."""
    program = (
        "import sys, eagle_node.metainfo.messages, eagle_node.metainfo.client,"
        " eagle_node.metainfo.service; assert not {'grpc', 'google.protobuf'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
