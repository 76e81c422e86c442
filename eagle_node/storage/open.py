"""From a storage URL to an open store."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager
from importlib.metadata import EntryPoint, entry_points

from eagle_node.base.errors import UsageError
from eagle_node.storage.interface import OpenStorage, Storage

GROUP = "eagle_node.storage"
"""Entry points of this group name an `OpenStorage`; their names are URL schemes."""

_BUILT_IN = {
    "file": "eagle_node.storage.obstore_driver:open_file",
    "memory": "eagle_node.storage.memory:open_memory",
    "s3": "eagle_node.storage.obstore_driver:open_s3",
    "gs": "eagle_node.storage.obstore_driver:open_gcs",
    "az": "eagle_node.storage.obstore_driver:open_azure",
}
"""The same as in the package's metadata, which a source tree or a zipapp does not have."""


def open_storage(url: str) -> AbstractAsyncContextManager[Storage]:
    """The store at ``url``; closed when the context is left.

    `UsageError` when no driver knows the scheme, the driver cannot be loaded, or it cannot read the
    URL. Built-in drivers come first, so that no plug-in takes their place unseen.
    """
    scheme, separator, _ = url.partition("://")
    if not separator:
        raise UsageError(f"--storage {url!r} is not a URL; write file:///var/lib/blobs")
    return _driver(scheme)(url)


def known_schemes() -> list[str]:
    """Schemes that `open_storage` has a driver for."""
    return sorted({entry.name for entry in _entries()})


def _driver(scheme: str) -> OpenStorage:
    for entry in _entries():
        if entry.name == scheme:
            return _loaded(entry)
    known = known_schemes()
    near = difflib.get_close_matches(scheme, known, n=1)
    hint = f"; did you mean {near[0]}://?" if near else ""
    raise UsageError(
        f"--storage: there is no driver for {scheme}:// (known: "
        f"{', '.join(f'{each}://' for each in known)}){hint}"
    )


def _entries() -> Iterator[EntryPoint]:
    for scheme, target in _BUILT_IN.items():
        yield EntryPoint(name=scheme, value=target, group=GROUP)
    yield from entry_points(group=GROUP)


def _loaded(entry: EntryPoint) -> OpenStorage:
    try:
        driver: OpenStorage = entry.load()
    except (ImportError, AttributeError) as error:
        raise UsageError(
            f"the storage driver for {entry.name}:// ({entry.value}) cannot be loaded: {error}"
        ) from error
    return driver
