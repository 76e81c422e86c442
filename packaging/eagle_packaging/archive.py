"""Archives whose bytes follow from names and content: sorted, one date, one owner, two modes."""

from __future__ import annotations

import gzip
import io
import stat
import tarfile
import time
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from types import MappingProxyType


def tree(directory: Path, prefix: str = "") -> Iterator[tuple[str, Path]]:
    """Files and links below ``directory`` as ``(prefix + relative name, path)``, sorted."""
    for path in sorted(directory.rglob("*")):
        if path.is_symlink() or path.is_file():
            yield prefix + path.relative_to(directory).as_posix(), path


def write_zip(
    target: Path, files: Mapping[str, Path | bytes], *, epoch: int, head: bytes = b""
) -> None:
    """A zip file of ``files`` behind ``head``, which may be a script's first line."""
    date = time.gmtime(max(epoch, 315532800))[:6]
    with target.open("wb") as out:
        out.write(head)
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
            for name in sorted(files):
                source = files[name]
                info = zipfile.ZipInfo(name, date)
                info.external_attr = (stat.S_IFREG | _mode(source)) << 16
                info.compress_type = zipfile.ZIP_DEFLATED
                content = source if isinstance(source, bytes) else source.read_bytes()
                archive.writestr(info, content, compresslevel=9)
    target.chmod(0o755 if head else 0o644)


def write_tar(
    files: Iterable[tuple[str, Path | bytes | str]],
    *,
    epoch: int,
    owned: Mapping[str, int] = MappingProxyType({}),
) -> bytes:
    """A tar archive with the directories that ``files`` need; a text makes a symbolic link.

    A name that ends in a slash is a directory; ``owned`` gives some of them to another user.
    """
    out = io.BytesIO()
    made: set[str] = set()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for name, source in sorted(files, key=lambda each: each[0]):
            for directory in _directories(name):
                if directory not in made:
                    made.add(directory)
                    info = _info(directory, epoch, 0o1777 if directory == "tmp" else 0o755)
                    info.type = tarfile.DIRTYPE
                    info.uid = info.gid = owned.get(directory, 0)
                    archive.addfile(info)
            if name.endswith("/"):
                continue
            if isinstance(source, str) or (isinstance(source, Path) and source.is_symlink()):
                target = source if isinstance(source, str) else str(source.readlink())
                archive.addfile(_link(name, target, epoch))
            else:
                content = source if isinstance(source, bytes) else source.read_bytes()
                info = _info(name, epoch, _mode(source))
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
    return out.getvalue()


def gzipped(content: bytes) -> bytes:
    """``content`` compressed, with no name and no date inside."""
    return gzip.compress(content, compresslevel=9, mtime=0)


def _mode(source: Path | bytes) -> int:
    executable = isinstance(source, Path) and source.stat().st_mode & stat.S_IXUSR
    return 0o755 if executable else 0o644


def _directories(name: str) -> list[str]:
    """The directories that ``name`` needs, outermost first; itself if it ends in a slash."""
    above = [str(each) for each in reversed(PurePosixPath(name).parents[:-1])]
    return [*above, name.rstrip("/")] if name.endswith("/") else above


def _info(name: str, epoch: int, mode: int) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.mtime, info.mode = epoch, mode
    return info


def _link(name: str, target: str, epoch: int) -> tarfile.TarInfo:
    info = _info(name, epoch, 0o777)
    info.type, info.linkname = tarfile.SYMTYPE, target
    return info
