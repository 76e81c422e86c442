"""Drivers behave like a dictionary, whatever is done to them."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator
from contextlib import ExitStack

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from eagle_node.base.errors import Unavailable
from eagle_node.storage.interface import BlobNotFound, Storage
from eagle_node.storage.open import open_storage

_names = st.sampled_from(["a/1", "a/2", "b/c/1", "top"])
_blobs = st.binary(max_size=40)


class StorageModel(RuleBasedStateMachine):
    """A store beside the dictionaries that it should equal."""

    url = "memory://"

    def __init__(self) -> None:
        super().__init__()
        self.resources = ExitStack()
        self.runner = self.resources.enter_context(asyncio.Runner())
        self.blobs: dict[str, bytes] = {}
        self.companions: dict[str, bytes] = {}

    def teardown(self) -> None:
        self.resources.close()

    @initialize()
    def open(self) -> None:
        opened = open_storage(self.url)
        self.storage: Storage = self.runner.run(opened.__aenter__())

    @rule(name=_names, blob=_blobs, cut=st.integers(1, 7), missing=st.integers(-1, 1))
    def upload(self, name: str, blob: bytes, cut: int, missing: int) -> None:
        size = max(0, len(blob) + missing)
        try:
            self.runner.run(self.storage.upload(name, _cut(blob, cut), size=size))
        except Unavailable:
            assert size != len(blob)
        else:
            assert size == len(blob)
            self.blobs[name] = blob

    @rule(name=_names, metainfo=_blobs)
    def keep_metainfo(self, name: str, metainfo: bytes) -> None:
        self.runner.run(self.storage.create_with_metainfo(name, metainfo))
        self.companions[name] = metainfo

    @rule(name=_names)
    def delete(self, name: str) -> None:
        self.runner.run(self.storage.delete(name))
        self.blobs.pop(name, None)
        self.companions.pop(name, None)

    @rule(name=_names, start=st.integers(0, 50), length=st.none() | st.integers(0, 50))
    def download(self, name: str, start: int, length: int | None) -> None:
        stop = None if length is None else start + length
        try:
            read = self.runner.run(_read(self.storage.download(name, start=start, stop=stop)))
        except BlobNotFound:
            assert name not in self.blobs
        else:
            assert read == self.blobs[name][start:stop]

    @rule(name=_names)
    def read_metainfo(self, name: str) -> None:
        try:
            metainfo = self.runner.run(self.storage.metainfo(name))
        except BlobNotFound:
            assert name not in self.companions
        else:
            assert metainfo == self.companions[name]

    @invariant()
    def lists_what_is_there(self) -> None:
        if hasattr(self, "storage"):
            listed = self.runner.run(_sizes(self.storage))
            assert listed == {name: len(blob) for name, blob in self.blobs.items()}


class DirectoryModel(StorageModel):
    """The same for ``file://``."""

    def __init__(self) -> None:
        super().__init__()
        self.url = f"file://{self.resources.enter_context(tempfile.TemporaryDirectory())}/store"


async def _cut(blob: bytes, length: int) -> AsyncIterator[bytes]:
    for offset in range(0, len(blob), length):
        yield blob[offset : offset + length]


async def _read(chunks: AsyncIterator[bytes]) -> bytes:
    return b"".join([chunk async for chunk in chunks])


async def _sizes(storage: Storage) -> dict[str, int]:
    return {info.name: info.size async for info in storage.list()}


TestStorageModel = StorageModel.TestCase
TestStorageModel.settings = settings(max_examples=50, deadline=None)
TestDirectoryModel = DirectoryModel.TestCase
TestDirectoryModel.settings = settings(max_examples=30, deadline=None)
