"""The example plug-in is found through its entry point, and is a blob store like any other."""

from __future__ import annotations

import shutil
import sys
import tomllib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from eagle_node.base.errors import UsageError
from eagle_node.storage.conformance import StorageConformance
from eagle_node.storage.interface import Storage
from eagle_node.storage.open import known_schemes, open_storage

_EXAMPLE = Path(__file__).parents[3] / "examples" / "storage_plugin"


@pytest.fixture(scope="module", autouse=True)
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What an installer would put on Python's path: the module and its metadata."""
    site = tmp_path_factory.mktemp("site")
    project = tomllib.loads((_EXAMPLE / "pyproject.toml").read_text())["project"]
    shutil.copy(_EXAMPLE / "eagle_shards.py", site)
    metadata = site / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
    )
    (metadata / "entry_points.txt").write_text(_entry_points(project))
    sys.path.insert(0, str(site))
    yield
    sys.path.remove(str(site))
    sys.modules.pop("eagle_shards", None)


def _entry_points(project: dict[str, Any]) -> str:
    lines: list[str] = []
    for group, entries in project["entry-points"].items():
        lines += [f"[{group}]", *(f"{name} = {target}" for name, target in entries.items())]
    return "\n".join(lines) + "\n"


class TestShards(StorageConformance):
    """``shards://`` over two directories and a memory."""

    @pytest.fixture
    async def storage(self, tmp_path: Path) -> AsyncIterator[Storage]:
        stores = [f"file://{tmp_path}/one", f"file://{tmp_path}/two", "memory://"]
        url = "shards://?" + "&".join(f"store={each}" for each in stores)
        async with open_storage(url) as storage:
            yield storage

    async def test_blobs_are_spread(self, storage: Storage, tmp_path: Path) -> None:
        """Every shard gets its share."""
        for number in range(30):
            await storage.upload(f"n/{number}", _nothing(), size=0)
        shares = [_count(tmp_path / "one"), _count(tmp_path / "two")]
        assert all(shares)
        assert sum(shares) < 30


def test_the_scheme_is_known() -> None:
    """The plug-in's scheme is listed with the drivers in the box."""
    assert "shards" in known_schemes()


async def test_the_plug_ins_own_errors_arrive() -> None:
    """A URL that the plug-in cannot read is its own usage error."""
    with pytest.raises(UsageError, match="write shards://"):
        async with open_storage("shards://?disk=/mnt/a"):
            pass


async def _nothing() -> AsyncIterator[bytes]:
    chunks: tuple[bytes, ...] = ()
    for chunk in chunks:
        yield chunk


def _count(directory: Path) -> int:
    return sum(path.is_file() for path in directory.rglob("*"))
