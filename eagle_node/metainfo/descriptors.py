"""Message classes of ``metainfo.proto``, made from descriptors when first used.

The table here and the file say the same; a test compiles the file to prove it.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from google.protobuf.descriptor_pb2 import FileDescriptorProto

MessageName = Literal[
    "MetaInfoRequest",
    "MetaInfoReply",
    "FetchRequest",
    "FetchReply",
    "Layout",
    "Segment",
    "Beat",
    "PrefetchRequest",
    "PrefetchBlob",
    "PrefetchReply",
    "ReadRequest",
    "ReadReply",
    "HashesReply",
    "ManifestRequest",
    "ManifestReply",
    "CheckRequest",
    "CheckReply",
    "LookRequest",
    "LookReply",
    "Found",
]

_FILE = "metainfo.proto"
_PACKAGE = "metainfo"
_ONEOF = "event"

_FIELDS: dict[MessageName, tuple[str, ...]] = {
    "MetaInfoRequest": ("string url",),
    "MetaInfoReply": ("bytes metainfo",),
    "FetchRequest": (
        "string registry",
        "string repository",
        "string digest",
        "string authorization",
        "string node_id",
        "uint32 layout_version",
        "string request_id",
        "repeated uint32 first",
        "string path",
        "bool only_first",
    ),
    "FetchReply": (
        "oneof Layout layout",
        "oneof Segment segment",
        "oneof bytes inline",
        "oneof Beat beat",
        "uint64 age_ms",
    ),
    "Layout": ("uint64 size", "uint32 version", "uint32 swarm_port"),
    "Segment": ("uint32 index", "bytes root"),
    "Beat": ("uint64 received", "bool waiting"),
    "PrefetchRequest": (
        "string registry",
        "string repository",
        "repeated PrefetchBlob blobs",
        "string authorization",
        "string node_id",
        "string request_id",
    ),
    "PrefetchBlob": ("string digest", "uint64 size"),
    "PrefetchReply": (),
    "ReadRequest": (
        "string registry",
        "string repository",
        "string digest",
        "string authorization",
        "string node_id",
        "string request_id",
        "string path",
        "uint64 start",
        "uint64 stop",
    ),
    "ReadReply": ("bytes data",),
    "HashesReply": ("bytes hashes", "bytes info_hash", "string node_id"),
    "ManifestRequest": (
        "string registry",
        "string repository",
        "string reference",
        "bool head",
        "repeated string accept",
        "string authorization",
        "bool fresh",
        "string node_id",
        "string request_id",
    ),
    "ManifestReply": (
        "string digest",
        "string media_type",
        "bool sized",
        "uint64 size",
        "bytes body",
        "uint64 age_ms",
        "bool stale",
        "bool limited",
    ),
    "CheckRequest": (
        "string registry",
        "string repository",
        "string digest",
        "string authorization",
        "string node_id",
        "string request_id",
    ),
    "CheckReply": ("bool sized", "uint64 size", "uint64 age_ms", "bool stale", "bool limited"),
    "LookRequest": (
        "string registry",
        "string path",
        "string authorization",
        "string node_id",
        "string request_id",
    ),
    "LookReply": ("oneof Beat beat", "oneof Found found"),
    "Found": ("string digest", "uint64 size"),
}
"""Fields in the order of their numbers, which count from 1 without gaps."""

_METHODS: dict[str, tuple[tuple[str, MessageName, MessageName, bool], ...]] = {
    "MetaInfo": (("GetMetaInfo", "MetaInfoRequest", "MetaInfoReply", False),),
    "Segments": (
        ("Fetch", "FetchRequest", "FetchReply", True),
        ("Prefetch", "PrefetchRequest", "PrefetchReply", False),
        ("Read", "ReadRequest", "ReadReply", True),
        ("Hashes", "ReadRequest", "HashesReply", False),
    ),
    "Registry": (
        ("Manifest", "ManifestRequest", "ManifestReply", False),
        ("Check", "CheckRequest", "CheckReply", False),
    ),
    "Files": (("Look", "LookRequest", "LookReply", True),),
}
"""Of each service: method, request, reply, whether replies are a stream."""


def message(name: MessageName) -> Any:
    """A new, empty protobuf message."""
    return _classes()[f"{_PACKAGE}.{name}"]()


def serialized(made: Any) -> bytes:
    """The wire form of a message."""
    return bytes(made.SerializeToString())


def parsed(name: MessageName, data: bytes) -> Any:
    """The message in ``data``; `ValueError` if there is none."""
    from google.protobuf.message import DecodeError

    found = message(name)
    try:
        found.ParseFromString(data)
    except DecodeError as error:
        raise ValueError(f"{len(data)} bytes are no {_PACKAGE}.{name}: {error}") from error
    return found


def file_descriptor() -> FileDescriptorProto:
    """The contract as protobuf's own description of a file."""
    from google.protobuf.descriptor_pb2 import FileDescriptorProto

    file = FileDescriptorProto(name=_FILE, package=_PACKAGE, syntax="proto3")
    for name, fields in _FIELDS.items():
        described = file.message_type.add(name=name)
        if any(field.startswith("oneof ") for field in fields):
            described.oneof_decl.add(name=_ONEOF)
        for number, field in enumerate(fields, 1):
            _add_field(described, field, number)
    for service, methods in _METHODS.items():
        made = file.service.add(name=service)
        for method, request, reply, streaming in methods:
            made.method.add(
                name=method,
                input_type=f".{_PACKAGE}.{request}",
                output_type=f".{_PACKAGE}.{reply}",
                server_streaming=streaming or None,
            )
    return file


def _add_field(described: Any, text: str, number: int) -> None:
    from google.protobuf.descriptor_pb2 import FieldDescriptorProto as Field

    *label, type_name, name = text.split()
    field = described.field.add(name=name, number=number)
    field.label = Field.LABEL_REPEATED if label == ["repeated"] else Field.LABEL_OPTIONAL
    if label == ["oneof"]:
        field.oneof_index = 0
    if type_name in _FIELDS:
        field.type = Field.TYPE_MESSAGE
        field.type_name = f".{_PACKAGE}.{type_name}"
    else:
        field.type = Field.Type.Value(f"TYPE_{type_name.upper()}")


@cache
def _classes() -> dict[str, Any]:
    """In a pool of their own, so that generated code for the same file can live beside them."""
    from google.protobuf.descriptor_pool import DescriptorPool
    from google.protobuf.message_factory import GetMessageClassesForFiles

    pool = DescriptorPool()
    pool.Add(file_descriptor())
    return GetMessageClassesForFiles([_FILE], pool)
