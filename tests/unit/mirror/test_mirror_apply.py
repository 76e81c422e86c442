"""Plans on a real file system: all or nothing, and back again."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from eagle_node.mirror.apply import apply
from eagle_node.mirror.files import HostFiles
from eagle_node.mirror.model import DEFAULT_PROXY, Mirror, MirrorError, Runtime
from eagle_node.mirror.plan import install, uninstall
from eagle_node.mirror.record import backup_path, read_record
from tests.support.clients.route import short_directory

ALL = (Runtime.CONTAINERD, Runtime.DOCKER, Runtime.PODMAN)
DAEMON = "etc/docker/daemon.json"


def installed(root: Path, *registries: str, url: str = DEFAULT_PROXY) -> None:
    """Install for all runtimes below ``root``."""
    files = HostFiles(root)
    record, _ = read_record(files)
    apply(files, install(files, ALL, Mirror(url=url, registries=registries), record), url=url)


def uninstalled(root: Path) -> None:
    """Take it back."""
    files = HostFiles(root)
    record, _ = read_record(files)
    apply(files, uninstall(files, ALL, record), url="")


def tree(root: Path) -> dict[str, tuple[int, bytes | None]]:
    """Every path below ``root`` with its mode and content."""
    return {
        str(path.relative_to(root)): (
            stat.S_IMODE(path.lstat().st_mode),
            path.read_bytes() if path.is_file() else None,
        )
        for path in sorted(root.rglob("*"))
    }


def write(root: Path, path: str, text: str, mode: int = 0o644) -> Path:
    """A file below ``root``."""
    place = root / path
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(text)
    place.chmod(mode)
    return place


def test_uninstall_leaves_no_trace(tmp_path: Path) -> None:
    """On a bare system every file and directory that install made is gone again."""
    installed(tmp_path)
    assert (tmp_path / DAEMON).exists()
    uninstalled(tmp_path)
    assert tree(tmp_path) == {}


def test_bytes_modes_and_links_are_kept(tmp_path: Path) -> None:
    """A file of mode 0600 behind a link is changed in its place and comes back as it was."""
    write(tmp_path, "srv/daemon.json", '{"debug":true}', 0o600)
    (tmp_path / "etc/docker").mkdir(parents=True)
    (tmp_path / DAEMON).symlink_to("/srv/daemon.json")
    before = tree(tmp_path)
    installed(tmp_path)
    assert (tmp_path / DAEMON).is_symlink()
    assert DEFAULT_PROXY in (tmp_path / "srv/daemon.json").read_text()
    assert stat.S_IMODE((tmp_path / "srv/daemon.json").stat().st_mode) == 0o600
    backup = tmp_path / backup_path("/" + DAEMON).lstrip("/")
    assert backup.read_text() == '{"debug":true}'
    assert stat.S_IMODE(backup.stat().st_mode) == 0o600
    uninstalled(tmp_path)
    assert tree(tmp_path) == before


def test_a_second_install_writes_nothing(tmp_path: Path) -> None:
    """Not even the time of change moves."""
    write(tmp_path, DAEMON, "{}")
    installed(tmp_path)
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    times = {path: path.stat().st_mtime_ns for path in files}
    installed(tmp_path)
    assert {path: path.stat().st_mtime_ns for path in files} == times


def test_another_choice_replaces_the_first(tmp_path: Path) -> None:
    """Registries and addresses of an earlier install go; then uninstall finds the way back."""
    before = write(tmp_path, DAEMON, '{"registry-mirrors": ["https://x"]}').read_text()
    installed(tmp_path, "ghcr.io", "docker.io")
    installed(tmp_path, "quay.io", "docker.io", url="http://127.0.0.1:1")
    directories = os.listdir(tmp_path / "etc/containerd/certs.d")
    assert sorted(directories) == ["docker.io", "quay.io"]
    assert DEFAULT_PROXY not in (tmp_path / DAEMON).read_text()
    uninstalled(tmp_path)
    assert tree(tmp_path) == {
        "etc": (0o755, None),
        "etc/docker": (0o755, None),
        DAEMON: (0o644, before.encode()),
    }


def test_what_others_write_meanwhile_stays(tmp_path: Path) -> None:
    """Uninstall takes just our part out of files that have changed since."""
    conf = write(
        tmp_path, "etc/containers/registries.conf", '[[registry]]\nlocation = "docker.io"\n'
    )
    hosts = tmp_path / "etc/containerd/certs.d/_default/hosts.toml"
    installed(tmp_path)
    conf.write_text("# mine\n" + conf.read_text() + '[[registry]]\nlocation = "b.example"\n')
    hosts.write_text(hosts.read_text() + '[host."https://b.example"]\n')
    daemon = tmp_path / DAEMON
    daemon.write_text(daemon.read_text().replace("{", '{"debug": true,', 1))
    uninstalled(tmp_path)
    assert conf.read_text() == (
        '# mine\n[[registry]]\nlocation = "docker.io"\n[[registry]]\nlocation = "b.example"\n'
    )
    assert hosts.read_text() == '[host."https://b.example"]\n'
    assert daemon.read_text().split() == ['{"debug":', "true", "}"]
    assert not (tmp_path / "etc/eagle-node").exists()


def test_one_bad_file_and_nothing_is_written(tmp_path: Path) -> None:
    """Plans for all runtimes are made before the first file is touched."""
    write(tmp_path, DAEMON, "{ not json")
    before = tree(tmp_path)
    with pytest.raises(MirrorError, match="is not JSON"):
        installed(tmp_path)
    assert tree(tmp_path) == before


def test_a_write_that_fails_undoes_the_others(tmp_path: Path) -> None:
    """When the last of the files cannot be written, those before it are as they were."""
    write(tmp_path, "etc/containerd/config.toml", "version = 2\n")
    (tmp_path / "etc/containers").mkdir(parents=True)
    (tmp_path / "etc/containers/registries.conf.d").write_text("a file, no directory\n")
    before = tree(tmp_path)
    with pytest.raises(MirrorError, match="cannot write"):
        installed(tmp_path)
    assert tree(tmp_path) == before


def test_others_hosts_are_not_forgotten(tmp_path: Path) -> None:
    """Who has come to rely on our config_path is told that it goes."""
    installed(tmp_path)
    write(tmp_path, "etc/containerd/certs.d/r.example/hosts.toml", 'server = "https://x"\n')
    files = HostFiles(tmp_path)
    record, _ = read_record(files)
    (note,) = uninstall(files, ALL, record).notes
    assert "certs.d/r.example/hosts.toml is not read any more" in note


def test_an_empty_directory_hides_the_default(tmp_path: Path) -> None:
    """containerd looks no further than a registry's directory, so that is told, and used."""
    (tmp_path / "etc/containerd/certs.d/r.example_5000_").mkdir(parents=True)
    files = HostFiles(tmp_path)
    (note,) = install(files, [Runtime.CONTAINERD], Mirror(), {}).notes
    assert "add --registry r.example:5000" in note
    plan = install(files, [Runtime.CONTAINERD], Mirror(registries=("r.example:5000",)), {})
    paths = [change.path for change in plan.needed]
    assert "/etc/containerd/certs.d/r.example_5000_/hosts.toml" in paths


