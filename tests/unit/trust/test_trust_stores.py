"""Installing the local CA where programs look, and taking it away again."""

from __future__ import annotations

from pathlib import Path

import pytest

from eagle_node.base.errors import StartError
from eagle_node.trust.stores import NAME, RECORD, Stores

PEM = b"-----BEGIN CERTIFICATE-----\n"
SYSTEM = f"usr/local/share/ca-certificates/{NAME}"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A Debian's file system with Docker, without podman."""
    root = tmp_path / "root"
    for name in ("usr/local/share/ca-certificates", "etc/docker"):
        (root / name).mkdir(parents=True)
    return root


@pytest.fixture
def stores(root: Path, tmp_path: Path) -> Stores:
    """That system's."""
    return Stores(tmp_path / RECORD, root=root)


def everything(root: Path) -> set[str]:
    """All files and directories."""
    return {str(each.relative_to(root)) for each in root.rglob("*")}


def test_all_programs_that_are_there_are_told(stores: Stores, root: Path) -> None:
    """The system's store, and Docker's directories; none is made for podman, which is not here."""
    written = stores.install(PEM, ["ghcr.io", "registry.test:5000"])
    assert {str(each.relative_to(root)) for each in written} == {
        SYSTEM,
        f"etc/docker/certs.d/ghcr.io/{NAME}",
        f"etc/docker/certs.d/registry.test:5000/{NAME}",
    }
    assert {each.read_bytes() for each in written} == {PEM}
    assert {each.stat().st_mode & 0o777 for each in written} == {0o644}


def test_removing_leaves_all_as_it_was(stores: Stores, root: Path, tmp_path: Path) -> None:
    """What others put beside it stays."""
    other = root / "etc/docker/certs.d/ghcr.io/ca.crt"
    other.parent.mkdir(parents=True)
    other.write_text("another CA")
    before = everything(root)
    stores.install(PEM, ["ghcr.io", "registry.test:5000"])
    assert len(stores.remove()) == 3
    assert everything(root) == before
    assert other.read_text() == "another CA"
    assert not (tmp_path / RECORD).exists()
    assert stores.remove() == []


def test_a_directory_that_others_use_meanwhile_stays(stores: Stores, root: Path) -> None:
    """Though it was made for the CA."""
    stores.install(PEM, ["ghcr.io"])
    other = root / "etc/docker/certs.d/ghcr.io/ca.crt"
    other.write_text("another CA")
    stores.remove()
    assert other.exists()


def test_installing_again_replaces(stores: Stores, root: Path) -> None:
    """Another CA, other hosts: what is not wanted any more goes; removing still undoes it all."""
    before = everything(root)
    stores.install(PEM, ["ghcr.io", "old.test"])
    stores.install(PEM + b"new", ["ghcr.io", "new.test"])
    assert (root / SYSTEM).read_bytes() == PEM + b"new"
    assert not (root / "etc/docker/certs.d/old.test" / NAME).exists()
    assert (root / "etc/docker/certs.d/new.test" / NAME).exists()
    stores.remove()
    assert everything(root) == before


def test_a_system_without_a_store_is_told_of(tmp_path: Path) -> None:
    """Nothing is written, and the message says what to do by hand."""
    with pytest.raises(StartError, match="eagle-node ca show"):
        Stores(tmp_path / RECORD, root=tmp_path).install(PEM, ["ghcr.io"])
    assert list(tmp_path.iterdir()) == []
