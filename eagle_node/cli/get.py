"""``eagle-node get``: an image, a blob or a file through the swarm, by way of the node's proxy."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from eagle_node.base.digest import Digest, parse_digest
from eagle_node.base.errors import BadDigest, EagleError, UsageError
from eagle_node.base.sizes import format_size
from eagle_node.cli.exits import Exit
from eagle_node.cli.get_fetch import Fetcher, Looked, Source, blob_source, file_source
from eagle_node.cli.get_image import resolve, to_archive, to_cache, to_layout
from eagle_node.cli.get_progress import Progress
from eagle_node.cli.get_split import Split, shown, told
from eagle_node.cli.node_api import proxy_url
from eagle_node.cli.signals import until_signal
from eagle_node.preheat.platforms import parse_platform
from eagle_node.registry.image_reference import ImageReference, parse_image
from eagle_node.registry.names import DOCKER_HUB, BadName

STDOUT = "-"
_TRUST = {
    "first": "First fetch of this URL through this node: the file was read to learn its digest, "
    "which is recorded and held to.",
    "new": "The digest is recorded in the place of the one before, and held to.",
}
"""What is said of how a file's digest was learnt."""


def get(arguments: argparse.Namespace) -> int:
    """Fetch what is named; raises `UsageError` before anything is asked of the node."""
    authorization = _authorization(arguments.header)
    is_url = arguments.what.startswith(("http://", "https://"))
    if not is_url and (arguments.digest or arguments.trust_new):
        raise UsageError("--digest and --trust-new are for files; an image is IMAGE@sha256:…")
    if is_url:
        work = _get_url(arguments, _digest(arguments), authorization)
    elif arguments.blob:
        work = _get_blob(arguments, _blob(arguments), authorization)
    else:
        image = _image(arguments.what)
        parse_platform(arguments.platform)
        work = _get_image(arguments, image, authorization)
    return asyncio.run(until_signal(work, on_sigterm=Exit.INTERRUPTED))


async def _get_url(
    arguments: argparse.Namespace, digest: Digest | None, authorization: str | None
) -> Exit:
    """A file, by the digest that is given or else was recorded."""
    _need_no_image(arguments)
    out = arguments.output or _name_of(arguments.what)
    started, split = time.monotonic(), await _begun(arguments)
    async with Fetcher(proxy_url(arguments), authorization=authorization) as fetcher:
        trust = "given"
        if digest is None:
            looked = await _look(arguments, fetcher)
            digest, trust = looked.digest, looked.trust
            source = file_source(arguments.what, digest, looked.size)
        else:
            source = file_source(arguments.what, digest)
        out, size = await _bring(arguments, fetcher, source, out, split)
    await _tell(arguments, out, digest, size, started, split, trust=trust)
    return Exit.OK


async def _look(arguments: argparse.Namespace, fetcher: Fetcher) -> Looked:
    with Progress(total=None, quiet=arguments.json) as progress:
        came = 0

        def received(count: int) -> None:
            nonlocal came
            moved(max(0, count - came))
            came = max(came, count)

        with progress.item("first fetch", None) as moved:
            return await fetcher.look(
                arguments.what, trust_new=arguments.trust_new, progress=received
            )


async def _get_blob(
    arguments: argparse.Namespace, source: Source, authorization: str | None
) -> Exit:
    _need_no_image(arguments)
    out = arguments.output or source.digest.removeprefix("sha256:")
    started, split = time.monotonic(), await _begun(arguments)
    async with Fetcher(proxy_url(arguments), authorization=authorization) as fetcher:
        out, size = await _bring(arguments, fetcher, source, out, split)
    await _tell(arguments, out, source.digest, size, started, split)
    return Exit.OK


async def _bring(
    arguments: argparse.Namespace, fetcher: Fetcher, source: Source, out: str, split: Split
) -> tuple[str, int]:
    """Bring ``source`` to where it is wanted; where that is (empty: the cache), and its size."""
    async with shown(split, total=source.size, quiet=arguments.json) as progress:
        with progress.item(source.digest, source.size) as moved:
            if arguments.format == "cache":
                return "", await fetcher.to_stream(source, None, moved)
            if out == STDOUT:
                size = await fetcher.to_stream(source, sys.stdout.buffer, moved)
                sys.stdout.buffer.flush()
                return out, size
            path = Path(out)
            _need_directory(path.parent)
            with _going_on():
                return out, await fetcher.to_file(source, path, moved)


