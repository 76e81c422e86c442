"""The ``__main__`` of eagle-node.pyz: unpack once into a cache directory, then start.

Native libraries cannot be loaded out of a zip file, so everything is unpacked: into a directory
that only this user can write, named by the content's hash, made whole under another name first.
It parses with Python 3.6 as well, so that an old one can be told what is missing.
"""

import json
import os
import platform
import shutil
import sys
import tempfile
import zipfile
from typing import Any, NoReturn

UNPACK_VARIABLE = "EAGLE_UNPACK_DIR"
ROOT_CACHE = "/var/cache/eagle-node"


def main() -> int:
    """Start the program that the archive around this file holds."""
    with zipfile.ZipFile(os.path.dirname(os.path.abspath(__file__))) as archive:
        build = json.loads(archive.read("build.json").decode())
        check_machine(build)
        tag = f"cp{sys.version_info[0]}{sys.version_info[1]}"
        directory = os.path.join(unpack_root(), f"{build['id']}-{tag}")
        if not os.path.isdir(directory):
            unpack(archive, directory, ("common", tag))
    sys.path[0] = directory  # was the archive: nothing is imported from it again
    from eagle_node.cli.main import main as program

    return program()


def check_machine(build: Any) -> None:
    """End unless this is a Python and a machine that the archive was built for."""
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    if version not in build["pythons"] or sys.implementation.name != "cpython":
        known = ", ".join(build["pythons"])
        stop(
            f"this is {sys.implementation.name} {version}; it needs CPython {known}: "
            "name one, python3.x eagle-node.pyz"
        )
    if platform.machine() != build["arch"] or not sys.platform.startswith("linux"):
        stop(
            f"built for Linux on {build['arch']}, and this is {sys.platform} on "
            f"{platform.machine()}"
        )


def unpack_root() -> str:
    """A directory that belongs to this user and that nobody else can write."""
    path = os.environ.get(UNPACK_VARIABLE, "")
    if not path and os.geteuid() == 0:
        path = ROOT_CACHE
    elif not path:
        home = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
        path = os.path.join(home, "eagle-node")
    try:
        os.makedirs(path, mode=0o700, exist_ok=True)
        state = os.stat(path)
    except OSError as error:
        stop(f"cannot make {path} ({error.strerror}); name another place with {UNPACK_VARIABLE}")
    if state.st_uid != os.geteuid() or state.st_mode & 0o022:
        stop(
            f"{path} is not this user's alone; fix its owner and mode, or name another place with "
            f"{UNPACK_VARIABLE}"
        )
    return path


def unpack(archive: zipfile.ZipFile, directory: str, parts: Any) -> None:
    """Make ``directory`` of the archive's ``parts``; whole, or not at all."""
    new = tempfile.mkdtemp(prefix=".part-", dir=os.path.dirname(directory))
    try:
        for info in archive.infolist():
            part, _, name = info.filename.partition("/")
            if part in parts:
                target = os.path.join(new, name)
                os.makedirs(os.path.dirname(target), exist_ok=True)
                with archive.open(info) as source, open(target, "wb") as copy:
                    shutil.copyfileobj(source, copy, 1 << 20)
        try:
            os.rename(new, directory)
        except OSError:
            if not os.path.isdir(directory):
                raise
            # Another process was quicker, with the same content.
    except OSError as error:
        stop(f"cannot unpack into {directory} ({error.strerror}); {UNPACK_VARIABLE} moves it")
    finally:
        shutil.rmtree(new, ignore_errors=True)


def stop(message: str) -> NoReturn:
    """End with a sentence."""
    sys.stderr.write(f"eagle-node.pyz: {message}\n")
    sys.exit(1)


if __name__ == "__main__":
    sys.exit(main())