def test_who_is_not_root_is_told_to_be() -> None:
    """Nothing is written half, and the way out is named."""
    with short_directory() as root:
        root.chmod(0o755)
        write(root, DAEMON, "{}")
        before = tree(root)
        try:
            os.seteuid(65534)
            with pytest.raises(MirrorError, match=r"Permission denied; run this command as root"):
                installed(root)
        finally:
            os.seteuid(0)
        assert tree(root) == before


def test_a_file_that_moves_under_the_plan_is_not_overwritten(tmp_path: Path) -> None:
    """Between planning and writing somebody else may have been there."""
    write(tmp_path, DAEMON, "{}")
    files = HostFiles(tmp_path)
    plan = install(files, [Runtime.DOCKER], Mirror(), {})
    write(tmp_path, DAEMON, '{"debug": true}')
    with pytest.raises(MirrorError, match="just been changed by somebody"):
        apply(files, plan, url=DEFAULT_PROXY)
    assert (tmp_path / DAEMON).read_text() == '{"debug": true}'


def test_a_removed_file_is_not_brought_back(tmp_path: Path) -> None:
    """Who deletes a file means it; uninstall says so and forgets it."""
    write(tmp_path, DAEMON, "{}")
    installed(tmp_path)
    (tmp_path / DAEMON).unlink()
    uninstalled(tmp_path)
    assert not (tmp_path / DAEMON).exists()
    assert not (tmp_path / "etc/eagle-node").exists()


def test_links_do_not_lead_out_of_the_root(tmp_path: Path) -> None:
    """An image's absolute link means the image's own file; a circle is an error."""
    files = HostFiles(tmp_path)
    (tmp_path / "a").symlink_to("/b/../c")
    (tmp_path / "c").symlink_to("../../../d")
    assert files.place("/a") == tmp_path / "d"
    (tmp_path / "d").symlink_to("/a")
    with pytest.raises(MirrorError, match="symbolic links"):
        files.place("/a")