@contextmanager
def _going_on() -> Iterator[None]:
    """Say, when somebody interrupts the block, that nothing is lost."""
    try:
        yield
    except asyncio.CancelledError:
        print(
            "eagle-node: interrupted; the same command goes on where this one ended",
            file=sys.stderr,
        )
        raise


async def _get_image(
    arguments: argparse.Namespace,
    image: ImageReference,
    authorization: str | None,
) -> Exit:
    layout = arguments.format in (None, "oci")
    name = image.repository.name.rpartition("/")[2]
    out = arguments.output or (name if layout else f"{name}.tar")
    if layout and out == STDOUT:
        raise UsageError("a layout is a directory; say --format docker for standard output")
    started, split = time.monotonic(), await _begun(arguments)
    async with Fetcher(proxy_url(arguments), authorization=authorization) as fetcher:
        pulled = await resolve(fetcher, image, arguments.platform)
        async with shown(split, total=pulled.size, quiet=arguments.json) as progress:
            if layout:
                with _going_on():
                    await to_layout(fetcher, pulled, Path(out), progress)
            elif arguments.format == "cache":
                out = ""
                await to_cache(fetcher, pulled, progress)
            elif out == STDOUT:
                await to_archive(fetcher, pulled, sys.stdout.buffer, progress)
            else:
                path = Path(out)
                _need_directory(path.parent)
                with _going_on():
                    await to_archive(fetcher, pulled, path, progress)
    await _tell(arguments, out, pulled.top.digest, pulled.size, started, split)
    return Exit.OK


async def _tell(
    arguments: argparse.Namespace,
    out: str,
    digest: Digest,
    size: int,
    started: float,
    split: Split,
    *,
    trust: str | None = None,
) -> None:
    """Say on standard error what has come, and from where as far as the node's API tells."""
    seconds = time.monotonic() - started
    parts = await split.so_far()
    if arguments.json:
        document: dict[str, object] = {"digest": digest, "size": size}
        document |= {"seconds": round(seconds, 3), "from": parts}
        document |= {"trust": trust} if trust is not None else {}
        print(
            json.dumps({"output": out or None, **document}),
            file=sys.stderr if out == STDOUT else sys.stdout,
        )
        return
    rate = format_size(size / seconds) if seconds > 0 else "-"
    where = "the node's cache" if not out else "standard output" if out == STDOUT else out
    line = f"{digest} in {where}: {format_size(size)} in {seconds:.1f} s ({rate}/s)"
    if parts is not None:
        line += f"; this node served {told(parts)}"
    print(line, file=sys.stderr)
    if trust in _TRUST:
        print(_TRUST[trust], file=sys.stderr)


async def _begun(arguments: argparse.Namespace) -> Split:
    split = Split(arguments)
    await split.begin()
    return split


def _authorization(headers: list[str] | None) -> str | None:
    found = None
    for header in headers or ():
        name, colon, value = header.partition(":")
        if name.strip().lower() != "authorization" or not colon or not value.strip():
            raise UsageError(
                f"-H {name.strip()[:40]!r}: only Authorization is passed on, since other nodes may "
                "fetch this for us"
            )
        found = value.strip()
    return found


def _image(text: str) -> ImageReference:
    try:
        return parse_image(text, default_registry=DOCKER_HUB)
    except (BadName, BadDigest) as error:
        raise UsageError(str(error)) from error


def _blob(arguments: argparse.Namespace) -> Source:
    image = _image(arguments.what)
    if ":" not in image.reference:
        raise UsageError("a blob is named by its digest: REPOSITORY@sha256:…")
    return blob_source(image.repository, Digest(image.reference))


def _digest(arguments: argparse.Namespace) -> Digest | None:
    """What a file must be; None: what it was at its first fetch."""
    if arguments.digest is None:
        return None
    if arguments.trust_new:
        raise UsageError("--trust-new is for a file whose --digest you do not know; say one")
    try:
        return parse_digest(arguments.digest)
    except BadDigest as error:
        raise UsageError(f"--digest: {error}") from error


def _name_of(what: str) -> str:
    """As curl -O names it: the last part of the URL's path."""
    name = what.partition("?")[0].partition("://")[2].partition("/")[2].rpartition("/")[2]
    if not name or name in (".", ".."):
        raise UsageError(f"{what} has no file name; say -o FILE")
    return name


def _need_no_image(arguments: argparse.Namespace) -> None:
    if arguments.format not in (None, "cache"):
        raise UsageError(f"--format {arguments.format} is for images")
    if arguments.platform:
        raise UsageError("--platform is for images")


def _need_directory(directory: Path) -> None:
    if not directory.is_dir():
        raise EagleError(f"there is no directory {directory}")
