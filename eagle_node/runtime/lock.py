"""One process per data directory."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from eagle_node.base.errors import StartError


@contextmanager
def exclusive(directory: Path) -> Iterator[None]:
    """Hold ``directory`` for this process; `StartError` names the process that holds it already.

    The lock is the kernel's (flock), so a killed process leaves none behind.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except FileExistsError as error:
        raise StartError(
            f"data directory {directory} is a file; choose another with --data-dir"
        ) from error
    except OSError as error:
        raise StartError(
            f"cannot use data directory {directory}: {error.strerror}; choose another with "
            "--data-dir"
        ) from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip() or "unknown"
            raise StartError(
                f"data directory {directory} is in use by process {holder}; stop it or choose "
                "another with --data-dir"
            ) from error
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, str(os.getpid()).encode(), 0)
        yield
    finally:
        os.close(descriptor)
