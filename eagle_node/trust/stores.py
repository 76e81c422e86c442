"""Where a host's programs look up which CAs to trust; installs one there, and takes it away.

Two kinds of places: the system's store, which every program reads (daemons in Go once, when they
first need it), and directories per registry, which dockerd and the containers/image family
(podman, skopeo, buildah, CRI-O) read anew for each pull. containerd's ``certs.d`` is left alone: a
directory of a registry there takes the place of ``_default`` and the mirrors in it.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from eagle_node.base.errors import StartError, UsageError

NAME = "eagle-node-local-ca.crt"
"""The file in each place; nobody else's has this name."""
RECORD = "local-ca.installed.json"
"""Within the data directory: which files and directories `install` has made."""

_REGISTRY_DIRECTORIES = (Path("etc/docker"), Path("etc/containers"))
"""Where programs have per-registry certificates, in ``certs.d``, if they are there at all."""


@dataclass(frozen=True, slots=True)
class SystemStore:
    """A distribution's way to add a CA."""

    anchors: Path
    update: Sequence[str]


_SYSTEM_STORES = (
    SystemStore(Path("usr/local/share/ca-certificates"), ("update-ca-certificates",)),
    SystemStore(Path("etc/pki/ca-trust/source/anchors"), ("update-ca-trust", "extract")),
    SystemStore(Path("etc/pki/trust/anchors"), ("update-ca-certificates",)),
)
"""Debian, Ubuntu, Alpine; Fedora, RHEL; SUSE."""


class Stores:
    """The places below ``root``; ``record`` is the file that remembers what was made."""

    def __init__(self, record: Path, *, root: Path = Path("/")) -> None:
        self._record = record
        self._root = root

    def install(self, pem: bytes, hosts: Iterable[str]) -> Sequence[Path]:
        """Have all programs trust the CA ``pem``, for ``hosts`` (as in image references) at once.

        The files that were written. What an earlier call made and this one would not is removed.
        `StartError` when there is no system store, or it cannot be changed.
        """
        store = self._system_store()
        wanted = [self._root / store.anchors / NAME, *self._registry_files(hosts)]
        files, directories = self._recorded()
        obsolete = [each for each in files if each not in wanted]
        try:
            for path in wanted:
                directories += _make_directories(path.parent)
            self._write_record(dict.fromkeys([*files, *wanted]), directories)
            for path in wanted:
                _write(path, pem)
            self._remove(obsolete, [])
        except OSError as error:
            raise _cannot(error) from error
        self._write_record(wanted, directories)
        self._update(store)
        return wanted

    def remove(self) -> Sequence[Path]:
        """Undo `install`; the files that were removed, none if nothing was installed."""
        files, directories = self._recorded()
        try:
            removed = self._remove(files, directories)
            self._record.unlink(missing_ok=True)
        except OSError as error:
            raise _cannot(error) from error
        if files:
            self._update(self._system_store())
        return removed

    def _system_store(self) -> SystemStore:
        for store in _SYSTEM_STORES:
            if (self._root / store.anchors).is_dir() and shutil.which(store.update[0]):
                return store
        raise StartError(
            "this system has no store of CA certificates that we know (package ca-certificates); "
            "add the output of eagle-node ca show to its trusted CAs by hand"
        )

    def _registry_files(self, hosts: Iterable[str]) -> list[Path]:
        homes = [self._root / each for each in _REGISTRY_DIRECTORIES]
        hosts = list(hosts)
        return [home / "certs.d" / host / NAME for home in homes if home.is_dir() for host in hosts]

    def _update(self, store: SystemStore) -> None:
        if self._root != Path("/"):
            return
        done = subprocess.run(store.update, capture_output=True, text=True, check=False)
        if done.returncode:
            said = (done.stderr or done.stdout).strip()[-500:]
            raise StartError(f"{' '.join(store.update)} failed ({done.returncode}): {said}")

    def _remove(self, files: Iterable[Path], directories: Sequence[Path]) -> list[Path]:
        removed = []
        for path in files:
            if path.exists():
                path.unlink()
                removed.append(path)
        for directory in sorted(directories, key=lambda each: -len(each.parts)):
            if directory.is_dir() and not any(directory.iterdir()):
                directory.rmdir()
        return removed

    def _recorded(self) -> tuple[list[Path], list[Path]]:
        """Files and directories that we have made."""
        try:
            made = json.loads(self._record.read_text())
            files, directories = made["files"], made["directories"]
        except FileNotFoundError:
            return [], []
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UsageError(f"cannot read {self._record}: {error}") from error
        ours = [Path(each) for each in files if Path(each).name == NAME]
        return ours, [Path(each) for each in directories]

    def _write_record(self, files: Iterable[Path], directories: Iterable[Path]) -> None:
        made = {
            "files": [str(each) for each in files],
            "directories": list(dict.fromkeys(str(each) for each in directories)),
        }
        _write(self._record, json.dumps(made, indent=1).encode())


def _make_directories(directory: Path) -> list[Path]:
    """Those that were not there."""
    missing = []
    while not directory.exists():
        missing.append(directory)
        directory = directory.parent
    for each in reversed(missing):
        each.mkdir(mode=0o755)
    return missing


def _write(path: Path, content: bytes) -> None:
    part = path.with_name(f".{path.name}.part")
    part.write_bytes(content)
    part.chmod(0o644)
    os.replace(part, path)


def _cannot(error: OSError) -> StartError:
    return StartError(
        f"cannot change {error.filename}: {error.strerror}; run it as root, like the runtimes"
    )
