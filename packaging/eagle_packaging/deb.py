"""eagle-node_VERSION_ARCH.deb: the program with its Python inside, its unit, its documents.

Written by dpkg-deb out of a directory; no debhelper, no source package. What a maintainer writes by
hand is in ``packaging/debian``.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

from eagle_packaging.archive import gzipped, tree
from eagle_packaging.elf import needed_glibc
from eagle_packaging.helpers import helper_files
from eagle_packaging.place import NAME, Place, run

MAINTAINER = "eagle-node developers <eagle-node@localhost>"

CONTROL = """\
Package: eagle-node
Version: {version}
Architecture: {arch}
Maintainer: {maintainer}
Installed-Size: {size}
Depends: libc6 (>= {glibc}), zlib1g, adduser, ca-certificates
Suggests: containerd | docker.io | podman
Section: net
Priority: optional
Description: P2P mirror for container images
 Container runtimes on this host pull through it, unchanged. The registry sends
 each layer once, whatever the number of hosts; the hosts pass the bytes on to
 each other over BitTorrent while they are still arriving.
"""

COPYRIGHT = """\
Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: eagle-node
Comment: The licences of the libraries in /usr/lib/eagle-node/lib are in the
 *.dist-info directories there, and named in eagle-node.cdx.json.

Files: *
Copyright: eagle-node developers
License: Apache-2.0
 On Debian systems the text of the Apache License 2.0 is in
 /usr/share/common-licenses/Apache-2.0.
"""

CHANGELOG = """\
eagle-node ({version}) unstable; urgency=medium

  * See /usr/share/doc/eagle-node/CHANGELOG.md.gz.

 -- {maintainer}  {date}
"""


def build_deb(place: Place, program: Path) -> Path:
    """Write the package around the directory ``program``."""
    root = place.work / "deb"
    shutil.rmtree(root, ignore_errors=True)
    shutil.copytree(program, root / "usr/lib/eagle-node", symlinks=True)
    for name, content in _files(place, program).items():
        target = root / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
    (root / "usr/bin").mkdir(parents=True)
    (root / "usr/bin" / NAME).symlink_to("../lib/eagle-node/eagle-node")
    _settle(root, place.epoch)
    _write_control(place, root, needed_glibc(program))
    target = place.dist / f"{NAME}_{place.version}_{place.debian_arch}.deb"
    argv: list[str | Path] = [
        "dpkg-deb",
        "--root-owner-group",
        "-Zxz",
        "-z3",
        "--threads-max=1",
        "--build",
        root,
        target,
    ]
    run(argv, epoch=place.epoch)
    return target


def _files(place: Place, program: Path) -> dict[str, bytes]:
    """Unit, configuration and documents, by path without a leading slash."""
    debian, doc = place.root / "packaging" / "debian", "usr/share/doc/eagle-node"
    files = {
        "lib/systemd/system/eagle-node.service": (debian / "eagle-node.service").read_bytes(),
        "etc/eagle-node/config.toml": (debian / "config.toml").read_bytes(),
        f"{doc}/copyright": COPYRIGHT.encode(),
        f"{doc}/changelog.gz": gzipped(_changelog(place)),
        f"{doc}/CHANGELOG.md.gz": gzipped((place.root / "CHANGELOG.md").read_bytes()),
        **helper_files(program / NAME),
    }
    for name in ("README.md", "GUIDE.md", "THREAT_MODEL.md"):
        if (place.root / name).exists():
            files[f"{doc}/{name}"] = (place.root / name).read_bytes()
    return files | examples(place.root / "examples", f"{doc}/examples/")


def examples(directory: Path, prefix: str) -> dict[str, bytes]:
    """The examples, without what trying them has left there: caches, and builds of the plug-in."""
    return {
        name: path.read_bytes()
        for name, path in tree(directory, prefix)
        if not any(
            part in ("__pycache__", "build") or part.endswith(".egg-info")
            for part in path.relative_to(directory).parts
        )
    }


def _changelog(place: Place) -> bytes:
    date = datetime.fromtimestamp(place.epoch, UTC).strftime("%a, %d %b %Y %H:%M:%S +0000")
    text = CHANGELOG.format(version=place.version, maintainer=MAINTAINER, date=date)
    return text.encode()


def _settle(root: Path, epoch: int) -> None:
    """Modes and dates that do not depend on who builds, and when."""
    for path in sorted(root.rglob("*"), reverse=True):
        if not path.is_symlink():
            is_program = path.is_dir() or path.parent == root / "usr/lib/eagle-node"
            path.chmod(0o755 if is_program else 0o644)
        os.utime(path, (epoch, epoch), follow_symlinks=False)
    root.chmod(0o755)


def _write_control(place: Place, root: Path, glibc: str) -> None:
    control = root / "DEBIAN"
    control.mkdir()
    control.chmod(0o755)
    files = [path for _, path in tree(root) if not path.is_symlink()]
    size = sum(-(-path.stat().st_size // 1024) for path in files)
    (control / "control").write_text(
        CONTROL.format(
            version=place.version,
            arch=place.debian_arch,
            maintainer=MAINTAINER,
            size=size,
            glibc=glibc,
        )
    )
    (control / "conffiles").write_text("/etc/eagle-node/config.toml\n")
    (control / "md5sums").write_text("".join(_sums(root, files)))
    for name in ("postinst", "prerm", "postrm"):
        shutil.copy(place.root / "packaging" / "debian" / name, control)
        (control / name).chmod(0o755)
    for name in ("control", "conffiles", "md5sums"):
        (control / name).chmod(0o644)
    for path in (*control.iterdir(), control, root):
        os.utime(path, (place.epoch, place.epoch))


def _sums(root: Path, files: Iterable[Path]) -> Iterable[str]:
    for path in files:
        digest = hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()
        yield f"{digest}  {path.relative_to(root)}\n"
